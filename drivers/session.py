"""One engine, one transport, one program: bytes and time move here, nothing is decided."""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Mapping, Sequence

from drivers.acts import Order, Reach
from drivers.engine import StreamEngine, stream_engine
from drivers.engine.state import dump
from drivers.express import Lane
from drivers.flow import Program
from drivers.mark import Word
from drivers.profile import FirmwareProfile
from drivers.snapshot import Event, Reached, Snapshot
from drivers.transport import Transport
from drivers.wirelog import WireLog

QUEUE_TIME = 0.020  # of bytes that may wait in the kernel, so that a stop is never late [s]
_LOOK_AGAIN = 0.005  # until the kernel's queue has moved on [s]
_MUCH = 4096  # bytes in one piece, read or written, after which there may be more
_ROUNDS = 64  # of engine and wire in one call; the selector's others want their turn too

Wait = Callable[[float], list[tuple[int, int]]]  # as `poll` of a `select.poll`, in milliseconds
Clock = Callable[[], float]  # monotonic [s]
#: Hears which lines will be done, and which will have left, now and after each of the next answers;
#: says where to write down how many of those answers have come, and what to add to that number.
#: None: each must be noted in another way.
Expect = Callable[[Sequence[tuple[int, int]]], tuple[Word, int] | None]


def _forget(reach: Sequence[tuple[int, int]]) -> tuple[Word, int] | None:
    """Have nothing written down."""
    del reach
    return [0], 0


