"""An engine and a simulated board joined without a pty: hours of machine time in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from drivers.engine import stream_engine
from drivers.profile import FirmwareProfile, load_profile
from drivers.simulators import Record, Wishes, build
from drivers.snapshot import Event, Failed

_LONGEST_STEP = 0.5  # of virtual time [s]
_INSTANTS_MAX = 400  # exchanges without time passing: more is a loop
ENDS = frozenset({"finished", "cancelled", "failed", "stopped"})


class Lines(list[bytes]):
    """A program in memory; line i of it is line i + 1 of the file."""

    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Joined:
    """One profile's engine at one simulated board.

    :param name: of the profile, and of the simulator unless `board` names another.
    """

    def __init__(
        self,
        name: str,
        *,
        board: str = "",
        faults: Sequence[str] = (),
        seed: int = 0,
        options: Sequence[str] = (),
        settings: Mapping[str, float] | None = None,
        profile: FirmwareProfile | None = None,
        cpu: float = 1.0,
    ) -> None:
        self.profile = profile or load_profile(name)
        wishes = Wishes(
            seed=seed,
            faults=tuple(faults),
            options=tuple(options),
            settings=settings or {},
            cpu=cpu,
        )
        self.machine = build(board or name, wishes, Record())
        self.engine = stream_engine(self.profile, 0.0)
        self.now = 0.0
        self.events: list[Event] = []
        self.sent = bytearray()
        self.engine.connect(0.0)

    def turn(self) -> None:
        """Go on to the next instant at which something happens, and let it happen."""
        due = [self.engine.deadline(), self.machine.deadline(), self.now + _LONGEST_STEP]
        self.now = max(self.now, min(at for at in due if at is not None))
        for _ in range(_INSTANTS_MAX):
            heard = self.machine.read(self.now)
            self.events += self.engine.receive(heard, self.now)
            flush, urgent = self.engine.flush_first, self.engine.urgent_to_send(self.now)
            if flush:
                self.machine._incoming.clear()  # as the session empties the kernel's queue
            out = urgent + self.engine.data_to_send(self.now)
            if out:
                self.sent += out
                self.machine.write(out, self.now)
            elif not heard:
                return
        raise AssertionError("time stands still")

    def until(self, *kinds: str, longest: float = 3600.0) -> str:
        """Live until an event of one of *kinds* has come; return its kind.

        :param longest: virtual time after which that counts as a hang [s].
        """
        seen, end = 0, self.now + longest
        while self.now < end:
            for event in self.events[seen:]:
                if event.kind in kinds:
                    return event.kind
            seen = len(self.events)
            if self.machine.is_unplugged and "unplugged" in kinds:
                return "unplugged"
            self.turn()
        raise AssertionError(f"no {kinds}: {self.events[-9:]} {self.engine.snapshot(self.now)}")

    def live(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.turn()

    def start(self, lines: Sequence[bytes]) -> None:
        self.until("connected", longest=60.0)
        self.events.clear()
        assert self.engine.start(Lines(lines), self.now)

    def failure(self) -> Failed:
        self.until("failed")
        return next(event for event in self.events if isinstance(event, Failed))

    def executed(self) -> list[str]:
        """What the board really executed, as it received it."""
        return [str(fact["line"]) for fact in self.machine.record.of("executed")]


@pytest.fixture
def joined() -> type[Joined]:
    return Joined
