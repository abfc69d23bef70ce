"""A way to the machine hosts that leads to none: for every test above the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drivers.acts import Order
from jobs.services.workshop import LiveOffsets, StartOrder


@dataclass
class FakeGateway:
    """Records what is asked of machine hosts. `refuses[verb, slug]` is a code to refuse with."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    orders: list[StartOrder] = field(default_factory=list)
    refuses: dict[tuple[str, str], str] = field(default_factory=dict)
    changes: int = 0
    acts: list[tuple[str, Order, str]] = field(default_factory=list)
    wire_logs: list[Path] = field(default_factory=list)
    told: LiveOffsets | str = "host.not_now"  # when asked for offsets

    def _called(self, verb: str, slug: str) -> str | None:
        self.calls.append((verb, slug))
        return self.refuses.get((verb, slug))

    def start(self, slug: str, order: StartOrder) -> str | None:
        self.orders.append(order)
        return self._called("start", slug)

    def pause(self, slug: str, by: str) -> str | None:
        return self._called("pause", slug)

    def resume(self, slug: str, by: str) -> str | None:
        return self._called("resume", slug)

    def cancel(self, slug: str, by: str) -> str | None:
        return self._called("cancel", slug)

    def offsets(self, slug: str) -> LiveOffsets | str:
        return self.told

    def trace(self, slug: str, lines: Sequence[str], by: str) -> str | None:
        return self._called(f"trace {'; '.join(lines)}", slug)

    def answer(self, slug: str, prompt: int, choice: int, by: str) -> str | None:
        return self._called(f"answer {prompt} {choice} {by}", slug)

    def reconnect(self, slug: str) -> str | None:
        return self._called("reconnect", slug)

    def stop(self, slug: str, by: str) -> str | None:
        return self._called("stop", slug)

    def release(self, slug: str, by: str) -> str | None:
        return self._called("release", slug)

    def own_board(self, slug: str, by: str) -> str | None:
        return self._called("own-board", slug)

    def identify(self, slug: str) -> str | None:
        return self._called("identify", slug)

    def keep_heat(self, slug: str, by: str, seconds: int) -> str | None:
        return self._called(f"keep-heat {by} {seconds}", slug)

    def act(self, slug: str, order: Order, by: str) -> str | None:
        self.acts.append((slug, order, by))
        return self._called("act", slug)

    def power(self, slug: str, by: str, *, on: bool) -> str | None:
        return self._called(f"power {on} {by}", slug)

    def present(self, slug: str, by: str) -> str | None:
        return self._called(f"present {by}", slug)

    def power_rest(self, slug: str, by: str, seconds: int, below_c: float) -> str | None:
        return self._called(f"power-rest {seconds} {below_c:g}", slug)

    def wire_log(self, slug: str, run: str) -> list[Path]:
        return [path for path in self.wire_logs if run in path.name]

    def machines_changed(self) -> None:
        self.changes += 1