class Session:
    """The live conversation with a machine.

    Wait until `fileno` is readable (or writable, if `wants_write`) or `deadline` has come,
    then call `ready`. Every method may raise PortError `port.lost`.

    :param publish: called with each event, in order.
    :param reach: where the machine can go, if that is known.
    :param engine: one that has a conversation behind it; a new one if None.
    """

    #: A program comes from here line by line: without us it ends.
    works_alone = False
    #: The kernel took less than we gave: wait until the port takes bytes again.
    wants_write = False

    def __init__(
        self,
        transport: Transport,
        profile: FirmwareProfile,
        publish: Callable[[Event], None],
        reach: Reach | None = None,
        engine: StreamEngine | None = None,
    ) -> None:
        self._transport = transport
        self._profile = profile
        self._publish = publish
        self._engine = engine or stream_engine(profile, 0.0)
        if reach is not None:
            self._engine.reach = reach
        self._opened = engine is not None
        self._log: WireLog | None = None
        self._is_asked = False  # the log has a call open
        self._pending = b""
        self._look_at: float | None = None
        self._queue_max = max(int(profile.baud / 10.0 * QUEUE_TIME), 16)
        self._queued = self._queue_max  # at most: the kernel is asked when that could be too many

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._transport.fileno()

    def deadline(self) -> float | None:
        """Return when `ready` must be called, whatever happens [s, monotonic]."""
        if not self._opened:
            return 0.0
        due = self._engine.deadline()
        if self._look_at is None:
            return due
        return self._look_at if due is None else min(due, self._look_at)

    def ready(self, now: float) -> None:
        """Read what is there, write what may be written, publish what it means."""
        self._ready(now, None)

    def express(self, wait: Wait, clock: Clock, until: float, expect: Expect = _forget) -> bool:
        """Stream for as long as there is nothing but plain answers to moves.

        Does what `ready` would at each of them, at a fraction of the cost; returns, perhaps at
        once, when `ready` or somebody else is wanted.

        :param wait: is given `fileno`, and whatever else should end this, to wait for.
        :param until: when to come back at the latest [s].
        :param expect: is asked once where to note after every answer how far the program is.
        :returns: False if that is not so now; nothing was done then.
        """
        lane = None if self._pending or not self._opened else self._engine.lane()
        if lane is None or (place := expect(lane.reach)) is None:
            return False
        word, base = place
        alone = [(self.fileno(), select.POLLIN)]
        take, read, write = lane.take, self._transport.read, self._transport.write
        # All that may be in the kernel is unanswered: mostly too little to make a stop late.
        room = self._queue_max - self._queued if lane.most > self._queue_max else math.inf
        until = min(until, lane.until)
        data, rest = b"", b""
        now = clock()
        try:
            while now < until and wait(1000.0 * (until - now)) == alone:
                data = read()
                now = clock()
                out = take(data, now)
                if out is None:
                    break
                data = b""
                if out:
                    room -= len(out)
                    if room < 0:
                        room = self._queue_max - self._transport.queued() - len(out)
                    rest = out
                    rest = out[write(out) :] if room >= 0 else out
                word[0] = base + lane.answers
                if rest:
                    break
        finally:
            self._land(lane, rest)
        if rest:
            self._hand_over(now)
        elif data:
            self._ready(now, data)
        return True

    def _land(self, lane: Lane, rest: bytes) -> None:
        """Take in what came of a lane.

        :param rest: of what was to leave last, and has not yet.
        """
        heard = lane.heard()
        self._engine.land(lane, heard)
        self._pending = rest
        left = sum(len(wake.out) for wake in heard) - len(rest)
        self._queued = min(self._queued + left, max(lane.most, self._queue_max))
        if self._log is None:
            return
        for wake in heard:
            out = wake.out
            if rest and wake is heard[-1]:
                out = out[: len(out) - len(rest)]
            self._log.at(wake.at)
            self._log.rx(wake.data)
            if out:
                self._log.tx(out)

    def _ready(self, now: float, data: bytes | None) -> None:
        """Do what `ready` says the long way.

        :param data: what was read already; None if nothing was.
        """
        if not self._opened:
            self._opened = True
            self._engine.connect(now)
        if self._log is not None:
            self._ready_and_note(self._log, now, data)
            return
        self._move(now, data)

    def _move(self, now: float, data: bytes | None) -> None:
        for _ in range(_ROUNDS):
            if data is None:
                data = self._transport.read()
            if data and self._log is not None:
                self._log.rx(data)
            for event in self._engine.receive(data, now):
                self._publish(event)
            # A second look costs as much as the first: only where there may be more.
            if not self._write(now) and len(data) < _MUCH:
                break
            data = None

    def record(self, log: WireLog | None) -> None:
        """Note every byte from now on in *log*; None: no more.

        The log begins with what the conversation has come to.
        """
        self._log = log
        if log is not None:
            pending = self._pending.decode("latin-1")
            known = {"profile": self._profile.to_json(), "pending": pending}
            log.head({"wire": 1, **known, "engine": dump(self._engine)})

    def resume_with(self, pending: bytes, queue: int) -> None:
        """Take up a conversation in which *pending* had not left yet.

        :param queue: bytes that may wait in the kernel.
        """
        self._pending, self._queue_max, self._queued = pending, queue, queue

    def _ready_and_note(self, log: WireLog, now: float, data: bytes | None) -> None:
        """Move bytes as ever, and note also a call in which only time passed."""
        if self._is_asked:
            self._is_asked = False
        else:
            log.at(now)
        due = self._engine.deadline()
        rings = due is not None and due <= now
        had = bool(self._pending)
        self._move(now, data)
        if rings or (self._pending and not had):
            log.passed()

    def _note(self, word: str, now: float, fields: Mapping[str, object] | None = None) -> None:
        if self._log is not None:
            self._log.do(now, word, fields)
            self._is_asked = True

    def connect(self, now: float) -> None:
        """Begin the conversation anew, as after a stop that a person has looked at."""
        self._note("connect", now)
        self._opened = True
        self._engine.connect(now)
        self._ready(now, None)

    def start(self, program: Program, now: float, run: str = "") -> bool:
        """Begin to stream; False if the machine is not idle."""
        self._note("start", now, {"run": run, "lines": len(program)})
        accepted = self._engine.start(program, now, run)
        self._ready(now, None)
        return accepted

    def adopt(self, program: Program, now: float, run: str = "") -> bool:  # noqa: ARG002 (the seam)
        """Take up a run that went on without us: there is none."""
        return False

    def pause(self, now: float) -> bool:
        """Pause; False if nothing runs."""
        self._note("pause", now)
        accepted = self._engine.pause(now)
        self._ready(now, None)
        return accepted

    def resume(self, now: float) -> bool:
        """Go on; False if nothing is paused."""
        self._note("resume", now)
        accepted = self._engine.resume(now)
        self._ready(now, None)
        return accepted

    def cancel(self, now: float) -> bool:
        """Cancel; False if nothing runs."""
        self._note("cancel", now)
        accepted = self._engine.cancel(now)
        self._ready(now, None)
        return accepted

    def stop(self, now: float) -> bool:
        """Stop at once: its bytes are in the kernel before anything else happens."""
        self._note("stop", now)
        accepted = self._engine.stop(now)
        self._write_urgent(now)
        self._ready(now, None)
        return accepted

    def command(self, line: bytes, now: float) -> bool:
        """Send one bare line between program lines; False if it cannot be taken."""
        self._note("command", now, {"line": line.decode("latin-1")})
        accepted = self._engine.command(line, now)
        self._ready(now, None)
        return accepted

    def act(self, order: Order, reach: Reach, now: float) -> str:
        """Have the machine do something besides a program; "" or the code of its "no"."""
        self._note("act", now, {"order": order.to_json(), "reach": dict(reach)})
        code = self._engine.act(order, reach, now)
        self._ready(now, None)
        return code

    def answer(self, number: int, choice: int, now: float) -> bool:
        """Answer what the machine asks; False if that prompt is not open."""
        self._note("answer", now, {"number": number, "choice": choice})
        accepted = self._engine.answer(number, choice, now)
        self._ready(now, None)
        return accepted

    def read_offsets(self, now: float) -> bool:
        """Ask an idle controller for its offsets; False if it cannot tell now."""
        accepted = self._engine.read_offsets(now)
        self._ready(now, None)
        return accepted

    def reached(self) -> Reached:
        """Return how far the program has come."""
        return self._engine.reached()

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at this instant."""
        return self._engine.snapshot(now)

    def reset_on_close(self) -> None:
        """Have the board start anew before the port is opened next: a person asked for it.

        Where no line of the port resets it, or that is not enough, the profile's `revive` does.
        """
        if revive := self._profile.revive:
            lines = b"".join(self._profile.uncounted(line) for line in revive)
            self._transport.write(b"\n" + lines)
        self._transport.reset_on_close()

    def close(self) -> None:
        """Give the port back."""
        self._transport.close()

    def _write(self, now: float) -> bool:
        """Write what may be written; True if all of much went, so more may be asked for."""
        self._write_urgent(now)
        if not self._pending:
            self._pending = self._engine.data_to_send(now)
        return self._hand_over(now)

    def _hand_over(self, now: float) -> bool:
        """Give the kernel what it may hold of the pending bytes; True if all of much went."""
        self._look_at = None
        self.wants_write = False
        if not self._pending:
            return False
        room = self._queue_max - self._queued
        if room < len(self._pending):
            self._queued = self._transport.queued()
            room = self._queue_max - self._queued
        if room <= 0:
            self._look_at = now + _LOOK_AGAIN
            return False
        portion, rest = self._pending[:room], self._pending[room:]
        self._put(portion)
        self._pending += rest
        if rest and not self.wants_write:
            self._look_at = now + _LOOK_AGAIN
        return len(portion) >= _MUCH and not self._pending

    def _put(self, portion: bytes) -> None:
        """Give the kernel bytes for which its queue has room; what it does not take is pending."""
        written = self._transport.write(portion)
        self._queued += written
        if self._log is not None and written:
            self._log.tx(portion[:written])
        self._pending = portion[written:]
        self.wants_write = bool(self._pending)

    def _write_urgent(self, now: float) -> None:
        flush = self._engine.flush_first
        urgent = self._engine.urgent_to_send(now)
        if flush:
            self._pending = b""
            self._transport.discard_output()
        if not urgent:
            return
        written = self._transport.write(urgent)
        self._queued += written
        if self._log is not None and written:
            self._log.tx(urgent[:written])
        # A full queue took only a part: the rest goes before everything else.
        self._pending = urgent[written:] + self._pending
