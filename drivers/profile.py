"""The numbers of one firmware, from one TOML; an unknown key in it is an error at start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from drivers.dialects import DIALECTS
from drivers.errors import ProfileError
from drivers.gcode import numbered

_NOTHING: Mapping[str, float] = MappingProxyType({})
_NO_BYTES: Mapping[str, str] = MappingProxyType({})

#: What a byte outside the stream may be good for; `firmware_profiles/README.md` explains each.
REALTIME = (
    *("status", "full_status", "hold", "resume", "reset", "jog_cancel", "tool_done"),
    *("feed_100", "feed_up_10", "feed_down_10", "feed_up_1", "feed_down_1"),
    *("rapid_100", "rapid_50", "rapid_25"),
    *("spindle_100", "spindle_up_10", "spindle_down_10", "spindle_up_1", "spindle_down_1"),
    "spindle_toggle",
)
# By heater letter: nozzle, bed, chamber.
_RISE_S: Mapping[str, float] = MappingProxyType({"T": 20.0, "B": 60.0, "C": 600.0})
_OVER_C: Mapping[str, float] = MappingProxyType({"T": 25.0, "B": 15.0, "C": 15.0})


class Flow(StrEnum):
    """How the host avoids overflow."""

    SEND_RESPONSE = "send-response"  # one unanswered line
    CHARACTER_COUNTING = "character-counting"  # unanswered bytes fit into the RX buffer
    NUMBERED_WINDOW = "numbered-window"  # the same, with line numbers, checksums and resend


class OkMeans(StrEnum):
    """What a firmware has done with a line when it answers `ok`."""

    DONE = "done"  # executed it; a move is planned
    TAKEN = "taken"  # only put it into its queue


@dataclass(frozen=True, slots=True)
class Pausing:
    """How a printer is parked while a program is paused; the table `[pause]` of a profile.

    :param place_x, place_y: where to park, as fractions of the envelope from its lowest corner.
    :param cool_after_s: the nozzle is let go cold after so long; the bed stays warm.
    :param park_s: longest time of the way there, and of the way back.
    :param heat_s: longest time until a nozzle that went cold is hot again.
    """

    retract_mm: float = 2.0
    retract_mm_min: float = 1800.0
    lift_mm: float = 5.0
    lift_mm_min: float = 600.0
    travel_mm_min: float = 6000.0
    place_x: float = 0.0
    place_y: float = 1.0
    cool_after_s: float = 600.0
    park_s: float = 180.0
    heat_s: float = 900.0

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; `from_json` reads them."""
        return {each.name: object.__getattribute__(self, each.name) for each in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, object], file: str) -> Pausing:
        """Read what `to_json` wrote or the table of a TOML.

        :raises ProfileError: naming the wrong key and the nearest right one.
        """
        known = [each.name for each in fields(cls)]
        for key, value in values.items():
            if key not in known:
                from difflib import get_close_matches

                near = get_close_matches(key, known, n=1, cutoff=0.0)
                raise ProfileError(
                    "profile.unknown_key", file=file, key=f"pause.{key}", nearest=f"pause.{near[0]}"
                )
            least, most = (0.0, 1.0) if key.startswith("place_") else (0.0, 1e6)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not least <= float(str(value)) <= most:
                wanted = f"a number from {least:g} to {most:g}"
                raise ProfileError(
                    "profile.bad_value", file=file, key=f"pause.{key}", wanted=wanted
                )
        return cls(**{key: float(str(value)) for key, value in values.items()})


