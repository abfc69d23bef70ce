"""Profiles: every key explained, every typo caught."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest

from drivers.errors import ProfileError
from drivers.profile import FirmwareProfile, load_profile, profile_names

README = (resources.files("firmware_profiles") / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_of_ours_loads_and_survives_json(name):
    profile = load_profile(name)
    assert FirmwareProfile.from_json(profile.to_json()) == profile
    assert profile.name == name
    assert profile.switch_off


@pytest.mark.parametrize("name", profile_names())
def test_no_program_has_a_printer_run_or_write_its_own_card(name):
    """What runs from there is motion that nobody watches, between the lines of ours."""
    profile = load_profile(name)
    if profile.dialect == "marlin":
        assert {"M23", "M24", "M26", "M28", "M29", "M30", "M32"} <= set(profile.forbidden)


@pytest.mark.parametrize("key", [each.name for each in fields(FirmwareProfile)])
def test_the_readme_explains_every_key(key):
    assert f"| `{key}` |" in README


def test_a_typo_names_the_key_and_the_nearest_right_one(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('dialect = "grbl"\nrx_byte = 5\n')
    with pytest.raises(ProfileError) as caught:
        load_profile("mine", tmp_path)
    assert caught.value.code == "profile.unknown_key"
    assert (caught.value.fields["key"], caught.value.fields["nearest"]) == ("rx_byte", "rx_bytes")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rx_bytes", 0),
        ("rx_bytes", True),
        ("flow", "sometimes"),
        ("dialect", "klingon"),
        ("heats", "yes"),
        ("forbidden", "M112"),
        ("expected_s", {"G28": -1}),
    ],
)
def test_a_wrong_value_says_what_is_wanted(key, value):
    values = load_profile("grbl-1.1").to_json() | {key: value}
    with pytest.raises(ProfileError) as caught:
        FirmwareProfile.from_json(values)
    assert caught.value.code == "profile.bad_value"
    assert caught.value.fields["key"] == key


def test_a_missing_key_and_bad_toml_and_an_unknown_name_are_refused(tmp_path: Path):
    (tmp_path / "short.toml").write_text('dialect = "grbl"\n')
    (tmp_path / "bad.toml").write_text("dialect = \n")
    codes = []
    for name in ("short", "bad", "nothing"):
        with pytest.raises(ProfileError) as caught:
            load_profile(name, tmp_path)
        codes.append(caught.value.code)
    assert codes == ["profile.missing_key", "profile.not_toml", "profile.unknown"]


def test_a_file_in_the_overrides_folder_wins(tmp_path: Path):
    ours = (resources.files("firmware_profiles") / "grbl-1.1.toml").read_text("utf-8")
    (tmp_path / "grbl-1.1.toml").write_text(ours.replace("rx_bytes = 127", "rx_bytes = 100"))
    assert load_profile("grbl-1.1", tmp_path).rx_bytes == 100
    assert load_profile("grbl-1.1").rx_bytes == 127


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = " + b"[" * 100_000])
def test_an_own_file_of_garbage_is_one_error(tmp_path: Path, content: bytes):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(ProfileError, match=r"profile\.not_toml"):
        load_profile("mine", tmp_path)


@pytest.mark.parametrize(
    ("realtime", "word"),
    [
        ({"hodl": "!"}, "nearest=hold"),
        ({"hold": "!!"}, "one byte"),
        ({"hold": "M"}, "one byte"),
        ({"hold": "\n"}, "one byte"),
        ({"hold": "\u0142"}, "one byte"),
        ({"hold": 33}, "one byte"),
        ([], "a table"),
    ],
)
def test_a_realtime_byte_is_one_that_can_stand_outside_the_stream(realtime, word):
    values = load_profile("grbl-1.1").to_json() | {"realtime": realtime}
    with pytest.raises(ProfileError, match=word):
        FirmwareProfile.from_json(values)


def test_no_profile_of_fluidnc_names_a_byte_that_runs_a_macro():
    named = {ord(byte) for byte in load_profile("fluidnc").realtime.values()}
    assert not named & set(range(0x87, 0x8B))
