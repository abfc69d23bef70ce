"""Anti-aliased lines, many at once: how much of each pixel they cover.

Each line is walked along its longer axis pixel by pixel; at each step the pixels across it get
what the line covers of their square. A line longer than a picture is clipped
before, and the work is bounded: of too many lines every n-th is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from jobs.analysis.arrays import Bools, Floats, Ints

Singles = npt.NDArray[np.float32]

MOST_STEPS: Final = 6_000_000  # pixels walked along all lines of one picture
_BATCH: Final = 400_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in pixels.

    :param starts: x and y, shape (n, 2); *ends* likewise.
    :param width: of the stroke.
    """

    starts: Floats
    ends: Floats
    width: float = 1.0

    def of(self, chosen: Bools | Ints | slice) -> Lines:
        """Return some of them."""
        return Lines(self.starts[chosen], self.ends[chosen], self.width)


@dataclass(frozen=True, slots=True)
class Cover:
    """What lines cover of a picture.

    :param amount: of each pixel, 0-1, shape (height, width).
    :param value: the mean of the lines' values there, weighted by what each covers.
    :param every: each so manieth line was drawn, 1 for all.
    """

    amount: Floats
    value: Floats
    every: int


def cover(lines: Lines, values: Floats | None, size: tuple[int, int]) -> Cover:
    """Return what lines cover.

    :param values: one number a line, shape (n,), to be averaged where they meet.
    :param size: width and height of the picture.
    """
    width, height = size
    kept, lines = clipped(lines, size)
    values = None if values is None else values[kept]
    steps = _steps(lines)
    every = max(1, -(-int(steps.sum()) // MOST_STEPS))
    if every > 1:
        lines, steps = lines.of(slice(None, None, every)), steps[::every]
        values = None if values is None else values[::every]
    amount, weighted = np.zeros(width * height), np.zeros(width * height)
    for lot in _lots(steps):
        for pixel, share, line in _walk(lines.of(lot), steps[lot], size):
            amount += np.bincount(pixel, share, minlength=width * height)
            if values is not None:
                weighted += np.bincount(pixel, share * values[lot][line], minlength=width * height)
    mean = np.divide(weighted, amount, out=np.zeros_like(amount), where=amount > 0)
    return Cover(np.minimum(amount, 1.0).reshape(height, width), mean.reshape(height, width), every)


def clipped(lines: Lines, size: tuple[int, int]) -> tuple[Ints, Lines]:
    """Return which lines touch the picture, and what of them lies within it.

    Source: Y.-D. Liang, B. Barsky, A new concept and method for line clipping, 1984.
    """
    margin = lines.width / 2 + 1
    way = lines.ends - lines.starts
    first, last = np.zeros(len(way)), np.ones(len(way))
    outside = ~np.isfinite(lines.starts).all(axis=1) | ~np.isfinite(lines.ends).all(axis=1)
    for axis, room in enumerate(size):
        with np.errstate(divide="ignore", invalid="ignore"):
            low = (-margin - lines.starts[:, axis]) / way[:, axis]
            high = (room + margin - lines.starts[:, axis]) / way[:, axis]
        stands = way[:, axis] == 0
        at = lines.starts[:, axis]
        outside |= stands & ((at < -margin) | (at > room + margin))
        first = np.where(stands, first, np.maximum(first, np.minimum(low, high)))
        last = np.where(stands, last, np.minimum(last, np.maximum(low, high)))
    kept = np.flatnonzero(~outside & (first <= last))
    starts = lines.starts[kept] + way[kept] * first[kept, None]
    ends = lines.starts[kept] + way[kept] * last[kept, None]
    return kept, Lines(starts, ends, lines.width)


def dashed(lines: Lines, dash: float, most: int = 200_000) -> Lines:
    """Return lines cut into dashes with gaps as long [pixels]; all as they are if too many."""
    length = np.sqrt(((lines.ends - lines.starts) ** 2).sum(axis=1))
    counts = np.maximum(1, np.ceil(length / (2 * dash))).astype(np.int64)
    if counts.sum() > most:
        return lines
    line = np.repeat(np.arange(len(length)), counts)
    number = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    way = (lines.ends - lines.starts)[line] / np.maximum(length[line], 1e-9)[:, None]
    begin = number * 2 * dash
    end = np.minimum(begin + dash, length[line])
    starts = lines.starts[line]
    return Lines(starts + way * begin[:, None], starts + way * end[:, None], lines.width)


def _steps(lines: Lines) -> Ints:
    """Return how many pixels each line is walked, its caps included."""
    longest = np.abs(lines.ends - lines.starts).max(axis=1, initial=0)
    return np.asarray(np.ceil(longest) + 2 * np.ceil(lines.width / 2) + 1, np.int64)


def _lots(steps: Ints) -> Iterator[slice]:
    """Cut lines into lots of bounded work."""
    done = np.cumsum(steps)
    begin = 0
    while begin < len(steps):
        before = int(done[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(done, before + _BATCH, "right")))
        yield slice(begin, end)
        begin = end


def _walk(lines: Lines, steps: Ints, size: tuple[int, int]) -> Iterator[tuple[Ints, Singles, Ints]]:
    """Give, for each row beside the lines, pixels, how much of each is covered, and the line."""
    width, height = size
    way = lines.ends - lines.starts
    steep = np.abs(way[:, 1]) > np.abs(way[:, 0])
    # Each line as if it ran along x: its long axis first, from its lower end.
    a = np.where(steep[:, None], lines.starts[:, ::-1], lines.starts)
    b = np.where(steep[:, None], lines.ends[:, ::-1], lines.ends)
    back = b[:, 0] < a[:, 0]
    a, b = np.where(back[:, None], b, a), np.where(back[:, None], a, b)
    length = np.sqrt((way**2).sum(axis=1))
    point = np.broadcast_to([1.0, 0.0], way.shape).copy()  # what has no length lies along x
    unit = np.divide(b - a, length[:, None], out=point, where=length[:, None] > 0)
    slope = np.divide(unit[:, 1], unit[:, 0], out=np.zeros(len(way)), where=unit[:, 0] > 0)
    line = np.repeat(np.arange(len(steps)), steps)
    number = np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps)
    long = (np.floor(a[:, 0]) - np.ceil(lines.width / 2))[line] + number
    # From the lower end to the middle of each pixel; single precision is a thousandth of one.
    to_x = (long + 0.5 - a[line, 0]).astype(np.float32)
    middle = np.floor(a[line, 1] + to_x * slope[line])
    to_y = (middle + 0.5 - a[line, 1]).astype(np.float32)
    unit_x, unit_y = unit[line].astype(np.float32).T
    far, is_steep = length[line].astype(np.float32), steep[line]
    # Past this distance a pixel's square, whichever way it is seen, is not touched.
    half = np.float32(lines.width / 2)
    most = half + np.float32(0.7072)
    reach = int(np.ceil(lines.width / 2 * 1.415 + 1.0))
    for beside in range(-reach, reach + 1):
        there = np.clip(to_x * unit_x + (to_y + beside) * unit_y, 0, far)
        apart = np.sqrt((to_x - there * unit_x) ** 2 + (to_y + beside - there * unit_y) ** 2)
        near = np.flatnonzero(apart < most)
        across, along = middle[near] + beside, long[near]
        x = np.where(is_steep[near], across, along)
        y = np.where(is_steep[near], along, across)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        near = near[inside]
        pixel = (y[inside] * width + x[inside]).astype(np.int64)
        share = _behind(half - apart[near], unit_x[near], unit_y[near])
        share += _behind(half + apart[near], unit_x[near], unit_y[near]) - 1
        yield pixel, np.maximum(share, 0), line[near]


def _behind(edge: Singles, unit_x: Singles, unit_y: Singles) -> Singles:
    """Return how much of a pixel lies behind an edge that passes its middle at a distance.

    :param edge: distance from the pixel's middle to the edge, positive if the middle is behind it.
    :param unit_x: with *unit_y* the direction of the edge.
    """
    wide, narrow = np.abs(unit_x), np.abs(unit_y)  # the walk is along x: never the smaller one
    flat = (wide - narrow) / 2
    away = np.abs(edge)
    # The edge cuts two opposite sides of the square, or a corner off it.
    sides = away / np.maximum(wide, np.float32(0.5))
    corner = np.maximum((wide + narrow) / 2 - away, 0) ** 2
    cut = np.float32(0.5) - corner / np.maximum(2 * wide * narrow, np.float32(1e-9))
    half = np.where(away <= flat, sides, cut)
    return np.float32(0.5) + np.copysign(half, edge)
