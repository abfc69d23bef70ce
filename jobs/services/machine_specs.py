"""A machine as a file or a form describes it: keys with units, and a sentence for each typo."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, NoReturn

from drivers.errors import HostError
from drivers.interlock import parse_interlock
from drivers.plug import is_plug, parse_plug
from jobs.domain.errors import InvalidError
from jobs.domain.machine import SLUG, Control, MachineLimits
from jobs.domain.switching import (
    BOUNDS,
    MOST_INTERLOCKS,
    PLUGS,
    UNSAID,
    Switch,
    Switching,
)
from jobs.domain.switching import KEYS as SWITCHES
from jobs.kinds import kind_named

_LINE: Final = re.compile(r"(?:gpio|file):/\S{1,190}|gpiochip:/\S{1,180}/\d{1,3}")
_LINES: Final = "gpiochip:/dev/gpiochip0/17, file:/path, shelly-gen2:192.168.1.40"
_KIND: Final = re.compile(r"[a-z0-9-]{1,16}")
_TEXTS: Final = {"slug": 32, "name": 80, "kind": 16, "control": 16, "profile": 64, "port": 255}
_TRIPLES: Final = ("envelope_mm", "origin_mm", "feed_max_mm_min", "acceleration_mm_s2")
_LIMITS: Final = tuple(field.name for field in fields(MachineLimits))
KEYS: Final = (*_TEXTS, "baud", "stop_note", "simulated", *SWITCHES, *_LIMITS)
_MOST_WORDS, _LONGEST_WORD = 60, 40
_LARGEST: Final = 1e6  # of any number here: a typo, not a machine


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a person says of a machine.

    :param stop_note: where the hardware stop is, in the lab's words.
    :param switching: what turns its spindle, beam and mains on and off.
    """

    slug: str
    name: str
    kind: str
    control: Control
    profile: str | None
    port: str | None
    baud: int | None
    limits: MachineLimits
    stop_note: str = ""
    simulated: bool = False
    switching: Switching = UNSAID

    def to_values(self) -> dict[str, object]:
        """Return the keys that `parse_machine` reads."""
        values: dict[str, object] = {
            "slug": self.slug,
            "name": self.name,
            "kind": self.kind,
            "control": self.control.value,
            "profile": self.profile,
            "port": self.port,
            "baud": self.baud,
            "stop_note": self.stop_note,
            "simulated": self.simulated,
        }
        return {key: value for key, value in values.items() if value is not None} | (
            self.switching.to_json() | self.limits.to_json()
        )


# Names of the node's own in the folder of the hosts' sockets: `stop --all` would pass it over.
_RESERVED = frozenset({"node"})


def parse_machine(values: Mapping[str, object]) -> MachineSpec:
    """Read a machine from the keys of its file.

    :raises InvalidError: names the key; for an unknown one also the nearest right one.
    """
    values = {key: value for key, value in values.items() if value is not None}
    for key in values:
        if key not in KEYS:
            nearest = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]
            raise InvalidError("machine.unknown-key", field=key, key=key, nearest=nearest)
    slug = _text(values, "slug")
    if not SLUG.fullmatch(slug):
        raise InvalidError("machine.slug", field="slug", name=slug)
    if slug in _RESERVED:
        raise InvalidError("machine.slug-reserved", field="slug", name=slug)
    control = _control(values)
    return MachineSpec(
        slug=slug,
        name=" ".join(_text(values, "name", slug).split()) or slug,
        kind=_kind(values, control),
        control=control,
        profile=_wire(values, control, "profile"),
        port=_wire(values, control, "port"),
        baud=_whole(values, "baud") if control is Control.SERIAL and "baud" in values else None,
        limits=_limits(values, control),
        stop_note=_text(values, "stop_note", ""),
        simulated=_flag(values, "simulated"),
        switching=_switching(values, control),
    )


def _switching(values: Mapping[str, object], control: Control) -> Switching:
    given = {key: values[key] for key in SWITCHES if values.get(key, "") != ""}
    for key, word in given.items():
        if key in BOUNDS:
            _bounded(word, key)
        elif key == "idle_heat_off_min":
            _number(word, key)
        elif key == "interlocks":
            given[key] = _interlocks(values, control)
        elif key == "heartbeat":
            line = _text(values, key)
            if is_plug(line):
                _on_a_cable(control)
                _plug(key, line, holds=True)
            elif not _LINE.fullmatch(line):
                _bad(key, _LINES)
        elif key in PLUGS:
            switch = key.replace("_plug", "_switch")
            if given.get(switch) != Switch.PLUG.value:
                _bad(switch, Switch.PLUG.value)  # an address that nothing hangs on is a mistake
            if key != "mains_plug":
                _on_a_cable(control)
            _plug(key, _text(values, key))
        elif word not in set(Switch):
            _bad(key, ", ".join(Switch))
    return Switching.from_json(given)


def _on_a_cable(control: Control) -> None:
    """Refuse what only a machine's host can do, and only a machine on a cable has one.

    The mains of any machine may hang on a plug: without a host the node itself switches that.
    """
    if control is not Control.SERIAL:
        _bad("control", Control.SERIAL.value)


