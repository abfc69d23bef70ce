"""Lines cover what their length and width say, wherever they lie, and the work is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.analysis.arrays import Floats
from jobs.analysis.pictures.lines import Lines, clipped, cover, dashed
from jobs.analysis.pictures.png import png
from tests.jobs.analysis.pictures.decoding import read_png

SIZE = (200, 120)
INSIDE = st.tuples(st.floats(10, 190), st.floats(10, 110))


def _line(start: tuple[float, float], end: tuple[float, float], width: float = 1.0) -> Lines:
    return Lines(np.array([start]), np.array([end]), width)


@given(INSIDE, INSIDE, st.floats(1.0, 6.0))
@example((10.0, 10.0), (18.0, 18.0), 1.0)
def test_any_line_covers_its_area(
    start: tuple[float, float], end: tuple[float, float], width: float
) -> None:
    """For any line within the picture: length × width, with round ends."""
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    found = cover(_line(start, end, width), None, SIZE)
    area = length * width + np.pi * width**2 / 4
    assert found.amount.sum() == pytest.approx(area, abs=0.7)
    assert found.amount.max() <= 1.0


@pytest.mark.parametrize(("end", "row"), [((30.0, 20.5), 20), ((30.0, 40.5), None)])
def test_a_line_lies_where_it_is_told(end: tuple[float, float], row: int | None) -> None:
    found = cover(_line((10.0, 20.5), end), None, SIZE).amount
    if row is not None:
        assert found[row, 12:28] == pytest.approx(1.0)
        assert found[row - 2].sum() == found[row + 2].sum() == 0.0
    else:
        assert found[30, 19] == pytest.approx(1.0, abs=0.4)


def test_where_lines_meet_their_values_are_averaged() -> None:
    lines = Lines(np.array([[10.0, 20.5], [20.5, 10.0]]), np.array([[30.0, 20.5], [20.5, 30.0]]), 1)
    found = cover(lines, np.array([0.0, 1.0]), SIZE)
    assert found.value[20, 12] == 0.0
    assert found.value[12, 20] == 1.0
    assert found.value[20, 20] == pytest.approx(0.5)


def test_a_line_from_afar_is_clipped_before_it_is_walked() -> None:
    kept, lines = clipped(_line((-1e9, 60.0), (1e9, 60.0)), SIZE)
    assert len(kept) == 1
    assert np.ptp(lines.starts[:, 0] - lines.ends[:, 0]) == 0.0
    assert -5 < lines.starts[0, 0] < 0 < lines.ends[0, 0] < 205
    assert cover(_line((-1e9, 60.5), (1e9, 60.5)), None, SIZE).amount[60].min() == 1.0


@pytest.mark.parametrize("far", [np.nan, np.inf, 1e308])
def test_what_is_no_place_is_not_drawn(far: float) -> None:
    lines = Lines(np.array([[far, 1.0], [5.0, 5.5]]), np.array([[9.0, far], [25.0, 5.5]]), 1.0)
    found = cover(lines, None, SIZE).amount
    assert np.isfinite(found).all()
    assert found[5].sum() > 15


def test_of_too_many_lines_some_are_drawn_and_the_picture_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.analysis.pictures.lines.MOST_STEPS", 100_000)
    ends = np.random.default_rng(7).random((2, 5_000, 2)) * np.array(SIZE)
    found = cover(Lines(ends[0], ends[1]), None, SIZE)
    steps = np.ceil(np.abs(ends[1] - ends[0]).max(axis=1)).sum() + 3 * 5_000
    assert found.every == -(-int(steps) // 100_000)
    assert found.amount.mean() > 0.7


def test_dashes_are_half_of_a_line() -> None:
    whole = cover(_line((10.0, 20.5), (190.0, 20.5)), None, SIZE).amount.sum()
    parts = cover(dashed(_line((10.0, 20.5), (190.0, 20.5)), 6.0), None, SIZE).amount.sum()
    assert parts / whole == pytest.approx(0.5, abs=0.1)
    many = Lines(np.zeros((3, 2)), np.full((3, 2), 1e5), 1.0)
    assert dashed(many, 1.0, most=100) is many


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_file_holds_the_very_pixels(channels: int) -> None:
    picture: Floats = np.random.default_rng(1).integers(0, 256, (37, 53, channels))
    assert np.array_equal(read_png(png(picture.astype(np.uint8))), picture)
