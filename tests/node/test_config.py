"""`node.toml` is read strictly, and its errors name the right key."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from node.config import NodeConfig, database_url, read_config
from node.home import find_home


def write(home: Path, text: str) -> Path:
    (home / "node.toml").write_text(text, encoding="utf-8")
    return home


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert read_config(tmp_path) == NodeConfig()


def test_a_full_file_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        'site = "berlin"\ntimezone = "Europe/Berlin"\nbind = "127.0.0.1:0"\n'
        '[mqtt]\nhost = "broker.example"\nport = 8883\ntls = true\n',
    )
    config = read_config(tmp_path)
    assert (config.site, config.zone.key, config.listens_at) == (
        "berlin",
        "Europe/Berlin",
        ("127.0.0.1", 0),
    )
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls) == ("broker.example", 8883, True)


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ('timezon = "UTC"', "timezon", "timezone"),
        ('[mqtt]\nhots = "x"', "mqtt.hots", "host"),
    ],
)
def test_a_typo_names_the_key_and_the_nearest_right_one(
    tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(InvalidError) as caught:
        read_config(tmp_path)
    assert caught.value.code == "config.unknown-key-near"
    assert (caught.value.fields["key"], caught.value.fields["nearest"]) == (key, nearest)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('timezone = "Europe/Berlinn"', "timezone"),
        ('bind = "nowhere"', "bind"),
        ('bind = "0.0.0.0:99999"', "bind"),
        ('site = "Über Lab"', "site"),
        ('tls_cert = "a.pem"', "tls_cert"),
        ("[mqtt]\nport = 0", "mqtt.port"),
    ],
)
def test_a_bad_value_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    write(tmp_path, text)
    with pytest.raises(InvalidError) as caught:
        read_config(tmp_path)
    assert (caught.value.code, caught.value.fields["key"]) == ("config.bad-value", key)


def test_a_file_that_is_no_toml_is_one_error(tmp_path: Path) -> None:
    write(tmp_path, "site = ")
    with pytest.raises(InvalidError, match=r"config\.not-toml"):
        read_config(tmp_path)


def test_the_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FABNODE_HOME", str(tmp_path))
    assert find_home() == tmp_path
    assert database_url(tmp_path, NodeConfig()) == f"sqlite:///{tmp_path}/fabnode.db"


def test_a_provider_and_proxies_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        'address = "https://fab.example.org"\nhosts = ["Fab.Example.COM."]\n'
        'proxies = ["10.0.0.0/8"]\n'
        '[oidc]\nissuer = "https://id.example.org/realms/lab"\nclient_id = "fabnode"\n'
        'highest = "operator"\notherwise = ""\nroles = { staff = "operator" }\n',
    )
    config = read_config(tmp_path)
    assert config.is_by_tls
    assert {"fab.example.org", "fab.example.com"} <= config.names
    provider = config.oidc.provider()
    assert provider is not None
    assert (provider.role_of(["staff"]), provider.role_of([])) == (Role.OPERATOR, None)
    assert NodeConfig().oidc.provider() is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('proxies = ["nginx"]', "proxies"),
        ('address = "fab.example.org"', "address"),
        ('[oidc]\nissuer = "http://id.example.org"', "oidc.issuer"),
        ('[oidc]\nissuer = "https://id.example.org"', "oidc.client_id"),
        ('[oidc]\nhighest = "admin"', "oidc.highest"),
        ('[oidc]\nroles = { staff = "chief" }', "oidc.roles.staff"),
        ('[oidc]\nisuer = "https://id.example.org"', "oidc.isuer"),
    ],
)
def test_a_way_in_that_would_not_hold_stops_the_start(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_config(write(tmp_path, text))
    assert caught.value.fields["key"] == key
