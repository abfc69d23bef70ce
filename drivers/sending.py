"""Send one file to one port: no node, no journal, for a hobbyist at a terminal."""

from __future__ import annotations

import mmap
import select
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from drivers.dialects import DIALECTS, Dialect, suspect
from drivers.errors import PortError, ProgramError
from drivers.gcode import tight
from drivers.heat import HeatAlarm, MachineHeat, Readings
from drivers.profile import FirmwareProfile
from drivers.session import Session
from drivers.snapshot import (
    LOCKED,
    Cancelled,
    Event,
    Failed,
    Finished,
    Phase,
    Snapshot,
    TemperatureRead,
)
from drivers.transport import open_transport

_TICK = 0.2  # between two looks at `should_stop` and the progress [s]
_PATIENCE = 30.0  # for the first answer, on top of the boot [s]
_SAFE_WAIT = 15.0  # for the machine to be made safe after a failure [s]
_STOP_WAIT = 6.0  # after an emergency stop, which is repeated while the machine talks on [s]

Attend = Callable[[Snapshot, Session, float], str]


class Result(StrEnum):
    """How a sending ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # the port went away


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a file.

    :param lines: acknowledged lines.
    :param time_s: from the first line to the end.
    :param reason: code of what went wrong, empty if nothing did.
    :param line: 1-based line of the file to blame, 0 if none.
    :param text: the firmware's own words.
    :param fields: numbers of the reason's sentence; the unit is in each name.
    """

    lines: int
    time_s: float
    resends: int
    result: Result
    reason: str = ""
    line: int = 0
    text: str = ""
    fields: Mapping[str, str | float] = field(default_factory=dict)


class FileProgram(AbstractContextManager["FileProgram"]):
    """The lines of a G-code file that say something, read from the open file as needed.

    Twelve bytes of memory a line, whatever its length; the file is mapped, not read.

    :param dialect: of the machine: what a comment is, and which words are commands.
    :raises ProgramError: `program.unreadable` if there is no such file.
    """

    def __init__(self, path: Path, dialect: Dialect = DIALECTS["marlin"]) -> None:
        self._bare, self._first_of = dialect.bare, dialect.first_of
        self._is_gcode = dialect.is_gcode
        try:
            with path.open("rb") as file:
                self._size = path.stat().st_size
                # An empty file cannot be mapped.
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) if self._size else None
        except OSError as error:
            raise ProgramError(
                "program.unreadable", file=str(path), problem=error.strerror or str(error)
            ) from error
        self._starts = array("Q")
        self._sources = array("L" if array("L").itemsize == 4 else "I")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._map is not None:
            self._map.close()

    def __enter__(self) -> Self:
        return self

    def scan(self, forbidden: Sequence[str], line_max: int) -> None:
        """Find the lines, and refuse the program before its first byte if it may not run.

        :param forbidden: command words of the profile; none: nothing is forbidden.
        :param line_max: most bytes of a line, newline included.
        :raises ProgramError: naming the 1-based line.
        """
        suspicious = suspect(forbidden)
        start = source = 0
        while self._map is not None and start < self._size:
            end = self._map.find(b"\n", start)
            end = self._size if end < 0 else end
            source += 1
            if line := self._bare(self._map[start:end]):
                if len(line) >= line_max:
                    raise ProgramError(
                        "program.line_too_long", line=source, bytes=len(line), limit=line_max - 1
                    )
                if suspicious.search(line) and (word := self._first_of(line, forbidden)):
                    raise ProgramError("program.forbidden", line=source, command=word)
                self._starts.append(start)
                self._sources.append(source)
            start = end + 1
        if not self._starts:
            raise ProgramError("program.empty")

    def __len__(self) -> int:
        return len(self._starts)

    def line(self, index: int) -> bytes:
        """Return a bare line without newline; *index* counts from 0.

        A move has lost its blanks, as in a node's stream: a twentieth of what a cable carries.
        """
        if self._map is None:
            return b""
        start = self._starts[index]
        end = self._map.find(b"\n", start)
        line = self._bare(self._map[start : end if end >= 0 else self._size])
        return tight(line) if self._is_gcode else line

    def source_line(self, index: int) -> int:
        """Return the 1-based line of the file."""
        return self._sources[index]


