"""What this folder's README promises: every test it names, and what has none elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from jobs.analysis import pictures
from jobs.analysis.pictures.layer import LayerWish, draw_layer
from jobs.analysis.pictures.png import png
from jobs.analysis.pictures.scene import Frame
from jobs.analysis.pictures.strokes import Strokes
from jobs.analysis.pictures.theme import THEMES
from jobs.analysis.program import inspect_program
from jobs.domain.machine import MachineLimits

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ANALYSIS = Path(pictures.__file__).parents[1]
_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def test_every_test_that_is_named_exists():
    named = _NAMED.findall((HERE / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 80
    missing = []
    for file, name in named:
        path = (ROOT if file.startswith("tests/") else HERE) / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if f"def {name}(" not in text:
            missing.append(f"{file}::{name}")
    assert missing == []


@pytest.mark.parametrize(
    "program", ["M104 S200\nG28\nG1 Z0.2 X5 E5 F600\n", "G21 G90\nM3 S900\nG1 X5 F100\nM5\nM2\n"]
)
def test_every_key_of_a_report_is_explained(program):
    explained = set(re.findall(r"`(\w+)`", (ANALYSIS / "README.md").read_text(encoding="utf-8")))
    report = inspect_program(program.encode(), MachineLimits((200.0, 200.0, 180.0)))
    assert sorted(report.keys() - explained) == []


def test_a_hundred_thousand_moves_are_drawn_in_a_second():
    """A fifth of a second on a desktop; the bound here is for a far slower machine."""
    number = np.arange(100_001)
    radius, angle = 5.0 + (number % 5_000) / 60.0, number * 0.05
    places = np.stack(
        (100 + radius * np.cos(angle), 100 + radius * np.sin(angle), np.full(len(number), 0.2)),
        axis=1,
    )
    count = len(number) - 1
    strokes = Strokes(
        places[:-1], places[1:], np.full(count, 40.0), number[:-1] % 100 != 0,
        (number[:-1] // 1000) % 8, np.ones(count, np.int64),
    )  # fmt: skip
    wish, limits = LayerWish(1), MachineLimits((200.0, 200.0, 180.0), nozzle_mm=0.4)
    before = process_time()
    wish.take(strokes)
    frame = Frame.none().with_places(places)
    drawn = draw_layer(wish, frame, limits, THEMES[:1], by_speed=False)
    assert len(png(drawn.pictures[THEMES[0].name])) > 10_000
    assert process_time() - before < 5.0
