"""Smart plugs: what to ask one, and what its answer says. No socket is opened here.

A plug counts down by itself: `hold_s` after it was last asked to go on for so long it goes off,
whatever has become of who asked. That is what makes it a dead man's switch.

*Source:* Shelly Gen1 HTTP API (`/relay/N`, `/settings/relay/N`), Shelly Gen2 RPC (`Switch.*`),
Tasmota (`Power`, `PulseTime`, `PowerOnState`; support.ino, SetPulseTimer); of each what it says
over MQTT as well, see `drivers.plug_mqtt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

from drivers.errors import HostError

HTTP_PORT = 80
# Nothing outside the house: a stop must not depend on the world, nor may a host ask there.
HOUSE = tuple(
    ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1")
)
_SPEC = re.compile(r"([a-z0-9-]+):(?:\[([0-9a-fA-F:]+)\]|([0-9.]+))(?::(\d{1,5}))?(?:/(\d{1,2}))?")
_TOPIC_SPEC = re.compile(r"([a-z0-9-]+):([A-Za-z0-9_-]{1,64})(?:/(\d{1,2}))?")
_LONGEST_RELAY = 15
EXAMPLE = "shelly-gen2:192.168.1.40, tasmota:192.168.1.41/2, tasmota-mqtt:bandsaw"
_BROKER = IPv4Address(0)


class Maker(StrEnum):
    """Whose grammar a plug speaks."""

    SHELLY_GEN1 = "shelly-gen1"
    SHELLY_GEN2 = "shelly-gen2"  # and every later one
    TASMOTA = "tasmota"
    SHELLY_GEN1_MQTT = "shelly-gen1-mqtt"  # the same over the house's broker
    SHELLY_MQTT = "shelly-mqtt"  # of the second generation and every later one
    TASMOTA_MQTT = "tasmota-mqtt"


_GRAMMAR = {
    Maker.SHELLY_GEN1_MQTT: Maker.SHELLY_GEN1,
    Maker.SHELLY_MQTT: Maker.SHELLY_GEN2,
    Maker.TASMOTA_MQTT: Maker.TASMOTA,
}


class Ask(StrEnum):
    """What can be asked of a plug, each in one request."""

    HABITS = "habits"  # whether it ever goes on by itself
    ARM = "arm"  # let it go off by itself from now on; turns nothing on
    ON = "on"
    STATE = "state"
    RENEW = "renew"  # begin its countdown anew
    OFF = "off"
    METER = "meter"  # what it measures, where that is a question of its own


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says.

    :param is_on: its relay is closed; None if the answer does not say.
    :param was_on: before the command; None if the answer does not say.
    :param habit: the setting by which it goes on without being asked; "" if none, or not asked.
    :param watts: what it measures now; None if it does not measure, or was not asked.
    :param wh: what it has counted since its counter began.
    """

    is_on: bool | None = None
    was_on: bool | None = None
    habit: str = ""
    watts: float | None = None
    wh: float | None = None


@dataclass(frozen=True, slots=True)
class Plug:
    """One relay of one plug.

    :param address: unspecified where it is asked through a broker.
    :param relay: as its maker counts: Shelly from 0, Tasmota from 1.
    :param topic: by which the broker knows it.
    """

    maker: Maker
    address: IPv4Address | IPv6Address
    port: int
    relay: int
    topic: str = ""

    @property
    def grammar(self) -> Maker:
        """Return the maker in whose words it answers."""
        return _GRAMMAR.get(self.maker, self.maker)

    @property
    def can_hold(self) -> bool:
        """Tell whether it can count down by itself: over MQTT the first Shellys cannot."""
        return self.maker is not Maker.SHELLY_GEN1_MQTT

    @property
    def says_more(self) -> bool:
        """Tell whether its state says what it measures, too."""
        return self.grammar is Maker.SHELLY_GEN2

    @property
    def door(self) -> str:
        """Return where it is asked: what its password is kept under.

        >>> parse_plug("tasmota:10.0.0.2/2").door, parse_plug("shelly-gen2:10.0.0.3:8080").door
        ('10.0.0.2', '10.0.0.3:8080')
        """
        if self.topic:
            return self.topic
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return host + (f":{self.port}" if self.port != HTTP_PORT else "")

    @property
    def answers_challenge(self) -> bool:
        """Tell whether its password is woven into what it asks, and never said."""
        return self.maker is Maker.SHELLY_GEN2

    @property
    def only_prolongs(self) -> bool:
        """Tell whether its `RENEW` can never close an open relay.

        Tasmota's PulseTime sets the countdown and nothing else. Shelly knows no such command:
        what renews there is "on", said only to a plug that has just called itself on.
        """
        return self.grammar is Maker.TASMOTA

    @property
    def steps_on(self) -> tuple[Ask, ...]:
        """Return what brings it on for a time, in this order."""
        if self.maker is Maker.SHELLY_GEN1_MQTT:
            return (Ask.ON, Ask.STATE)  # it tells nobody of its habits over MQTT
        arm = (Ask.ARM,) if self.grammar is Maker.TASMOTA else ()
        return (Ask.HABITS, *arm, Ask.ON, Ask.STATE)

    def __str__(self) -> str:
        """Return what `parse_plug` reads, without what is as usual.

        >>> str(parse_plug("shelly-gen2:192.168.1.40:80/0"))
        'shelly-gen2:192.168.1.40'
        """
        relay = f"/{self.relay}" if self.relay != _first_relay(self.maker) else ""
        return f"{self.maker}:{self.door}{relay}"


