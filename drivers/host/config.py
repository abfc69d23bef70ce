"""What a machine host knows of its machine: one JSON file that the node writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers.acts import Reach
from drivers.errors import DriverError, HostError
from drivers.mqtt import Broker
from drivers.plug_login import Login
from drivers.profile import FirmwareProfile
from drivers.wire import object_of, text_of, whole_of

SCHEMA = 1
# Of a laser whose node says nothing of it, for it is of the release before: it renews nothing, so
# the run is held then, and a person there goes on.
PRESENCE_S = 300
SLUG = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class HostConfig:
    """One machine as its host sees it.

    :param machine: its slug.
    :param kind: `fdm`, `mill` …, for the log only: what differs is in the profile.
    :param link: what it hangs on, a key of `drivers.host.links.LINKS`.
    :param port: where: a device, or the address of a controller.
    :param limits: the machine's limits, kept for the record; the host compares only their hash.
    :param socket: Unix socket to listen on.
    :param software: name and version of the release that wrote the file and starts the host;
        here, because asking the installation would cost a host 3 MiB of imports.
    :param heartbeat: line that beats while this host lives, see `drivers.pulse`, or a plug that is
        renewed, see `drivers.plug`; "" for none.
    :param plugs: the plug of each part that hangs on one: `spindle`, `beam`, `mains`.
    :param plug_logins: of plugs with a password, by `drivers.plug.Plug.door`.
    :param presence_s: how often somebody must say that they are there while a run goes on [s];
        0: nobody has to.
    :param interlocks: inputs that must be good to start and to go on, see `drivers.interlock`.
    :param broker: of the house, for plugs that are asked through one.
    :param devices: the folder that holds `dev` and `sys`.
    :param state_dir: folder of the lock, the journal and the programs.
    :param seal_key: what start orders are sealed with, hexadecimal; "" asks for no seal.
    """

    machine: str
    kind: str
    port: str
    baud: int
    profile: FirmwareProfile
    limits_sha256: str
    socket: Path
    state_dir: Path
    limits: Mapping[str, object] = field(default_factory=dict)
    software: str = "fabnode"
    devices: Path = Path("/")
    link: str = "serial"
    heartbeat: str = ""
    seal_key: str = ""
    plugs: Mapping[str, str] = field(default_factory=dict)
    plug_logins: Mapping[str, Login] = field(default_factory=dict)
    presence_s: int = 0
    interlocks: tuple[str, ...] = ()
    broker: Broker | None = None

    def reach(self) -> Reach:
        """Return where the lab says that the machine can go; empty if it does not say."""
        envelope, origin = self.limits.get("envelope_mm"), self.limits.get("origin_mm")
        if not isinstance(envelope, list) or not any(envelope):
            return {}
        begin = origin if isinstance(origin, list) else [0.0] * len(envelope)
        axes = zip("XYZ", begin, envelope, strict=False)
        return {axis: (float(low), float(low) + float(length)) for axis, low, length in axes}

    def hottest(self, heater: str) -> float:
        """Return how hot a heater may be set [°C]; 0 if the machine has none."""
        value = self.limits.get(f"{heater}_max_c", 0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "machine": self.machine,
            "kind": self.kind,
            "port": self.port,
            "baud": self.baud,
            "profile": self.profile.to_json(),
            "limits": dict(self.limits),
            "limits_sha256": self.limits_sha256,
            "socket": str(self.socket),
            "state_dir": str(self.state_dir),
            "software": self.software,
            "devices": str(self.devices),
            "link": self.link,
            "heartbeat": self.heartbeat,
            "seal_key": self.seal_key,
            "plugs": dict(self.plugs),
            "presence_s": self.presence_s,
            "interlocks": list(self.interlocks),
            "broker": _broker_json(self.broker),
            "plug_logins": {
                door: {"user": one.user, "password": one.password}
                for door, one in self.plug_logins.items()
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> HostConfig:
        """Read what `to_json` wrote.

        :raises DriverError: naming the first thing that is wrong.
        """
        if whole_of(values, "schema") != SCHEMA:
            raise HostError("host.schema", found=whole_of(values, "schema"), wanted=SCHEMA)
        machine = text_of(values, "machine")
        if not SLUG.fullmatch(machine):
            raise HostError("host.bad_slug", machine=machine)
        return cls(
            machine=machine,
            kind=text_of(values, "kind"),
            port=text_of(values, "port"),
            baud=whole_of(values, "baud"),
            profile=FirmwareProfile.from_json(object_of(values, "profile")),
            limits_sha256=text_of(values, "limits_sha256"),
            socket=Path(text_of(values, "socket")),
            state_dir=Path(text_of(values, "state_dir")),
            limits=object_of(values, "limits"),
            software=text_of(values, "software"),
            devices=Path(text_of(values, "devices") if "devices" in values else "/"),
            # A node of the release before knows of no other.
            link=text_of(values, "link") if "link" in values else "serial",
            heartbeat=text_of(values, "heartbeat") if "heartbeat" in values else "",
            seal_key=_key(values),
            plugs=_plugs(object_of(values, "plugs") if "plugs" in values else {}),
            plug_logins=_logins(values),
            presence_s=_presence(values),
            interlocks=_interlocks(values),
            broker=_broker(values),
        )


def _key(values: Mapping[str, object]) -> str:
    key = text_of(values, "seal_key") if "seal_key" in values else ""
    if not re.fullmatch(r"(?:[0-9a-f]{64})?", key):
        raise HostError("host.bad_config", file="host.json", reason="seal_key")
    return key


def _presence(values: Mapping[str, object]) -> int:
    if "presence_s" in values:
        return max(0, whole_of(values, "presence_s"))
    return PRESENCE_S if text_of(values, "kind") == "laser" else 0


def _interlocks(values: Mapping[str, object]) -> tuple[str, ...]:
    told = values.get("interlocks", [])
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise HostError("host.bad_config", file="host.json", reason="interlocks")
    return tuple(told)


def _broker_json(broker: Broker | None) -> dict[str, object] | None:
    if broker is None:
        return None
    words = {"address": broker.address, "user": broker.user, "password": broker.password}
    return {**words, "port": broker.port}


def _broker(values: Mapping[str, object]) -> Broker | None:
    if values.get("broker") is None:
        return None
    told = object_of(values, "broker")
    words = (text_of(told, key) for key in ("user", "password"))
    return Broker(text_of(told, "address"), whole_of(told, "port"), *words)


def _plugs(values: Mapping[str, object]) -> dict[str, str]:
    return {part: text_of(values, part) for part in values}


def _logins(values: Mapping[str, object]) -> dict[str, Login]:
    told = object_of(values, "plug_logins") if "plug_logins" in values else {}
    logins = {}
    for door in told:
        one = object_of(told, door)
        logins[door] = Login(text_of(one, "user"), text_of(one, "password"))
    return logins


def write_host_config(path: Path, config: HostConfig) -> None:
    """Write the file so that a reader sees the old or the new one, never half of it.

    Its owner alone may read it: it holds the key of the start orders, and plugs' passwords.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump(config.to_json(), file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_host_config(path: Path) -> HostConfig:
    """Read a machine's file.

    :raises HostError: `host.bad_config` with the file and what is wrong in it.
    """
    try:
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict):
            raise HostError("host.bad_config", file=str(path), reason="not an object")
        return HostConfig.from_json(values)
    except (OSError, ValueError) as error:
        raise HostError("host.bad_config", file=str(path), reason=str(error)) from error
    except DriverError as error:
        if error.code == "host.bad_config":
            raise
        raise HostError("host.bad_config", file=str(path), reason=str(error)) from error
