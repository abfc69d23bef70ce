"""One run of the fault campaign: a board, a program, some misfortune, and what must still hold.

Everything comes from the run's number, so that a run that failed can be had again.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import reduce
from operator import xor
from pathlib import Path
from types import ModuleType

from drivers.profile import Flow, load_profile
from drivers.simulators import SIMULATORS
from drivers.snapshot import Phase

_LONGEST_S = 3.0 * 3600.0  # of virtual time; the longest misfortune takes 20 minutes
_AFTER_S = 90.0  # in which a run that is over must not go on
_HEADS = {"marlin": "G28", "grbl": "G90G21", "farmbot": "F41 P13 V0 M0"}
_MOVES = {"marlin": "G1 X{} Y{} F6000", "grbl": "G1X{}Y{}F6000", "farmbot": "G00 X{} Y{} Z0"}
_ANSWERS = ("lost-ok", "merged-ok", "late-ok", "doubled-ok")
_BYTES_BACK = ("corrupt-out", "drop-out")
_BYTES_THERE = ("corrupt-in", "drop-in")
_BY_LINE = ("reset", "brownout", "silence", "stall", "busy", "unplug", "limit", "jam", "thermistor")
_SPAN_S = {"marlin": 40, "grbl": 12, "farmbot": 12}  # in which most of a run takes place
_ALIKE = 0.8  # a line with two characters damaged is to the line that was sent
_ENDS = ("finished", "cancelled", "failed", "stopped", "unplugged")


def joined() -> type:
    """Return `Joined` of tests/drivers, which is no package."""
    place = Path(__file__).parents[1] / "drivers" / "conftest.py"
    spec = importlib.util.spec_from_file_location("joined", place)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Joined


JOINED = joined()


@dataclass
class Run:
    """One run and how it ended.

    :param broken: the promises that did not hold.
    """

    number: int
    profile: str
    faults: list[str]
    options: list[str] = field(default_factory=list)
    act: str = ""
    end: str = ""
    code: str = ""
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = " ".join([*self.faults, *self.options, self.act])
        what = f"run {self.number}: {self.profile} {words}"
        return f"{what} -> {self.end} {self.code} {'; '.join(self.broken)}"


def run(name: str, number: int) -> Run:
    """Carry out the run of that number on the simulated machine of that name."""
    luck = random.Random(f"{name} {number}")
    dialect = load_profile(name).dialect
    this = Run(number, name, _misfortune(luck, dialect))
    this.options = _options(luck, name)
    bench = JOINED(name, faults=this.faults, seed=number, options=this.options)
    lines = _program(luck, dialect)
    try:
        bench.start(lines)
    except AssertionError:
        this.end = "never-connected"
        _check(this, bench, lines, [])
        return this
    this.act = luck.choice(["", "", "", "", "cancel", "stop", "pause"])
    try:
        if this.act:
            bench.live(luck.random() * 0.5 * _SPAN_S[dialect])
            _interfere(luck, bench, this.act)
        this.end = bench.until(*_ENDS, longest=_LONGEST_S)
    except AssertionError as error:
        if bench.engine.phase is Phase.PAUSED:
            this.end = "paused"  # it came not back from its pause in time: a person is asked
        else:
            this.end = "hang"
            this.broken.append(f"hang: {error}"[:300])
            return this
    this.code = next((str(event.code) for event in bench.events if event.kind == "failed"), "")
    done = moved(bench, lines)
    if this.end != "unplugged":
        bench.live(_AFTER_S)
        if moved(bench, lines) != done and this.end in ("finished", "cancelled"):
            this.broken.append("it went on after its end")
    _check(this, bench, lines, moved(bench, lines))
    return this


def moved(bench, lines: list[bytes]) -> list[str]:
    """Which of the program's moves were executed, in the order in which they were.

    Damage that leaves the sum as it was, such as one bit flipped in two characters, is seen by no
    firmware; a line that was executed in such a form was sent and taken as it should be.
    """
    order = [_close(line.decode()) for line in lines[1:]]
    wanted = set(order)
    done: list[str] = []
    for fact in bench.machine.record.of("executed"):
        line = _close(str(fact["line"]))
        due = order[len(done)] if len(done) < len(order) else ""
        if line in wanted:
            done.append(line)
        elif (
            fact.get("number") is not None
            and _sum(line) == _sum(due)
            and SequenceMatcher(None, line, due).ratio() > _ALIKE
        ):
            done.append(due)
    return done


def _misfortune(luck: random.Random, dialect: str) -> list[str]:
    faults: list[str] = []
    for _ in range(luck.choice([1, 1, 1, 2, 2, 3])):
        match luck.randrange(5):
            case 0:
                name = luck.choice(_ANSWERS[: 3 if dialect == "grbl" else 4])
                at = luck.random() < 0.5
                value = luck.randint(1, 60) if at else luck.choice([0.01, 0.05, 0.2])
                faults.append(f"{name}{'-at' if at else ''}={value}")
            case 1:
                faults.append(f"{luck.choice(_BYTES_BACK)}={luck.choice([0.0005, 0.002])}")
            case 2 if dialect != "grbl":
                faults.append(f"{luck.choice(_BYTES_THERE)}={luck.choice([0.0005, 0.002])}")
            case 3:
                faults.append(f"alarm-at-s={luck.randint(1, _SPAN_S[dialect])}")
            case _:
                faults.append(f"{luck.choice(_BY_LINE)}-at-line={luck.randint(2, 60)}")
    if dialect == "marlin" and luck.random() < 0.2:
        faults.append(luck.choice(["resend-burst=3", "resend-without-ok=0.3"]))
    return list({fault.partition("=")[0]: fault for fault in faults}.values())


def _options(luck: random.Random, name: str) -> list[str]:
    return [option for option in sorted(SIMULATORS[name].options) if luck.random() < 0.3]


def _program(luck: random.Random, dialect: str) -> list[bytes]:
    # Each move goes to a place of its own, so that every executed line is known again.
    places = luck.sample(range(5, 190), luck.randint(10, 70))
    moves = [_MOVES[dialect].format(x, at % 7) for at, x in enumerate(places)]
    return [line.encode() for line in (_HEADS[dialect], *moves)]


def _interfere(luck: random.Random, bench, act: str) -> None:
    match act:
        case "pause":
            if bench.engine.pause(bench.now):
                bench.live(luck.random() * 30.0)
                bench.engine.resume(bench.now)
        case "cancel":
            bench.engine.cancel(bench.now)
        case "stop":
            bench.engine.stop(bench.now)


def _check(this: Run, bench, lines: list[bytes], done: list[str]) -> None:
    wanted = [_close(line.decode()) for line in lines[1:]]
    # Only a checksum tells a damaged line; a Repetier takes one that was cut before it, too.
    profile = load_profile(this.profile)
    is_checked = profile.flow is Flow.NUMBERED_WINDOW and profile.numbered
    if this.profile == "repetier":
        is_checked = "forced-checksum" in this.options
    spoiled = any(fault.startswith(_BYTES_THERE) for fault in this.faults)
    exact = is_checked or not spoiled
    promises: dict[str, Callable[[], bool]] = {
        # A doubled answer lets one line too many in, until the next question tells.
        "the ring overflowed": lambda: (
            not bench.machine.overflowed or any("doubled" in fault for fault in this.faults)
        ),
        "a line was executed twice or out of order": lambda: (
            not exact or done == wanted[: len(done)]
        ),
        "finished without all lines": lambda: (
            this.end != "finished" or (len(done) == len(wanted) or not exact)
        ),
        "it blames a line that was never sent": lambda: all(
            event.line <= bench.engine.snapshot(bench.now).sent
            for event in bench.events
            if event.kind == "failed"
        ),
        "an emergency stop that nobody asked for": lambda: (
            this.act == "stop"
            or this.code == "machine.cancel_unconfirmed"
            or b"M112" not in bytes(bench.sent)
        ),
        "a failure that nothing caused": lambda: this.end != "failed" or bool(this.faults),
    }
    this.broken += [name for name, holds in promises.items() if not holds()]


def _sum(text: str) -> int:
    return reduce(xor, text.encode("latin-1", "replace"), 0)


def _close(text: str) -> str:
    return text.replace(" ", "")
