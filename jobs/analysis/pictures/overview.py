"""A whole print as it will stand there: every stroke shaded, the nearest at each pixel is seen."""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.analysis.arrays import Bytes, Floats, Ints
from jobs.analysis.pictures.scene import Frame
from jobs.analysis.pictures.solid import eye_axes, halved
from jobs.analysis.pictures.strokes import Strokes

MOST_DOTS: Final = 30_000_000
_BATCH: Final = 3_000_000
_MARGIN: Final = 0.06
_BODY: Final = np.array([88.0, 166.0, 178.0])
_LIGHT: Final = np.array([-0.55, -0.83])  # along the bed, from the left in front


class Overview:
    """Takes a print part by part and keeps what is seen so far.

    :param frame: of all that is made.
    :param strokes: how long all strokes together are [mm], to bound the work.
    """

    def __init__(
        self, frame: Frame, length: float, nozzle: float, layer: float, size: tuple[int, int]
    ) -> None:
        self._axes = eye_axes()
        self._fine = (size[0] * 2, size[1] * 2)
        corners = (
            np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
            * (frame.high - frame.low)
            + frame.low
        )
        places = corners @ self._axes
        low, high = places.min(axis=0), places.max(axis=0)
        room = np.array(self._fine) * (1 - 2 * _MARGIN)
        self._scale = float((room / np.maximum((high - low)[:2], 1e-3)).min())
        self._middle = (low + high) / 2
        self._brush = (
            max(1, round(nozzle * 1.1 * self._scale)),
            max(1, round(layer * self._axes[2, 1] * self._scale) + 1),
        )
        self._step = max(1.0, self._brush[0] / 2)
        dots = length * self._scale / self._step * self._brush[0] * self._brush[1]
        self.every = max(1, int(np.ceil(dots / MOST_DOTS)))
        self._best = np.full(self._fine[0] * self._fine[1], -np.inf)
        self._light = np.zeros(self._fine[0] * self._fine[1])

    def take(self, strokes: Strokes) -> None:
        """Draw what of the next moves is made."""
        made = np.flatnonzero(strokes.makes)[:: self.every]
        way = (strokes.end - strokes.start)[made]
        starts = self._seen(strokes.start[made])
        ends = self._seen(strokes.end[made])
        steps = np.ceil(np.abs(ends - starts)[:, :2].max(axis=1) / self._step).astype(np.int64) + 1
        light = _lit(way)
        lots = np.cumsum(steps * self._brush[0] * self._brush[1]) // _BATCH
        for lot in np.split(np.arange(len(made)), np.flatnonzero(np.diff(lots)) + 1):
            self._dab(starts[lot], ends[lot], steps[lot], light[lot])

    def picture(self) -> Bytes:
        """Return what is seen, shape (height, width, 4), on a clear ground."""
        width, height = self._fine
        seen = (self._best > -np.inf).reshape(height, width)[::-1]
        light = self._light.reshape(height, width)[::-1]
        return halved(np.clip(_BODY * light[..., None], 0, 255), seen)

    def _seen(self, places: Floats) -> Floats:
        seen = (places @ self._axes - self._middle) * self._scale
        seen[:, :2] += np.array(self._fine) / 2
        return np.asarray(seen)

    def _dab(self, starts: Floats, ends: Floats, steps: Ints, light: Floats) -> None:
        width, height = self._fine
        line = np.repeat(np.arange(len(steps)), steps)
        number = np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps)
        share = number / np.maximum(steps - 1, 1)[line]
        at = starts[line] + (ends - starts)[line] * share[:, None]
        wide, tall = self._brush
        x0 = np.floor(at[:, 0] - wide / 2 + 0.5).astype(np.int64)
        y0 = np.floor(at[:, 1] - tall / 2 + 0.5).astype(np.int64)
        # What lies nearer is painted last.
        order = np.argsort(at[:, 2], kind="stable")
        x0, y0, depth, lit = x0[order], y0[order], at[order, 2], light[line[order]]
        for right in range(wide):
            for up in range(tall):
                x, y = x0 + right, y0 + up
                inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
                pixel = y[inside] * width + x[inside]
                nearer = depth[inside] > self._best[pixel]
                self._best[pixel[nearer]] = depth[inside][nearer]
                # The upper rim of a stroke catches more light: layers can be told apart.
                rim = 0.86 + 0.22 * (up + 0.5) / tall
                self._light[pixel[nearer]] = lit[inside][nearer] * rim


def _lit(way: Floats) -> Floats:
    """Return how bright strokes are by their direction, as the side of a bead that faces us."""
    length = np.maximum(np.sqrt((way[:, :2] ** 2).sum(axis=1)), 1e-9)
    across = np.stack((-way[:, 1], way[:, 0]), axis=1) / length[:, None]
    return np.asarray(0.55 + 0.45 * np.abs(across @ (_LIGHT / np.linalg.norm(_LIGHT))))
