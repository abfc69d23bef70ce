"""An engine and a simulated printer on one clock, and the path that the plastic took."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.acts import Reach
from drivers.engine import StreamEngine, stream_engine
from drivers.profile import FirmwareProfile, load_profile
from drivers.simulators.firmware import Record
from drivers.simulators.machines import Wishes, build
from drivers.snapshot import Event, Phase

ROOM: Reach = {"X": (0.0, 220.0), "Y": (0.0, 220.0), "Z": (0.0, 250.0)}


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


class Plant:
    """One printer with its host's engine; time jumps from event to event."""

    def __init__(
        self,
        *options: str,
        firmware: str = "marlin-2",
        profile: FirmwareProfile | None = None,
        room: Reach | None = ROOM,
        cpu: float = 0.0,
        settings: Mapping[str, float] | None = None,
    ) -> None:
        wishes = Wishes(options=options, cpu=cpu, settings=settings)
        self.board = build(firmware, wishes, Record())
        self.path: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
        self._at: tuple[float, ...] = ()
        self._watch()
        self.engine: StreamEngine = stream_engine(profile or load_profile(firmware), 0.0)
        if room is not None:
            self.engine.reach = room
        self.now = 0.0
        self.events: list[Event] = []
        self.engine.connect(0.0)

    def _watch(self) -> None:
        reached, plan = self.board._reached, self.board._place

        def note(target: tuple[float, ...]) -> None:
            place = (*plan(target)[:3], *target[3:])
            before = self._at or place
            pushed = target[3] - before[3] if len(target) > 3 else 0.0
            moved = any(abs(a - b) > 1e-6 for a, b in zip(place[:3], before[:3], strict=True))
            if pushed > 1e-9 and moved:
                self.path.append((before[:3], (*place[:3], pushed)))
            self._at = place
            reached(target)

        self.board._reached = note  # type: ignore[method-assign]

    def turn(self) -> None:
        out = self.engine.urgent_to_send(self.now) + self.engine.data_to_send(self.now)
        if out:
            self.board.write(out, self.now)
        times = [t for t in (self.engine.deadline(), self.board.deadline()) if t is not None]
        self.now = max(self.now + 1e-4, min([*times, self.now + 1.0]))
        self.events += self.engine.receive(self.board.read(self.now), self.now)

    def until(self, *wanted: str, turns: int = 60_000) -> None:
        """Go on until an event of one of these kinds came; it and all before are forgotten."""
        for _ in range(turns):
            for at, event in enumerate(self.events):
                if event.kind in wanted:
                    del self.events[: at + 1]
                    return
            self.turn()
        told = [event.kind for event in self.events][-12:]
        raise AssertionError(f"no {wanted}: {told} {self.engine.snapshot(self.now)}")

    def run_for(self, seconds: float, turns: int = 200_000) -> None:
        end = self.now + seconds
        for _ in range(turns):
            if self.now >= end:
                return
            self.turn()
        raise AssertionError("time stands still")

    def start(self, lines: list[bytes]) -> None:
        self.until("connected")
        assert self.engine.phase is Phase.IDLE
        self.path.clear()
        assert self.engine.start(Lines(lines), self.now, "run")

    def executed(self) -> list[str]:
        return [str(fact["line"]) for fact in self.board.record.of("executed")]
