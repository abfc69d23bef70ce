"""What a machine is doing: its immutable state at an instant, and the events between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Phase(StrEnum):
    """Where the conversation with a machine stands."""

    CONNECTING = "connecting"
    IDLE = "idle"
    STREAMING = "streaming"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    STOPPED = "stopped"  # by an emergency stop; a person must look first
    FAULT = "fault"  # a program failed; being made safe


class PauseStep(StrEnum):
    """How far a pause has come; each ends within a time that the profile names."""

    HALTING = "halting"  # what was sent is still made
    PARKING = "parking"
    PARKED = "parked"
    COOLED = "cooled"  # parked, and the nozzle was let go cold
    HEATING = "heating"  # on the way back
    RETURNING = "returning"
    TOOL_CHANGE = "tool-change"  # a person puts the next tool in
    AT_MACHINE = "at-machine"  # the machine paused by itself and will say when it goes on


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question of the machine to the person beside it. Its words are not to be trusted.

    :param number: tells it apart from those before it.
    :param text: "" if it only waits and does not say for what.
    :param choices: the answers it offers; empty: there is only *go on*.
    :param commands: what each of them sends, where that is a command of its own; else empty.
    """

    number: int
    text: str = ""
    choices: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; `from_json` reads them."""
        lists = {"choices": list(self.choices), "commands": list(self.commands)}
        return {"number": self.number, "text": self.text, **lists}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Prompt:
        """Read what `to_json` wrote."""
        lists = (values.get(name) for name in ("choices", "commands"))
        return cls(
            int(str(values["number"])),
            str(values.get("text", "")),
            *(tuple(map(str, each)) if isinstance(each, list) else () for each in lists),
        )


# A controller's word for its state, where its board has none: only a person unlocks it.
LOCKED = "Locked"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a machine at an instant, in mm, s and °C.

    :param temperatures: sensor: actual and target.
    :param acked: program lines acknowledged; executed are up to `planner_blocks` fewer.
    :param source_line: 1-based line of the uploaded file that was last acknowledged.
    :param message: code of what a person should know now.
    :param stopped: something ended badly; a person must look before the next start.
    :param starvation_s: time in which nothing was owed although lines were left.
    :param controller: the controller's own word for its state, such as `Hold:0`; "" if it has none.
    :param overrides: of `feed`, `rapid`, `spindle` or `flow` [percent], as far as known.
    :param acts: what a person may have it do now, by `drivers.acts.Act`.
    :param homed: its position is that of the machine.
    :param board: what the firmware told: `uuid`, `machine_type`, `info`; empty: nothing yet.
    :param identity: all that tells this board from others, by `drivers.identity`.
    :param differs: names of what is not as learned of the machine's own board; empty: it is it.
    :param in_use: why somebody seems to use it by hand: `heat`, `motion`, `boot`; "" if nobody.
    :param told: what the firmware told of its own settings, units in the names; empty: nothing.
    :param settings: what it keeps, as lines that would set it, such as `M92 X80.00 Y80.00`, told
        once after it has connected; empty: nothing.
    :param laser: the firmware drives a beam, not a spindle; None if it has not told.
    :param damaged: replies that made no sense; `lost`: answers that never came; both of this run.
    :param narrow_s: time in which the link was so bad that lines went one at a time.
    :param quality: of the link in this run, 0-100; see `drivers.quality`.
    :param at_work: word of a long command whose answer is owed, such as G28; "" if none.
    :param excused_s: time for which no report of temperatures could be expected.
    :param heat_off_s: time until heat that nobody uses is switched off; None: nothing to do.
    :param power: all that a person switches on by heartbeat and plug is on; None: there is none.
    :param plugs: how the plug of each part stands, by `drivers.plug_switch.PlugWord`.
    :param plugs_said: by part: `raw`, its last answer, `at_us`, and what it measures: `watts`,
        `wh` by its own counter.
    :param power_off_s: time until the power goes off if it has cooled; None: nobody asked for it.
    :param kept_by: who asked for that heat to stay on.
    :param prompt: what the machine asks the person beside it.
    :param notice: the last text that it wanted to be shown; not to be trusted.
    :param step: how far a pause has come, "" outside one; see `PauseStep`.
    :param offsets: what the controller told when last asked: `G54` … `G59`, `G92`, `TLO` [mm].
    :param offsets_seq: grows with each such answer; 0 before the first.
    :param modes: words in force then, such as `G54`.
    :param pins: letters of the controller's inputs that are triggered, such as `D` for its door.
    :param presence_every_s: how often somebody has to say that they are there while it runs;
        None: this host keeps no such clock, 0: this machine needs none.
    :param presence_left_s: time until it is held unless they say so; None: nothing burns.
    :param withheld: why its run was held, `presence` or `interlock`; a person there goes on.
    :param interlocks: how each input stands, by `drivers.interlock.Standing`.
    :param reach: where the firmware itself lets it go, in machine coordinates [mm].
    :param tool: number of the tool that a tool change waits for, 0 outside one.
    :param back: how far a person has to jog each axis before it goes on after a tool change,
        because it does not drive there by itself [mm]; empty: it does, or is there.
    """

    phase: Phase
    firmware: str = ""
    connected: bool = False
    temperatures: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    position: Mapping[str, float] = field(default_factory=dict)
    spindle_on: bool = False
    acked: int = 0
    sent: int = 0
    total: int = 0
    resends: int = 0
    lines_s: float = 0.0
    source_line: int = 0
    run: str = ""
    message: str = ""
    stopped: bool = False
    starvation_s: float = 0.0
    controller: str = ""
    overrides: Mapping[str, int] = field(default_factory=dict)
    acts: tuple[str, ...] = ()
    homed: bool = False
    laser: bool | None = None
    told: Mapping[str, bool | float] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    damaged: int = 0
    lost: int = 0
    narrow_s: float = 0.0
    quality: int = 100
    at_work: str = ""
    excused_s: float = 0.0
    heat_off_s: float | None = None
    power: bool | None = None
    plugs: Mapping[str, str] = field(default_factory=dict)
    plugs_said: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    power_off_s: float | None = None
    kept_by: str = ""
    board: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    in_use: str = ""
    prompt: Prompt | None = None
    notice: str = ""
    step: str = ""
    tool: int = 0
    back: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    offsets_seq: int = 0
    modes: tuple[str, ...] = ()
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    pins: str = ""
    presence_every_s: float | None = None
    presence_left_s: float | None = None
    withheld: str = ""
    interlocks: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; `from_json` reads them."""
        return {
            "phase": self.phase.value,
            "firmware": self.firmware,
            "connected": self.connected,
            "temperatures_c": {name: list(pair) for name, pair in self.temperatures.items()},
            "position_mm": dict(self.position),
            "spindle_on": self.spindle_on,
            "acked": self.acked,
            "sent": self.sent,
            "total": self.total,
            "resends": self.resends,
            "lines_s": round(self.lines_s, 1),
            "source_line": self.source_line,
            "run": self.run,
            "message": self.message,
            "stopped": self.stopped,
            "starvation_s": round(self.starvation_s, 3),
            "controller": self.controller,
            "overrides_percent": dict(self.overrides),
            "acts": list(self.acts),
            "homed": self.homed,
            "laser": self.laser,
            "told": dict(self.told),
            "settings": list(self.settings),
            "damaged": self.damaged,
            "lost": self.lost,
            "narrow_s": round(self.narrow_s, 1),
            "quality": self.quality,
            "at_work": self.at_work,
            "excused_s": round(self.excused_s, 1),
            "heat_off_s": _whole(self.heat_off_s),
            "kept_by": self.kept_by,
            "power": self.power,
            "plugs": dict(self.plugs),
            "plugs_said": {part: dict(said) for part, said in self.plugs_said.items()},
            "power_off_s": _whole(self.power_off_s),
            "board": dict(self.board),
            "identity": dict(self.identity),
            "differs": list(self.differs),
            "in_use": self.in_use,
            "prompt": self.prompt.to_json() if self.prompt else None,
            "notice": self.notice,
            "step": self.step,
            "tool": self.tool,
            "back_mm": {axis: round(by, 3) for axis, by in self.back.items()},
            "offsets_mm": {name: list(at) for name, at in self.offsets.items()},
            "offsets_seq": self.offsets_seq,
            "modes": list(self.modes),
            "reach_mm": {axis: list(ends) for axis, ends in self.reach.items()},
            "pins": self.pins,
            "presence_every_s": self.presence_every_s,
            "presence_left_s": _whole(self.presence_left_s),
            "withheld": self.withheld,
            "interlocks": dict(self.interlocks),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Snapshot:
        """Read what `to_json` wrote; keys of a newer version are left aside."""
        known = {each.name for each in fields(cls)}
        plain = {key: value for key, value in values.items() if key in known}
        temperatures = values.get("temperatures_c")
        if isinstance(temperatures, dict):
            plain["temperatures"] = {
                name: (float(pair[0]), float(pair[1])) for name, pair in temperatures.items()
            }
        plain["position"] = values.get("position_mm", {})
        plain["back"] = values.get("back_mm", {})
        plain["overrides"] = values.get("overrides_percent", {})
        acts = values.get("acts")
        plain["acts"] = tuple(str(act) for act in acts) if isinstance(acts, list) else ()
        differs = values.get("differs")
        plain["differs"] = tuple(map(str, differs)) if isinstance(differs, list) else ()
        plain["phase"] = Phase(str(values["phase"]))
        for name in ("offsets", "reach"):
            told = values.get(f"{name}_mm")
            pairs = told.items() if isinstance(told, dict) else ()
            plain[name] = {key: tuple(float(part) for part in at) for key, at in pairs}
        for name in ("modes", "settings"):
            words = values.get(name)
            plain[name] = tuple(map(str, words)) if isinstance(words, list) else ()
        prompt = values.get("prompt")
        plain["prompt"] = Prompt.from_json(prompt) if isinstance(prompt, dict) else None
        return cls(**plain)  # type: ignore[arg-type]


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


class Reached(NamedTuple):
    """How far a program has come: what changes with every line, and costs little to ask for.

    :param acked: program lines acknowledged; `sent`: those that have left.
    """

    phase: Phase
    acked: int
    sent: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The firmware has answered and is ready."""

    kind: ClassVar[str] = "connected"
    firmware: str

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "firmware": self.firmware}


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A program has begun."""

    kind: ClassVar[str] = "run_started"
    total: int

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "total": self.total}


@dataclass(frozen=True, slots=True)
class Happened:
    """The shape of an event that says all by its kind."""

    kind: ClassVar[str] = "happened"

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind}


@dataclass(frozen=True, slots=True)
class Paused(Happened):
    """The machine stands still and waits for `resume`.

    :param reason: "" if a person asked for it, else `machine` or `tool-change`.
    """

    kind: ClassVar[str] = "paused"
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Resumed(Happened):
    """The program goes on."""

    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class Finished(Happened):
    """Every line is acknowledged and the motion is over."""

    kind: ClassVar[str] = "finished"


@dataclass(frozen=True, slots=True)
class Cancelled(Happened):
    """The rest was dropped and everything is switched off."""

    kind: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True)
class Stopped(Happened):
    """An emergency stop has been given."""

    kind: ClassVar[str] = "stopped"


@dataclass(frozen=True, slots=True)
class Failed:
    """The program cannot go on.

    :param line: 1-based line of the uploaded file, 0 if none is to blame.
    :param text: the firmware's own words.
    """

    kind: ClassVar[str] = "failed"
    code: str
    line: int
    text: str

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "code": self.code, "line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True)
class Resent:
    """The firmware asked again. `line`: 1-based line of the uploaded file, 0 if unknown."""

    kind: ClassVar[str] = "resent"
    line: int

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "line": self.line}


@dataclass(frozen=True, slots=True)
class Attention:
    """Somebody should know; the program goes on."""

    kind: ClassVar[str] = "attention"
    code: str
    text: str

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Prompted:
    """The machine asks the person beside it."""

    kind: ClassVar[str] = "prompted"
    prompt: Prompt

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, **self.prompt.to_json()}


@dataclass(frozen=True, slots=True)
class Replied:
    """A person has answered a prompt.

    :param number: of the prompt.
    :param answer: the words of the choice, "" for *go on*.
    """

    kind: ClassVar[str] = "replied"
    number: int
    text: str
    answer: str

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "kind": self.kind,
            "number": self.number,
            "text": self.text,
            "answer": self.answer,
        }


@dataclass(frozen=True, slots=True)
class TemperatureRead:
    """Sensors: actual and target [°C]."""

    kind: ClassVar[str] = "temperature_read"
    temperatures: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        sensors = {name: list(pair) for name, pair in self.temperatures.items()}
        return {"kind": self.kind, "temperatures_c": sensors}


@dataclass(frozen=True, slots=True)
class Said:
    """A line of no known meaning."""

    kind: ClassVar[str] = "said"
    text: str

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"kind": self.kind, "text": self.text}


Event = (
    Connected
    | RunStarted
    | Paused
    | Resumed
    | Finished
    | Cancelled
    | Stopped
    | Failed
    | Resent
    | Attention
    | Prompted
    | Replied
    | TemperatureRead
    | Said
)