@dataclass(frozen=True, slots=True)
class FirmwareProfile:
    """One firmware as the engine needs it. `firmware_profiles/README.md` explains each key."""

    name: str
    title: str
    dialect: str  # a key of DIALECTS
    flow: Flow
    rx_bytes: int  # usable receive buffer [bytes]
    planner_blocks: int
    max_line_bytes: int  # longest line it reads whole [bytes], newline included
    baud: int
    silence_s: float  # longest time without a byte while something is owed
    answer_s: float  # longest normal time from one answer to the next
    boot_wait_s: float  # from opening the port until it listens
    poll_s: float  # between questions for state while a program runs
    cancel_s: float  # longest time for a cancel to be confirmed
    heats: bool
    emergency: str  # what stops it at once, as it goes on the wire
    command_queue: int = 0  # lines it holds apart from the RX buffer; 0: none
    fills_queue: bool = False  # reads on whatever it does, while its command queue has a place
    numbered: bool = True  # lines carry a number and a checksum, and it verifies them
    resends: bool = True  # it asks again for a line that did not arrive whole
    resend_ok: bool = True  # an `ok` of no line follows when it asks again
    stop_overtakes: bool = False  # the emergency stop is seen on arrival, behind whatever waits
    number_gap: bool = True  # a blank behind the line number
    checksum_gap: bool = False  # a blank before the checksum
    ok_means: OkMeans = OkMeans.DONE
    empty_ok: bool = False  # an empty line is answered, too
    hello: tuple[str, ...] = ()  # first lines of a conversation
    banner: str = "start"  # pattern of the whole line that it says when it has started anew
    fatal: tuple[str, ...] = ()  # beginnings of texts that mean that it has stopped itself
    refusal: str = ""  # beginning of a text that refuses a line; its `ok` follows all the same
    break_wait: str = "M108\n"  # what ends a command that waits
    revive: tuple[str, ...] = ()  # lines that end a halt, when a person asks for it
    family: str = ""  # rules for its programs, a file of firmware_profiles/rules; "": the dialect's
    macros: tuple[str, ...] = ()  # commands of this machine's own that the lab vouches for
    forbidden: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()  # commands that hold up all that follows
    homing: tuple[str, ...] = ()
    switch_off: tuple[str, ...] = ()
    park: tuple[str, ...] = ()
    usb: tuple[str, ...] = ()
    says: tuple[str, ...] = ()  # texts of its answer to M115 or $I that no other firmware says
    ask_position: str = ""  # line that asks an idle machine where it stands; empty: it tells
    ask_settings: str = ""  # line that asks for the settings it keeps; empty: nothing does
    identify: tuple[str, ...] = ()  # lines that beep or show a text and change nothing
    expected_s: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    realtime: Mapping[str, str] = field(default_factory=lambda: _NO_BYTES)  # by REALTIME
    verified_on: str = ""  # real board and date; empty while nobody has
    heat_rise_c: float = 2.0  # what a heater must gain in its `heat_rise_s`
    heat_rise_s: Mapping[str, float] = field(default_factory=lambda: _RISE_S)
    heat_near_c: float = 5.0  # so near to its target it has arrived
    heat_over_c: Mapping[str, float] = field(default_factory=lambda: _OVER_C)
    heat_max_c: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    heat_stale_s: float = 10.0  # longest time without a report while a heater is on
    idle_heat_off_s: float = 600.0  # heat without a run, until it is switched off
    pause: Pausing = Pausing()  # of printers
    changes_tools: bool = False  # M6 is the firmware's own; else the host stops before it
    spin_up_s: float = 4.0  # from spindle on until it may cut
    button_commands: bool = False  # buttons of its prompts are commands for it, not numbers
    withheld: tuple[str, ...] = ()  # words that no such button sends; a `*` ends a beginning
    obeys_shutdown: bool = False  # a machine's `//action:shutdown` ends the run; else ignored

    def uncounted(self, text: str) -> bytes:
        """Return the bytes of a line that goes past all that waits, and that nobody counts."""
        line = text.encode("ascii", "ignore")
        # Who never asks again compares no numbers, but may want a checksum on every line.
        return numbered(0, line) if self.numbered and not self.resends else line + b"\n"

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; `from_json` reads them."""
        plain: dict[str, object] = {}
        for each in fields(self):
            value: object = object.__getattribute__(self, each.name)
            if isinstance(value, tuple):
                plain[each.name] = list(value)
            elif isinstance(value, Mapping):
                plain[each.name] = dict(value)
            elif isinstance(value, Pausing):
                plain[each.name] = value.to_json()
            else:
                plain[each.name] = value
        return plain

    @classmethod
    def from_json(cls, values: Mapping[str, object], file: str = "host.json") -> FirmwareProfile:
        """Read what `to_json` wrote or a TOML holds.

        :param file: where the values stand, for the error's sentence.
        :raises ProfileError: naming the wrong key and the nearest right one.
        """
        known = {each.name: each for each in fields(cls)}
        for key in values:
            if key not in known:
                # A host never misspells a key, and is spared what only a typo needs.
                from difflib import get_close_matches

                near = get_close_matches(key, known, n=1, cutoff=0.0)
                raise ProfileError("profile.unknown_key", file=file, key=key, nearest=near[0])
        read: dict[str, object] = {}
        for key, each in known.items():
            if key in values:
                read[key] = _read(str(each.type), key, values[key], file)
            elif each.default is MISSING and each.default_factory is MISSING:
                raise ProfileError("profile.missing_key", file=file, key=key)
        profile = cls(**read)  # type: ignore[arg-type]
        if profile.dialect not in DIALECTS:
            wanted = " or ".join(sorted(DIALECTS))
            raise ProfileError("profile.bad_value", file=file, key="dialect", wanted=wanted)
        try:
            re.compile(profile.banner)
        except re.error as error:
            wanted = "a regular expression"
            raise ProfileError(
                "profile.bad_value", file=file, key="banner", wanted=wanted
            ) from error
        if not profile.resends and profile.flow is Flow.NUMBERED_WINDOW:
            # Lines behind a lost one would be executed without it.
            raise ProfileError(
                "profile.bad_value", file=file, key="flow", wanted=Flow.SEND_RESPONSE.value
            )
        return profile


def profile_names(overrides: Path | None = None) -> list[str]:
    """Return the names that `load_profile` knows, sorted."""
    from importlib import resources  # a host reads its profile from its own file

    ours = {
        Path(item.name).stem
        for item in resources.files("firmware_profiles").iterdir()
        if item.name.endswith(".toml")
    }
    theirs = {file.stem for file in overrides.glob("*.toml")} if overrides else set()
    return sorted(ours | theirs)


def load_profile(name: str, overrides: Path | None = None) -> FirmwareProfile:
    """Return the profile of that name; a file in *overrides* takes the place of ours.

    :raises ProfileError: if there is none, or a key or value in it is wrong.

    >>> load_profile("grbl-1.1").rx_bytes
    127
    """
    import tomllib
    from importlib import resources

    if name not in profile_names(overrides):
        known = ", ".join(profile_names(overrides))
        raise ProfileError("profile.unknown", name=name, known=known)
    file = f"{name}.toml"
    try:
        if overrides and (own := overrides / file).is_file():
            file = str(own)
            text = own.read_text("utf-8")
        else:
            text = (resources.files("firmware_profiles") / file).read_text("utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise ProfileError("profile.not_toml", file=file, problem=str(error)) from error
    return FirmwareProfile.from_json({"name": name} | values, file)


def _read(kind: str, key: str, value: object, file: str) -> object:
    """Return *value* as *kind* says, or refuse with what is wanted there."""
    match kind, value:
        case "bool", bool():
            return value
        case _, bool():
            pass
        case "int", int() if value > 0 or (value == 0 and key == "command_queue"):
            return value
        case "float", int() | float() if value > 0:
            return float(value)
        case "str", str():
            return value
        case "Flow", str() if value in list(Flow):
            return Flow(value)
        case "OkMeans", str() if value in list(OkMeans):
            return OkMeans(value)
        case "tuple[str, ...]", list() if all(isinstance(item, str) for item in value):
            return tuple(value)
        case "Pausing", dict():
            return Pausing.from_json(value, file)
        case "Mapping[str, float]", dict() if all(
            isinstance(item, int | float) and item > 0 for item in value.values()
        ):
            return MappingProxyType({word: float(item) for word, item in value.items()})
        case "Mapping[str, str]", dict():
            return _realtime(value, file)
    raise ProfileError("profile.bad_value", file=file, key=key, wanted=_WANTED.get(kind, kind))


def _realtime(values: Mapping[str, object], file: str) -> Mapping[str, str]:
    """Return the realtime bytes; a word nobody would send is a typo."""
    for word, byte in values.items():
        if word not in REALTIME:
            from difflib import get_close_matches

            near = get_close_matches(word, REALTIME, n=1, cutoff=0.0)[0]
            raise ProfileError("profile.unknown_key", file=file, key=word, nearest=near)
        # Anything else would stand in the middle of a line instead of outside the stream.
        if not isinstance(byte, str) or not re.fullmatch(r"[?!~\x18\x80-\xff]", byte):
            wanted = "one byte of ? ! ~ 0x18 or 0x80-0xff"
            raise ProfileError("profile.bad_value", file=file, key=word, wanted=wanted)
    return MappingProxyType({word: str(byte) for word, byte in values.items()})


_WANTED = {
    "bool": "true or false",
    "int": "a whole number above 0",
    "float": "a number above 0",
    "str": "a text",
    "Flow": " or ".join(Flow),
    "OkMeans": " or ".join(OkMeans),
    "tuple[str, ...]": "a list of texts",
    "Mapping[str, float]": "a table of numbers above 0",
    "Mapping[str, str]": "a table of bytes",
    "Pausing": "a table",
}
