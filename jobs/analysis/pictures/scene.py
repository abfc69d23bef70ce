"""What is around a toolpath: the machine's reach, its keep-outs, and where the path lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.pictures.canvas import Canvas, Window
from jobs.domain.machine import MachineLimits

WIDTH, HEIGHT = 800, 640
STRIP: Final = 96  # below: scale and map
_GRID_MM: Final = (10.0, 50.0, 100.0)
_GRID_APART: Final = 14.0  # pixels between lines of the grid, at least


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the machine's plane that a path needs [mm]: lowest and highest corner, (3,)."""

    low: Floats
    high: Floats

    @classmethod
    def none(cls) -> Frame:
        """Return the frame of nothing."""
        return cls(np.full(3, np.inf), np.full(3, -np.inf))

    def with_places(self, places: Floats) -> Frame:
        """Return the frame that holds places of shape (n, 3), too."""
        if not len(places):
            return self
        low, high = places.min(axis=0), places.max(axis=0)
        return Frame(np.minimum(self.low, low), np.maximum(self.high, high))

    def known(self) -> Frame:
        """Return the frame, or a square of 10 mm where there is nothing."""
        is_known = bool((self.low <= self.high).all())
        return self if is_known else Frame(np.zeros(3), np.full(3, 10.0))


def draw_bed(canvas: Canvas, window: Window, limits: MachineLimits) -> None:
    """Draw the grid, the edge of the machine's reach and its keep-outs."""
    low, high = reach(limits)
    gap = next((one for one in _GRID_MM if one * window.scale >= _GRID_APART), _GRID_MM[-1])
    for axis in (0, 1):
        shown = window.low[axis] + np.array([-canvas.size[0], 2 * canvas.size[0]]) / window.scale
        first, last = max(low[axis], shown[0]), min(high[axis], shown[1])
        at = np.arange(np.ceil(first / gap), np.floor(last / gap) + 1)[:1000] * gap
        starts = np.tile(low[:2], (len(at), 1))
        ends = np.tile(high[:2], (len(at), 1))
        starts[:, axis] = ends[:, axis] = at
        canvas.draw(window.lines(starts, ends, 1.0), lambda theme: theme.grid)
    canvas.box(window, low, high, lambda theme: theme.frame, 2.0)
    for corner, other in keep_outs(limits):
        canvas.hatch(window, corner, other, lambda theme: theme.keep_out, 7)


def draw_strip(canvas: Canvas, window: Window, frame: Frame, limits: MachineLimits | None) -> None:
    """Draw below the picture a scale bar and, if the place on the machine is known, a map."""
    width, height = canvas.size
    canvas.wipe(height - STRIP, STRIP)
    canvas.scale_bar(window, 24, height - STRIP // 2, 180.0, lambda theme: theme.ink)
    if limits is None:
        return
    low, high = reach(limits)
    chart = Window.around(low[:2], high[:2], (width - 160, height - STRIP, 150, STRIP), 0.08)
    canvas.box(chart, low, high, lambda theme: theme.frame, 1.5)
    for corner, other in keep_outs(limits):
        canvas.hatch(chart, corner, other, lambda theme: theme.keep_out, 5)
    canvas.box(chart, frame.low, frame.high, lambda theme: theme.ink, 2.0)


def reach(limits: MachineLimits) -> tuple[Floats, Floats]:
    """Return the lowest and the highest corner that a machine reaches [mm], each (3,)."""
    low = np.array(limits.origin_mm)
    return low, low + np.array(limits.envelope_mm)


def keep_outs(limits: MachineLimits) -> list[tuple[Floats, Floats]]:
    """Return the corners of the boxes that nothing may reach into."""
    boxes = np.array(limits.keep_out_mm[: len(limits.keep_out_mm) // 6 * 6]).reshape(-1, 2, 3)
    return [(box.min(axis=0), box.max(axis=0)) for box in boxes]
