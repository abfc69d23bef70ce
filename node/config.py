"""`node.toml`: read, checked, and never guessed at; a typo names the right key."""

from __future__ import annotations

import difflib
import ipaddress
import socket
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.mqtt import Broker
from drivers.plug import is_of_house
from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.services.outside import Provider

_SITE = r"^[a-z0-9-]{1,32}$"
# Only this computer may be spoken with in the clear.
_ISSUER = r"^(https://\S+|http://(localhost|127\.0\.0\.1)(:\d+)?(/\S*)?)?$"


class MqttConfig(BaseModel):
    """The broker that the node speaks to; without `host` the outbox only keeps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = ""
    port: int = Field(default=1883, ge=1, le=65535)
    username: str = ""
    password: str = ""
    tls: bool = False
    ca_cert: str = ""


class OidcConfig(BaseModel):
    """An OpenID provider; without `issuer` there is none.

    `roles` says which group gives which role, `highest` how much its word may give at all, and
    `otherwise` the role of whom no group names ("" lets them not in).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(default="", pattern=_ISSUER)
    client_id: str = ""
    client_secret: str = ""
    name: str = Field(default="OpenID", max_length=40)
    groups_claim: str = "groups"
    roles: dict[str, Role] = Field(default_factory=dict)
    highest: Role = Role.MEMBER
    otherwise: Role | Literal[""] = Role.MEMBER
    sign_up: bool = False

    def provider(self) -> Provider | None:
        """Return what the pages work with."""
        if not self.issuer:
            return None
        return Provider(
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=self.client_secret,
            name=self.name,
            groups_claim=self.groups_claim,
            roles=self.roles,
            highest=self.highest,
            otherwise=Role(self.otherwise) if self.otherwise else None,
            sign_up=self.sign_up,
        )


class LocalMqttConfig(BaseModel):
    """The house's own broker, for plugs that are asked through one: nothing of it leaves the site.

    Without `host` it is that of `[mqtt]`, if that is an address of the house.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = ""
    port: int = Field(default=1883, ge=1, le=65535)
    username: str = ""
    password: str = ""


class NodeConfig(BaseModel):
    """Everything of `node.toml`; machines, people and stock live in the database."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str = Field(default="lab", pattern=_SITE)
    timezone: str = "UTC"
    bind: str = "0.0.0.0:8080"
    tls_cert: str = ""
    tls_key: str = ""
    database: str = ""
    language: str = "en"
    clock: Literal["auto", "trusted"] = "auto"
    address: str = Field(default="", pattern=r"^(https?://[a-z0-9.:\[\]-]+)?$")
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    mqtt: MqttConfig = MqttConfig()
    oidc: OidcConfig = OidcConfig()
    local_mqtt: LocalMqttConfig = LocalMqttConfig()

    @property
    def local_broker(self) -> Broker | None:
        """The broker that plugs are asked through; None: there is none in the house."""
        named = self.local_mqtt
        if named.host:
            return Broker(named.host, named.port, named.username, named.password)
        one = self.mqtt
        if one.tls or not is_of_house(one.host):
            return None
        return Broker(one.host, one.port, one.username, one.password)

    @property
    def zone(self) -> ZoneInfo:
        """The lab's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def is_by_tls(self) -> bool:
        """Whether people reach the node by TLS: its own, or that of a proxy before it."""
        return bool(self.tls_cert) or self.address.startswith("https:")

    @property
    def names(self) -> frozenset[str]:
        """The node's names, in small letters; those of a house's own network need not be here."""
        told = urlsplit(self.address).hostname
        own = (*self.hosts, told, socket.gethostname())
        return frozenset(name.lower().rstrip(".") for name in own if name)

    @property
    def listens_at(self) -> tuple[str, int]:
        """Host and port to listen at; port 0 means any free one."""
        host, _, port = self.bind.rpartition(":")
        return host.strip("[]"), int(port)


def read_config(home: Path) -> NodeConfig:
    """Return the configuration in *home*; without a file, the defaults.

    :raises InvalidError: naming the file, the key and what is wanted.
    """
    path = home / "node.toml"
    if not path.exists():
        return NodeConfig()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError("config.not-toml", file=str(path), problem=str(error)) from error
    except OSError as error:
        problem = error.strerror or "?"
        raise InvalidError("config.unreadable", file=str(path), problem=problem) from error
    try:
        config = NodeConfig.model_validate(values)
    except ValidationError as error:
        raise _named(path, error) from error
    _check(path, config)
    return config


def _named(path: Path, error: ValidationError) -> InvalidError:
    """Return the first thing wrong, with the nearest right key where the key is unknown."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        models: dict[str, type[BaseModel]] = {
            "mqtt": MqttConfig,
            "local_mqtt": LocalMqttConfig,
            "oidc": OidcConfig,
        }
        model = models.get(key.partition(".")[0], NodeConfig) if "." in key else NodeConfig
        word = key.rpartition(".")[2]
        near = difflib.get_close_matches(word, model.model_fields, n=1, cutoff=0.5)
        if near:
            return InvalidError(
                "config.unknown-key-near", field=key, file=str(path), key=key, nearest=near[0]
            )
        known = ", ".join(model.model_fields)
        return InvalidError("config.unknown-key", field=key, file=str(path), key=key, known=known)
    return InvalidError(
        "config.bad-value", field=key, file=str(path), key=key, problem=str(first["msg"])
    )


def _check(path: Path, config: NodeConfig) -> None:
    def bad(key: str, problem: str) -> InvalidError:
        return InvalidError("config.bad-value", field=key, file=str(path), key=key, problem=problem)

    try:
        _ = config.zone
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise bad("timezone", "an IANA name such as Europe/Berlin is wanted") from error
    try:
        _, port = config.listens_at
    except ValueError as error:
        raise bad("bind", "address:port is wanted, such as 0.0.0.0:8080") from error
    if not 0 <= port <= 65535:
        raise bad("bind", "the port lies between 0 and 65535")
    if config.local_mqtt.host and not is_of_house(config.local_mqtt.host):
        raise bad("local_mqtt.host", "the number of an address in this house is wanted")
    if bool(config.tls_cert) != bool(config.tls_key):
        raise bad("tls_cert", "tls_cert and tls_key go together")
    for each in config.proxies:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise bad("proxies", f"{each} is no address or network such as 10.0.0.2") from error
    if config.oidc.issuer and not config.oidc.client_id:
        raise bad("oidc.client_id", "an issuer needs a client_id")
    if config.oidc.highest is Role.ADMIN:
        raise bad("oidc.highest", "an admin is made in the lab only: operator at most")


def database_url(home: Path, config: NodeConfig) -> str:
    """Return where the node keeps its books."""
    return config.database or f"sqlite:///{home / 'fabnode.db'}"
