"""Replay a wire log: what was received goes into a fresh engine, what it sends is compared.

`python -m drivers.replay FILE… [--stream PROGRAM]` says where the engine of today would have
acted otherwise; exit 0 if nowhere. A transcript in `tests/corpus/wire` is a test by itself.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers.acts import Order
from drivers.engine import stream_engine
from drivers.engine.state import restore
from drivers.errors import DriverError, ReplayError
from drivers.profile import FirmwareProfile
from drivers.session import Session
from drivers.snapshot import Event, Snapshot


class Lines:
    """A program in memory; a line of it is the same line of the file."""

    def __init__(self, text: bytes) -> None:
        self._lines = text.splitlines()

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> bytes:
        return self._lines[index]

    def source_line(self, index: int) -> int:
        return index + 1


@dataclass(slots=True)
class Call:
    """One call of a session: when, what was asked, and the bytes that moved."""

    t: float
    asked: Mapping[str, object]
    moved: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the engine of today does something else.

    :param t: of the log [s].
    """

    t: float
    logged: bytes
    sent: bytes

    def __str__(self) -> str:
        return f"at {self.t:.6f} s: logged {self.logged!r}, now {self.sent!r}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    :param difference: the first one; behind it nothing can be compared.
    :param has_gap: the log's middle was dropped; it was replayed up to there.
    """

    calls: int
    received: int  # bytes
    sent: int
    difference: Difference | None
    events: list[Event]
    last: Snapshot
    has_gap: bool


class _Wire:
    """The transport of a replay: it gives and takes what the log says, and no more."""

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self.call = Call(0.0, {})
        self.difference: Difference | None = None
        self.received = self.sent = 0

    def fileno(self) -> int:
        return -1

    def read(self) -> bytes:
        if not self.call.moved or self.call.moved[0][0] != "rx":
            return b""
        data = self.call.moved.pop(0)[1]
        self.received += len(data)
        return data

    def write(self, data: bytes) -> int:
        if not self.call.moved or self.call.moved[0][0] != "tx":
            self._differ(b"", data)
            return 0
        logged = self.call.moved.pop(0)[1]
        if not data.startswith(logged):
            self._differ(logged, data)
        self.sent += len(logged)
        return len(logged)

    def queued(self) -> int:
        if self.call.moved and self.call.moved[0][0] == "tx":
            return self._queue - len(self.call.moved[0][1])
        return self._queue

    def set_baud(self, baud: int) -> None:
        pass

    def discard_output(self) -> None:
        pass

    def reset_on_close(self) -> None:
        pass

    def close(self) -> None:
        pass

    def finish(self) -> None:
        """Find what the log says was sent in this call and was not."""
        for word, data in self.call.moved:
            if word == "tx":
                self._differ(data, b"")

    def _differ(self, logged: bytes, sent: bytes) -> None:
        if self.difference is None:
            self.difference = Difference(self.call.t, logged, sent)


def replay(lines: Iterable[str], stream: bytes | None = None) -> Replayed:
    """Replay a log.

    :param stream: the stream file, unless the log carries it.
    :raises ReplayError: if it is no wire log, or the program is needed and not there.
    """
    entries = _entries(lines)
    head = next(entries, {})
    if "stream" in head:
        stream, head = str(head["stream"]).encode("latin-1"), next(entries, {})
    profile, state = head.get("profile"), head.get("engine")
    if head.get("wire") != 1 or not isinstance(profile, dict) or not isinstance(state, dict):
        raise ReplayError("replay.no_log")
    known = FirmwareProfile.from_json(profile)
    engine = stream_engine(known, 0.0)
    restore(engine, state)
    events: list[Event] = []
    # The session asks how much room there is; the log is what answers.
    wire = _Wire(1 << 30)
    session = Session(wire, known, events.append, engine=engine)
    session.resume_with(str(head.get("pending", "")).encode("latin-1"), 1 << 30)
    count, t, has_gap = 0, 0.0, False
    for call in _calls(entries):
        if call.asked.get("gap"):
            has_gap = True
            break
        count, t, wire.call = count + 1, call.t, call
        _again(session, call, stream)
        wire.finish()
        if wire.difference is not None:
            break
    last = session.snapshot(t)
    return Replayed(count, wire.received, wire.sent, wire.difference, events, last, has_gap)


def _again(session: Session, call: Call, stream: bytes | None) -> None:
    asked, t = call.asked, call.t
    match asked.get("do"):
        case None:
            session.ready(t)
        case "start":
            if stream is None:
                raise ReplayError("replay.no_program")
            session.start(Lines(stream), t, str(asked.get("run", "")))
        case "connect":
            session.connect(t)
        case "pause":
            session.pause(t)
        case "resume":
            session.resume(t)
        case "cancel":
            session.cancel(t)
        case "stop":
            session.stop(t)
        case "command":
            session.command(str(asked.get("line", "")).encode("latin-1"), t)
        case "answer":
            number, choice = asked.get("number"), asked.get("choice")
            if not isinstance(number, int) or not isinstance(choice, int):
                raise ReplayError("replay.no_log")
            session.answer(number, choice, t)
        case "act":
            order, reach = asked.get("order"), asked.get("reach")
            if not isinstance(order, dict) or not isinstance(reach, dict):
                raise ReplayError("replay.no_log")
            session.act(Order.from_json(order), {k: (v[0], v[1]) for k, v in reach.items()}, t)
        case other:
            raise ReplayError("replay.unknown_word", word=str(other))


def _entries(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ReplayError("replay.no_log") from error
        if not isinstance(entry, dict):
            raise ReplayError("replay.no_log")
        yield entry


def _calls(entries: Iterable[dict[str, object]]) -> Iterator[Call]:
    call: Call | None = None
    for entry in entries:
        t = entry.get("t")
        if isinstance(t, int | float) or "gap" in entry:
            if call is not None:
                yield call
            call = Call(float(t) if isinstance(t, int | float) else 0.0, entry)
        if call is None:
            raise ReplayError("replay.no_log")
        for word in ("rx", "tx"):
            if isinstance(data := entry.get(word), str):
                call.moved.append((word, data.encode("latin-1")))
    if call is not None:
        yield call


def read_log(paths: Iterable[Path]) -> Iterator[str]:
    """Return the lines of a log, packed or not; one that was cut off ends where it was cut."""
    for path in paths:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            try:
                yield from file
            except EOFError:
                return


def main(arguments: list[str]) -> int:
    """Replay and say how it went; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m drivers.replay", description=__doc__)
    parser.add_argument("log", nargs="+", type=Path, help="the pieces of one log, in order")
    parser.add_argument("--stream", type=Path, help="the program's stream file")
    wishes = parser.parse_args(arguments)
    try:
        stream = wishes.stream.read_bytes() if wishes.stream else None
        done = replay(read_log(wishes.log), stream)
    except (DriverError, OSError) as error:
        sys.stderr.write(f"It cannot be replayed: {error}.\n")
        return 2
    end = "up to where its middle was dropped" if done.has_gap else "to its end"
    sys.stdout.write(
        f"{done.calls} calls, {done.received} bytes received, {done.sent} sent; "
        f"{done.last.acked} of {done.last.total} lines acknowledged, "
        f"{done.last.resends} resends, phase {done.last.phase}.\n"
    )
    if done.difference is None:
        sys.stdout.write(f"The same {end}.\n")
        return 0
    sys.stdout.write(f"Another way {done.difference}.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