def is_of_house(address: str) -> bool:
    """Tell whether a text is the number of an address in this house.

    >>> is_of_house("192.168.1.2"), is_of_house("8.8.8.8"), is_of_house("broker.example")
    (True, False, False)
    """
    try:
        number = ip_address(address)
    except ValueError:
        return False
    return any(number in network for network in HOUSE)


def is_plug(text: str) -> bool:
    """Tell whether a machine's word for a line means a plug.

    >>> is_plug("tasmota:10.0.0.2"), is_plug("gpio:/sys/class/gpio/gpio17")
    (True, False)
    """
    return text.partition(":")[0] in set(Maker)


def parse_plug(text: str) -> Plug:
    """Read `MAKER:ADDRESS[:PORT][/RELAY]`; the address is a number, for names need a server.

    :raises HostError: `host.bad_plug` with what is wrong: `form`, `maker`, `address`, `outside`,
        `port` or `relay`.

    >>> parse_plug("tasmota:192.168.1.41/2").relay
    2
    """
    if text.partition(":")[0] in _GRAMMAR:
        return _parse_topic(text)
    match = _SPEC.fullmatch(text)
    if match is None:
        raise HostError("host.bad_plug", plug=text[:80], reason="form", example=EXAMPLE)
    if match[1] not in set(Maker):
        raise HostError("host.bad_plug", plug=text[:80], reason="maker", example=", ".join(Maker))
    maker = Maker(match[1])
    try:
        address = ip_address(match[2] or match[3])
    except ValueError as error:
        raise HostError("host.bad_plug", plug=text, reason="address", example=EXAMPLE) from error
    if not is_of_house(str(address)):
        ranges = ", ".join(map(str, HOUSE))
        raise HostError("host.bad_plug", plug=text, reason="outside", example=ranges)
    port = int(match[4] or HTTP_PORT)
    if not 0 < port < 65536:
        raise HostError("host.bad_plug", plug=text, reason="port", example="1-65535")
    relay = int(match[5]) if match[5] else _first_relay(maker)
    if not _first_relay(maker) <= relay <= _LONGEST_RELAY:
        known = f"{_first_relay(maker)}-{_LONGEST_RELAY}"
        raise HostError("host.bad_plug", plug=text, reason="relay", example=known)
    return Plug(maker, address, port, relay)


def _parse_topic(text: str) -> Plug:
    match = _TOPIC_SPEC.fullmatch(text)
    if match is None:
        raise HostError("host.bad_plug", plug=text[:80], reason="topic", example=EXAMPLE)
    maker = Maker(match[1])
    first = _first_relay(_GRAMMAR[maker])
    relay = int(match[3]) if match[3] else first
    if not first <= relay <= _LONGEST_RELAY:
        known = f"{first}-{_LONGEST_RELAY}"
        raise HostError("host.bad_plug", plug=text, reason="relay", example=known)
    return Plug(maker, _BROKER, 0, relay, match[2])


def path_of(plug: Plug, ask: Ask, hold_s: int) -> str:
    """Return the path of a GET request.

    :param hold_s: countdown of `ON`, `ARM` and `RENEW` [s]; 0: without one.

    >>> path_of(parse_plug("shelly-gen1:10.0.0.2"), Ask.RENEW, 10)
    '/relay/0?turn=on&timer=10'
    >>> path_of(parse_plug("tasmota:10.0.0.2"), Ask.ARM, 30)
    '/cm?cmnd=PulseTime1%20130'
    """
    n = plug.relay
    match plug.grammar:
        case Maker.SHELLY_GEN1:
            on = f"/relay/{n}?turn=on" + (f"&timer={hold_s}" if hold_s else "")
            paths = {
                Ask.HABITS: f"/settings/relay/{n}",
                Ask.STATE: f"/relay/{n}",
                Ask.OFF: f"/relay/{n}?turn=off",
                Ask.METER: f"/meter/{n}",
            }
        case Maker.SHELLY_GEN2:
            on = f"/rpc/Switch.Set?id={n}&on=true" + (f"&toggle_after={hold_s}" if hold_s else "")
            paths = {
                Ask.HABITS: f"/rpc/Switch.GetConfig?id={n}",
                Ask.STATE: f"/rpc/Switch.GetStatus?id={n}",
                Ask.OFF: f"/rpc/Switch.Set?id={n}&on=false",
            }
        case _:
            on = _tasmota(f"Power{n} ON")
            pulse = _tasmota(f"PulseTime{n} {_pulse_time(hold_s)}")
            paths = {
                Ask.HABITS: _tasmota("PowerOnState"),
                Ask.ARM: pulse,
                Ask.RENEW: pulse,
                Ask.STATE: _tasmota(f"Power{n}"),
                Ask.OFF: _tasmota(f"Power{n} OFF"),
                Ask.METER: _tasmota("Status 10"),
            }
    return paths.get(ask, on)


