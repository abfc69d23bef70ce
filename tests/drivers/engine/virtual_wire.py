"""An engine and a simulated board on one clock without a port: runs cost milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from drivers.engine import StreamEngine, stream_engine
from drivers.profile import FirmwareProfile, load_profile
from drivers.simulators import Firmware, Wishes, build
from drivers.snapshot import Event, Phase


class Lines:
    """A program in memory; line i of it is line i + 1 of the file."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, index: int) -> bytes:
        return self.lines[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Damage:
    """At most one byte of a line is lost or has one bit flipped.

    Two flips of the same bit in one line cancel out in its checksum: no host can know.

    :param chance: of each byte.
    """

    def __init__(self, seed: int, chance: float) -> None:
        self._random = random.Random(seed)
        self._chance = chance
        self._is_done = False

    def of(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            before = self._is_done
            self._is_done = byte != 10 and before
            if before or self._random.random() >= self._chance:
                out.append(byte)
                continue
            self._is_done = True
            if self._random.random() < 0.5:
                out.append(byte ^ 1 << self._random.randrange(7))
        return bytes(out)


class VirtualWire:
    """A host and a board that share one clock; every run is bounded in time and in steps."""

    def __init__(self, name: str, profile: FirmwareProfile | None = None, **wishes) -> None:
        profile = profile or load_profile(name)
        self.profile = replace(profile, boot_wait_s=min(profile.boot_wait_s, 2.0))
        self.board: Firmware = build(name, Wishes(**wishes))
        self.engine: StreamEngine = stream_engine(self.profile, 0.0)
        self.now = 0.0
        self.damage = Damage(0, 0.0)
        self.events: list[Event] = []
        self.sent = b""
        self.said = b""
        self.engine.connect(0.0)

    def turn(self) -> None:
        """Move bytes, then time to the next thing that happens."""
        now = self.now
        data = self.board.read(now)
        self.hear(data)
        out = self.engine.urgent_to_send(now) + self.engine.data_to_send(now)
        if out:
            self.sent += out
            self.board.write(self.damage.of(out), now)
        if out or data:
            self.now += 1e-5  # what was heard may allow the next line at once
            return
        due = [at for at in (self.board.deadline(), self.engine.deadline()) if at is not None]
        soonest = min(due, default=now + 1.0)
        self.now = max(soonest, now + 1e-4)

    def hear(self, data: bytes) -> None:
        self.said += data
        self.events += self.engine.receive(data, self.now)

    def until(self, *wanted: str, seconds: float = 600.0, turns: int = 60_000) -> Event:
        """Go on until an event of these kinds."""
        end = self.now + seconds
        for _ in range(turns):
            self.turn()
            for event in self.events:
                if event.kind in wanted:
                    return event
            if self.now > end:
                break
        kinds = [event.kind for event in self.events if event.kind != "progress"][-12:]
        raise AssertionError(f"no {wanted}: {kinds} {self.engine.snapshot(self.now)}")

    def while_not(self, true: Callable[[], bool], turns: int = 60_000) -> None:
        """Go on until *true* is."""
        for _ in range(turns):
            if true():
                return
            self.turn()
        raise AssertionError(f"never: {self.engine.snapshot(self.now)}")

    def start(self, lines: list[bytes]) -> None:
        """Connect and begin a program."""
        self.until("connected")
        # A board that was still in its setup may set the number back once more; then it is
        # greeted anew.
        settled = self.now + 0.5
        self.while_not(lambda: self.now > settled and self.engine.phase is Phase.IDLE)
        self.events.clear()
        self.sent = b""
        assert self.engine.start(Lines(lines), self.now, "run")

    def run(self, lines: list[bytes], **bounds) -> Event:
        """Send a program and return its end."""
        self.start(lines)
        return self.until("finished", "failed", "cancelled", **bounds)

    def executed(self, *beginnings: str) -> list[str]:
        """Return the executed lines that begin so."""
        lines = [str(fact["line"]) for fact in self.board.record.of("executed")]
        return [line for line in lines if not beginnings or line.startswith(beginnings)]
