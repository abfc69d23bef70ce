"""What every simulated board shares: time, the line, a main program that waits, a record."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from drivers.simulators.faults import BROWNOUT_S, BUSY_S, STALL_S, Fate, Faults
from drivers.simulators.link import Incoming, Outgoing, Ring
from drivers.simulators.plant import Limits, Planner, Vector

NEVER = float("inf")
KEPT = 100_000  # facts kept in memory; a longer run is read from its file


class Pause(NamedTuple):
    """Why the main program does not go on: a time, a condition, or whichever comes first.

    :param idle: the program is in its idle loop, which still takes bytes from the ring.
    """

    until: float | None = None
    ready: Callable[[], bool] | None = None
    idle: bool = False


MainProgram = Generator[Pause, None, None]


@dataclass(frozen=True, slots=True)
class Board:
    """One simulated machine as it was bought.

    :param envelope: reach of X, Y, Z [mm].
    :param baud: of the line; 0 for a line without pace.
    :param cpu: how many times faster than the 16 MHz AVR board that was measured; 0 for one
        that needs no time at all.
    :param options: firmware options switched on, such as `emergency-parser`.
    :param settings: firmware settings that differ from the stock ones, such as Grbl's `$22`.
    """

    envelope: Vector
    baud: int
    rx_bytes: int
    planner_blocks: int
    cpu: float = 1.0
    options: frozenset[str] = frozenset()
    settings: Mapping[str, float] = field(default_factory=dict)


class Record:
    """What really happened, for tests to compare with what was sent.

    :param file: receives each fact as one line of JSON.
    :param keeps: whether facts are also kept in :attr:`facts`.
    """

    def __init__(self, file: IO[str] | None = None, *, keeps: bool = True) -> None:
        self.facts: list[dict[str, object]] = []
        self._file = file
        self._keeps = keeps

    def add(self, at: float, kind: str, **fields: object) -> None:
        fact: dict[str, object] = {"at_s": round(at, 4), "kind": kind, **fields}
        if self._keeps and len(self.facts) < KEPT:
            self.facts.append(fact)
        if self._file is not None:
            self._file.write(json.dumps(fact) + "\n")

    def of(self, kind: str) -> list[dict[str, object]]:
        return [fact for fact in self.facts if fact["kind"] == kind]


class Firmware(ABC):
    """A board that takes bytes and time, and says bytes.

    The main program is a generator that yields a :class:`Pause`; everything that an
    interrupt would do happens in `_arrive` and `_tick`, whatever the program waits for.
    """

    name: str
    urgent: re.Pattern[bytes] | None  # bytes that are obeyed on arrival, whatever the program does
    newline = re.compile(rb"[\r\n]")

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self.board = board
        self.faults = faults
        self.record = record
        self.now = now
        self.executed = 0  # lines since power on
        self.overflowed = 0  # bytes lost because the ring was full
        self.is_unplugged = False
        self.is_replugged = False  # the port is to go and to come back under another name
        self.is_silent = False  # nothing said, nothing done, until the next reset
        self._alarm_at = faults.alarm_at
        self._takes_from = 0.0  # when it takes bytes from the wire again
        self._speaks_from = 0.0  # when it is heard again
        byte_s = 10.0 / board.baud if board.baud else 0.0
        self._incoming = Incoming(byte_s)
        self._outgoing = Outgoing(byte_s)
        self.ring = Ring(board.rx_bytes)
        self.timers: dict[str, float] = {}
        self.planner: Planner
        self._main: MainProgram
        self._pause = Pause()
        self._boot()

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What the axes can do, by the settings of this moment."""

    @abstractmethod
    def _main_program(self) -> MainProgram:
        """Boot, then read and execute lines for ever."""

    @abstractmethod
    def _arrive(self, data: bytes) -> bytes:
        """Obey urgent bytes as an interrupt would; return what goes into the ring."""

    @abstractmethod
    def _pump(self) -> None:
        """Move bytes from the ring towards the main program, as its idle loop does."""

    @abstractmethod
    def _tick(self, timer: str) -> None:
        """A timer has come due."""

    # The outside: bytes, time, power.

    def write(self, data: bytes, now: float) -> None:
        """Take bytes that the host put on the wire at `now`."""
        self.advance(now)
        self._incoming.write(self.faults.incoming(data), now)

    def read(self, now: float) -> bytes:
        """Everything that has reached the host by `now`."""
        self.advance(now)
        return self._outgoing.take(now)

    def room(self, ahead: int) -> int:
        """How many bytes may be put on the wire if at most `ahead` may be under way."""
        return 0 if self.now < self._takes_from else max(ahead - len(self._incoming), 0)

    def reset(self, now: float) -> None:
        """Press the reset button (or raise DTR)."""
        self.advance(now)
        self.record.add(now, "reset")
        self._boot()

    def _boot(self) -> None:
        self._incoming.clear()
        self._outgoing.clear()
        self.ring.data.clear()
        self.timers.clear()
        self.is_silent = False
        self.planner = Planner(self.limits, self.board.planner_blocks)
        self._main = self._main_program()
        self._pause = Pause(until=self.now)

    def deadline(self) -> float | None:
        """When `read` should be called again, if nothing is written before [s]."""
        said = self._outgoing.next_event()
        inner = self._next()
        return min((t for t in (said, inner) if t is not None), default=None)

    # The inside.

    def advance(self, now: float) -> None:
        """Live through everything up to `now`."""
        while True:
            self._run()
            at = self._next()
            if at is None or at > now:
                break
            self.now = max(self.now, at)
            self._elapse()
        if now > self.now:
            self.now = now
            self._elapse()
            self._run()

    def _next(self) -> float | None:
        if self.is_silent:
            return None
        # This runs a dozen times a line; hence no generators and no lists here.
        pause = self._pause
        soonest = NEVER if pause.until is None else pause.until
        wanted = self.newline if pause.ready is not None else self.urgent
        if wanted is not None and self._incoming:
            at = self._incoming.arrival(wanted)
            if at is not None and at < soonest:
                soonest = at
        at = self.planner.next_event()
        if at is not None and at < soonest:
            soonest = at
        for at in self.timers.values():
            if at < soonest:
                soonest = at
        if self._alarm_at is not None and self._alarm_at < soonest:
            soonest = self._alarm_at
        return None if soonest == NEVER else soonest

    def _elapse(self) -> None:
        """Everything that interrupts do at this instant."""
        if self.is_silent:
            self._incoming.take(self.now)
            return
        if self._alarm_at is not None and self._alarm_at <= self.now:
            self._alarm_at = None
            self.record.add(self.now, "fault", fault="alarm")
            self._alarm()
        self.planner.advance(self.now)
        if self.planner.done:
            for target in self.planner.done:
                self._reached(target)
            self.planner.done.clear()
        if self._incoming:
            self._deliver(self._incoming.take(self.now))
        if self.timers:
            for timer in [name for name, at in self.timers.items() if at <= self.now]:
                del self.timers[timer]
                self._tick(timer)

    def _deliver(self, data: bytes) -> None:
        data = self._arrive(data) if data else data
        while data:
            lost = self.ring.put(data)
            data = data[len(data) - lost :]
            before = len(self.ring.data)
            if self._pause.idle:
                self._pump()
            if data and len(self.ring.data) == before:
                self.overflowed += len(data)
                self.record.add(self.now, "overflowed", count=len(data))
                return

    def _run(self) -> None:
        """Let the main program go on while what it waits for has come."""
        while not self.is_silent:
            pause = self._pause
            if pause.idle:
                self._pump()
                pause = self._pause
            due = pause.until is not None and pause.until <= self.now
            if not due and not (pause.ready is not None and pause.ready()):
                return
            main = self._main
            pause = next(main)
            if main is self._main:  # else the board restarted meanwhile
                self._pause = pause

    def _restart(self, main: MainProgram) -> None:
        """Leave whatever the main program did, and go on in `main` from the next instant."""
        self._main = main
        self._pause = Pause(until=self.now)

    def _busy(self, seconds: float) -> Pause:
        """The processor works for `seconds` of the measured board."""
        return Pause(until=self.now + (seconds / self.board.cpu if self.board.cpu else 0.0))

    def _say(self, text: str) -> None:
        if self.now < self._speaks_from:
            return
        data = self.faults.outgoing(text.encode("ascii", "replace"))
        if data:
            self._outgoing.say(data, self.now)

    def _reply(self, text: str) -> None:
        """Say the answer to a line, if it is not just that which goes wrong."""
        fate = self.faults.answer()
        if fate.late:
            self._outgoing.hold(self.now + fate.late)
        if not fate.is_lost:
            self._say(text.rstrip("\r\n") if fate.is_merged else text)
            if fate.is_doubled:
                self._say(text)
        if fate != Fate():
            self.record.add(self.now, "fault", fault="answer", **fate._asdict())

    @abstractmethod
    def _alarm(self) -> None:
        """Stop itself, as for a thermometer, a limit switch or a button."""

    def _spell(self) -> MainProgram:
        """Be busy before the next line, if that is due; interrupts go on as ever."""
        if "busy" in self.faults.at_line(self.executed + 1):
            self.record.add(self.now, "fault", fault="busy")
            yield Pause(until=self.now + BUSY_S)

    def _restarts(self, befalls: list[str]) -> bool:
        """Restart if that is what befell the board; the caller goes no further then."""
        if not {"reset", "brownout"}.intersection(befalls):
            return False
        self.record.add(self.now, "reset")
        self._boot()
        if "brownout" in befalls:
            self._speaks_from = self.now + BROWNOUT_S
        return True

    def _reached(self, target: Vector) -> None:
        """The carriage has come to a planned place; note it if the machine has no such place."""
        place = self._place(target)
        for axis, at, reach in zip("XYZ", place, self.board.envelope, strict=False):
            if not -0.01 <= at <= reach + 0.01:
                self.record.add(self.now, "struck", axis=axis, place_mm=round(at, 3))

    @abstractmethod
    def _place(self, target: Vector) -> Vector:
        """Where in its envelope the carriage is, the corner nearest to the origin being 0."""

    def _count(self, line: str, **fields: object) -> list[str]:
        """Note an executed line; what befalls the board after it."""
        self.executed += 1
        self.record.add(self.now, "executed", n=self.executed, line=line, **fields)
        befalls = self.faults.at_line(self.executed)
        for word in befalls:
            self.record.add(self.now, "fault", fault=word)
        if "silence" in befalls:
            self.is_silent = True
        if "stall" in befalls:
            self._takes_from = self.now + STALL_S
            self._incoming.hold(self._takes_from)
        if "unplug" in befalls:
            self.is_unplugged = True
        if "replug" in befalls:
            self.is_replugged = True
        return befalls
