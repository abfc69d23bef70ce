"""How much of a cable the engine uses, in virtual time: no machine is fast or slow here."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from drivers.engine import stream_engine
from drivers.profile import load_profile
from drivers.snapshot import Finished

LINES = 400
RX_BYTES = 127


def _model() -> ModuleType:
    file = Path(__file__).parents[2] / "bench" / "link" / "model.py"
    spec = importlib.util.spec_from_file_location("link_model", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


model = _model()


class Moves:
    def __init__(self, count: int) -> None:
        self.lines = [model.move(index) for index in range(count)]

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, index: int) -> bytes:
        return self.lines[index]

    def source_line(self, index: int) -> int:
        return index + 1


def stream(baud: int, latency_s: float, *, advanced: bool = False, fills_queue: bool = False):
    """Send a program to the neutral board; what it saw."""
    profile = replace(load_profile("marlin-2"), baud=baud, boot_wait_s=0.1, fills_queue=fills_queue)
    engine = stream_engine(profile, 0.0)
    engine.connect(0.0)
    board = model.Board(advanced=advanced)
    cable = model.Cable(-1, baud, latency_s, board)
    program, now, started = Moves(LINES), 0.0, False
    for _ in range(60 * LINES):
        if any(isinstance(event, Finished) for event in engine.receive(cable.arrived(now), now)):
            return board, cable
        started = started or engine.start(program, now)
        if out := engine.urgent_to_send(now) + engine.data_to_send(now):
            cable.carry(out, now)
        due = [at for at in (engine.deadline(), cable.deadline()) if at is not None]
        now = max(now, min(due))
    raise AssertionError("the program did not end")


def limit(baud: int, latency_s: float, line_bytes: float) -> float:
    """Return the lines per second that wire and ring allow with one window under way."""
    round_trip = 10.0 * (line_bytes + 3) / baud + 2.0 * latency_s
    return min(baud / 10.0 / line_bytes, RX_BYTES // line_bytes / round_trip)


@pytest.mark.parametrize("latency_s", [0.001, 0.008])
@pytest.mark.parametrize("baud", [115_200, 250_000, 1_000_000])
def test_the_link_is_kept_full(baud, latency_s):
    board, cable = stream(baud, latency_s)
    report = model.report(board, cable)
    assert report["each_line_once"]
    assert report["resends"] == report["overflowed_bytes"] == 0
    assert report["lines_per_s"] >= 0.97 * limit(baud, latency_s, report["line_bytes"])


@pytest.mark.parametrize("baud", [115_200, 250_000])
def test_free_places_that_are_told_bring_more_than_the_ring_allows(baud):
    board, cable = stream(baud, 0.008, advanced=True, fills_queue=True)
    report = model.report(board, cable)
    assert report["each_line_once"]
    assert report["resends"] == report["overflowed_bytes"] == 0
    assert report["lines_per_s"] > 1.5 * limit(baud, 0.008, report["line_bytes"])