def send_file(
    path: Path,
    port: str,
    profile: FirmwareProfile,
    *,
    baud: int | None = None,
    on_progress: Callable[[Snapshot], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    attend: Attend = lambda _state, _session, _now: "",
    allow_unchecked: bool = False,
) -> SendResult:
    """Stream a file and return how it went.

    :param baud: None takes the profile's.
    :param on_progress: called about five times a second.
    :param should_stop: True ends the run in an orderly way, heaters and spindle off.
    :param attend: answers what the machine asks a person; a code that it returns is why the run
        ends, in an orderly way as well.
    :param allow_unchecked: send commands that the profile forbids, too.
    :raises ProgramError: if the file may not be sent; nothing has been sent then.
    :raises PortError: if the port cannot be opened.
    """
    with FileProgram(path, DIALECTS[profile.dialect]) as program:
        program.scan(() if allow_unchecked else profile.forbidden, profile.max_line_bytes)
        sending = _Sending(port, replace(profile, baud=baud or profile.baud), program)
        try:
            return sending.run(on_progress, should_stop, attend)
        finally:
            sending.session.close()


class _Sending:
    """One run of one program over one session."""

    def __init__(self, port: str, profile: FirmwareProfile, program: FileProgram) -> None:
        self.session = Session(open_transport(port, profile.baud), profile, self._take)
        self._program = program
        self._end: Finished | Cancelled | Failed | None = None
        self._heat = MachineHeat(profile)
        self._readings: list[tuple[Readings, float]] = []
        self._began: float | None = None
        self._give_up_at = time.monotonic() + profile.boot_wait_s + _PATIENCE
        self._poll = select.poll()  # asked at every answer: registered once, not at every call
        self._watched = select.POLLIN
        self._poll.register(self.session.fileno(), self._watched)

    def run(
        self,
        on_progress: Callable[[Snapshot], None],
        should_stop: Callable[[], bool],
        attend: Attend,
    ) -> SendResult:
        """Move bytes until the program has ended one way or another."""
        cancelled, why = False, ""
        told_at = 0.0
        try:
            while self._end is None:
                now = self._turn()
                if self._began is None and self.session.start(self._program, now):
                    self._began = now
                if now - told_at < _TICK:
                    continue
                told_at = now
                state = self.session.snapshot(now)
                on_progress(state)
                if (alarm := self._feel(state, now)) is not None:
                    return self._stop_for(alarm, now)
                why = why or attend(state, self.session, now)
                if self._began is None and state.controller == LOCKED:
                    self._give_up_at = now + _PATIENCE  # it has answered: a person unlocks it
                if not cancelled and (why or should_stop()):
                    cancelled = True
                    if not self.session.cancel(now):
                        return self._result(Result.FAILED if why else Result.CANCELLED, why)
                if self._began is None and now >= self._give_up_at:
                    return self._result(Result.FAILED, "machine.no_answer")
            self._make_safe()
        except PortError as error:
            return self._result(Result.INTERRUPTED, error.code)
        on_progress(self.session.snapshot(time.monotonic()))
        match self._end:
            case Finished():
                return self._result(Result.DONE)
            case Cancelled():
                return self._result(Result.FAILED if why else Result.CANCELLED, why)
            case Failed(code=code, line=line, text=text):
                return self._result(Result.FAILED, code, line, text)

    def _turn(self) -> float:
        """Wait for the port or the time, act, and return the time [s]."""
        session, now = self.session, time.monotonic()
        if self._watched == select.POLLIN and self._began is not None:
            session.express(self._poll.poll, time.monotonic, now + _TICK)
            now = time.monotonic()
        due = session.deadline()
        wait = _TICK if due is None else min(max(due - now, 0.0), _TICK)
        wanted = select.POLLIN | (select.POLLOUT if session.wants_write else 0)
        if wanted != self._watched:
            self._watched = wanted
            self._poll.modify(session.fileno(), wanted)
        self._poll.poll(1000.0 * wait)
        now = time.monotonic()
        session.ready(now)
        return now

    def _make_safe(self) -> None:
        """Stay until a failed machine is switched off, as far as it can be."""
        until = time.monotonic() + _SAFE_WAIT
        while self.session.snapshot(0.0).phase is Phase.FAULT and time.monotonic() < until:
            self._turn()

    def _feel(self, state: Snapshot, now: float) -> HeatAlarm | None:
        """Return what is wrong with a heater by what was heard since the last look."""
        readings, self._readings = self._readings, []
        for temperatures, at in readings:
            self._heat.hear(temperatures, state, at)
        return self._heat.alarm(state, now)

    def _stop_for(self, alarm: HeatAlarm, now: float) -> SendResult:
        """Emergency stop because of a heater; stay for as long as it may have to be repeated."""
        self.session.stop(now)
        result = self._result(Result.FAILED, alarm.code, fields=alarm.fields())
        while self.session.deadline() is not None and time.monotonic() < now + _STOP_WAIT:
            self._turn()
        return result

    def _take(self, event: Event) -> None:
        if isinstance(event, Finished | Cancelled | Failed):
            self._end = event
        elif isinstance(event, TemperatureRead):
            self._readings.append((event.temperatures, time.monotonic()))

    def _result(
        self,
        result: Result,
        reason: str = "",
        line: int = 0,
        text: str = "",
        fields: Mapping[str, str | float] = MappingProxyType({}),
    ) -> SendResult:
        now = time.monotonic()
        state = self.session.snapshot(now)
        took = now - self._began if self._began is not None else 0.0
        return SendResult(state.acked, took, state.resends, result, reason, line, text, fields)