def read_answer(plug: Plug, ask: Ask, body: bytes) -> Told:
    """Return what an answer's body says.

    :raises HostError: `host.plug_answer` if it is not what such a plug answers.

    >>> read_answer(parse_plug("tasmota:10.0.0.2"), Ask.STATE, b'{"POWER":"ON"}').is_on
    True
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _odd(plug, body) from error
    if not isinstance(values, dict):
        raise _odd(plug, body)
    try:
        match plug.grammar:
            case Maker.SHELLY_GEN1:
                return _shelly1(ask, values)
            case Maker.SHELLY_GEN2:
                return _shelly2(ask, values)
            case _:
                return _tasmota_told(plug, ask, values)
    except (KeyError, TypeError, IndexError) as error:
        raise _odd(plug, body) from error


def _shelly1(ask: Ask, values: Mapping[str, object]) -> Told:
    if ask is Ask.HABITS:
        if values["default_state"] != "off":
            return Told(habit=f"default_state={_short(values['default_state'])}")
        return Told(habit="auto_on" if values.get("auto_on") else "")
    if ask is Ask.METER:
        # It counts in watt minutes.
        return Told(watts=_number(values["power"]), wh=_number(values["total"]) / 60)
    return Told(is_on=_flag(values["ison"]))


def _shelly2(ask: Ask, values: Mapping[str, object]) -> Told:
    match ask:
        case Ask.HABITS:
            if values["initial_state"] != "off":
                return Told(habit=f"initial_state={_short(values['initial_state'])}")
            return Told(habit="auto_on" if values.get("auto_on") else "")
        case Ask.STATE:
            counted = values.get("aenergy")
            total = counted.get("total") if isinstance(counted, dict) else None
            watts = values.get("apower")
            return Told(
                is_on=_flag(values["output"]),
                watts=_number(watts) if watts is not None else None,
                wh=_number(total) if total is not None else None,
            )
    return Told(was_on=_flag(values["was_on"]))


def _tasmota_told(plug: Plug, ask: Ask, values: Mapping[str, object]) -> Told:
    match ask:
        case Ask.HABITS:
            state = values["PowerOnState"]
            return Told(habit="" if state == 0 else f"PowerOnState={_short(state)}")
        case Ask.ARM | Ask.RENEW:
            if not any(key.startswith("PulseTime") for key in values):
                raise KeyError("PulseTime")
            return Told()
        case Ask.METER:
            sensors = values["StatusSNS"]
            energy = sensors["ENERGY"] if isinstance(sensors, dict) else None
            if not isinstance(energy, dict):
                raise KeyError("ENERGY")
            return Told(
                watts=_of_relay(energy["Power"], plug), wh=1000 * _of_relay(energy["Total"], plug)
            )
    # With one relay it says POWER, with more POWER1, POWER2 …
    word = values.get(f"POWER{plug.relay}", values.get("POWER"))
    if word not in ("ON", "OFF"):
        raise KeyError("POWER")
    return Told(is_on=word == "ON")


_LARGEST = 1e12  # of any figure: more is damage


def _tasmota(command: str) -> str:
    return "/cm?cmnd=" + quote(command)


def _pulse_time(hold_s: int) -> int:
    # 1-111 count tenths of a second, 112 and more whole seconds above 100.
    return 10 * hold_s if hold_s <= 11 else 100 + hold_s


def _first_relay(maker: Maker) -> int:
    return 1 if maker is Maker.TASMOTA else 0


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST:
        raise TypeError
    return float(value)


def _of_relay(value: object, plug: Plug) -> float:
    """Return what is of one relay: Tasmota lists the figures of several."""
    return _number(value[plug.relay - 1] if isinstance(value, list) else value)


def _short(value: object) -> str:
    return str(value)[:20]


def _odd(plug: Plug, body: bytes) -> HostError:
    text = body[:60].decode("ascii", "replace")
    return HostError("host.plug_answer", plug=str(plug), reason=text)