def _bounded(value: object, key: str) -> None:
    number = _number(value, key)
    least, most = BOUNDS[key]
    if number and not least <= number <= most:
        _bad(key, f"{least:g}-{most:g}")


def _interlocks(values: Mapping[str, object], control: Control) -> list[str]:
    words = values["interlocks"]
    if not isinstance(words, list | tuple) or len(words) > MOST_INTERLOCKS:
        _bad("interlocks", f'["…", "…"], 0-{MOST_INTERLOCKS}')
    if words:
        _on_a_cable(control)
    for word in words:
        try:
            parse_interlock(word if isinstance(word, str) else "")
        except HostError as error:
            _bad("interlocks", str(error.fields["example"]))
    return [str(word) for word in words]


def _plug(key: str, address: str, *, holds: bool = False) -> None:
    try:
        plug = parse_plug(address)
        if holds and not plug.can_hold:
            _bad(key, "shelly-gen1, shelly-mqtt, tasmota-mqtt")
    except HostError as error:
        raise InvalidError(
            f"machine.plug-{error.fields['reason']}",
            field=key,
            key=key,
            wanted=str(error.fields["example"]),
        ) from error


def _control(values: Mapping[str, object]) -> Control:
    word = _text(values, "control", Control.SERIAL.value)
    if word not in set(Control):
        _bad("control", ", ".join(Control))
    return Control(word)


def _kind(values: Mapping[str, object], control: Control) -> str:
    kind = _text(values, "kind")
    if control is not Control.NONE:
        return kind_named(kind).name
    # A machine that is only booked, such as a band saw, may be of any kind.
    if not _KIND.fullmatch(kind):
        _bad("kind", "a-z 0-9 -")
    return kind


def _wire(values: Mapping[str, object], control: Control, key: str) -> str | None:
    return _text(values, key) if control is Control.SERIAL else None


def _limits(values: Mapping[str, object], control: Control) -> MachineLimits:
    given: dict[str, object] = {}
    for key in _LIMITS:
        if key not in values:
            continue
        if key == "keep_out_mm":
            given[key] = _boxes(values, key)
        elif key in _TRIPLES:
            given[key] = _triple(values, key)
        elif key == "model":
            given[key] = " ".join(_text(values, key, "").split())
        elif key == "materials":
            given[key] = _words(values, key)
        elif key == "planner_blocks":
            given[key] = _whole(values, key)
        else:
            given[key] = _number(values[key], key)
    if "envelope_mm" not in given:
        if control is not Control.NONE:
            raise InvalidError("machine.missing-key", field="envelope_mm", key="envelope_mm")
        given["envelope_mm"] = [0.0, 0.0, 0.0]
    return MachineLimits.from_json(given)


def _text(values: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = values.get(key, default)
    if value is None or (value == "" and default is None):
        raise InvalidError("machine.missing-key", field=key, key=key)
    longest = _TEXTS.get(key, 200)
    if not isinstance(value, str) or len(value) > longest:
        _bad(key, f"text, 1-{longest}")
    return value


def _triple(values: Mapping[str, object], key: str) -> list[float]:
    value = values[key]
    if not isinstance(value, list | tuple) or len(value) != 3:
        _bad(key, "[x, y, z]")
    numbers = [_number(part, key, lowest=-_LARGEST) for part in value]
    if key != "origin_mm" and min(numbers) <= 0 and any(numbers):
        _bad(key, "> 0")
    return numbers


def _boxes(values: Mapping[str, object], key: str) -> list[float]:
    value = values[key]
    if not isinstance(value, list | tuple) or len(value) % 6:
        _bad(key, "[x, y, z, x, y, z, ...]")
    return [_number(part, key, lowest=-_LARGEST) for part in value]


def _words(values: Mapping[str, object], key: str) -> list[str]:
    value = values[key]
    if not isinstance(value, list | tuple) or len(value) > _MOST_WORDS:
        _bad(key, f'["…", "…"], 0-{_MOST_WORDS}')
    words = [" ".join(one.split()) if isinstance(one, str) else "" for one in value]
    if not all(0 < len(one) <= _LONGEST_WORD and one.isprintable() for one in words):
        _bad(key, f"text, 1-{_LONGEST_WORD}")
    return words


def _number(value: object, key: str, lowest: float = 0.0) -> float:
    # A boolean is an int in Python, and no length in a workshop; NaN fails the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float):
        _bad(key, "123.4")
    if not lowest <= value <= _LARGEST:
        _bad(key, f"{lowest:g}-{_LARGEST:g}")
    return float(value)


def _whole(values: Mapping[str, object], key: str) -> int:
    value = _number(values[key], key, lowest=1.0)
    if not value.is_integer():
        _bad(key, "123")
    return int(value)


def _flag(values: Mapping[str, object], key: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        _bad(key, "true, false")
    return value


def _bad(key: str, wanted: str) -> NoReturn:
    raise InvalidError("machine.bad-value", field=key, key=key, wanted=wanted)
