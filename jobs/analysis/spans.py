"""Spans: the time between lines that mean something: layers, features, the spindle's turning."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Floats, Ints
from jobs.analysis.piece import Piece, Reader, Times

LARGEST_LAYER_TABLE = 2_000
_MOST_FEATURES = 60
_OTHERS = "others"
# Heights nearer than this are one layer: slicers write three decimals.
_HEIGHT_DIGITS = 3
# A move that climbs is no layer's first, or a spiral would be all layers [mm].
_LEVEL = 1e-6


class Spans(Reader):
    """Adds up seconds of motion and dwell by what the lines were marked as.

    Marks come with the pieces, seconds behind them; a mark holds until the next.
    """

    def __init__(self) -> None:
        self._at: Ints = np.zeros(0, np.int64)
        self._as: Ints = np.zeros(0, np.int64)
        self._now = 0
        self._sums: Floats = np.zeros(1)

    def mark(self, lines: Ints, spans: Ints) -> None:
        """Say what begins at some lines of the stream, ascending; 0 is what begins it."""
        if len(lines):
            self._at = np.concatenate((self._at, lines))
            self._as = np.concatenate((self._as, spans))

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines."""
        seconds = times.motion + times.dwell
        until = times.first_line + len(seconds)
        count = int(np.searchsorted(self._at, until))
        edges = np.concatenate(([0], self._at[:count] - times.first_line))
        own = np.concatenate(([self._now], self._as[:count]))
        if (most := int(own.max())) >= len(self._sums):
            self._sums = np.concatenate((self._sums, np.zeros(most + 1)))
        if count == 0:
            self._sums[self._now] += float(seconds.sum())
            return
        # A span without a line of its own would be given the next line's seconds.
        filled = np.diff(edges, append=len(seconds)) > 0
        sums = np.add.reduceat(seconds, edges[filled])
        self._sums += np.bincount(own[filled], sums, len(self._sums))
        self._now = int(own[-1])
        self._at, self._as = self._at[count:], self._as[count:]

    def sum(self, span: int) -> float:
        """Return the seconds of one span."""
        return float(self._sums[span]) if span < len(self._sums) else 0.0


class Layers(Spans):
    """The layers in the order they are made.

    A layer lasts from its first extruding move to that of the next; what comes before the first
    belongs to no layer.

    :param count: how many there are, also beyond the table.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._height = np.nan
        self._rows: list[tuple[float, int]] = []

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        height, line = layer_starts(piece, self._height)
        if len(line) == 0:
            return
        self._height = float(height[-1])
        left = LARGEST_LAYER_TABLE + 1 - len(self._rows)
        numbers = np.arange(self.count + 1, self.count + 1 + min(left, len(line)))
        self.mark(piece.first_line + line[:left], numbers)
        sources = piece.source_line[line[:left]].tolist()
        self._rows += zip(height[:left].tolist(), sources, strict=True)
        self.count += len(line)

    def table(self) -> list[dict[str, float]]:
        """Return height, time and first line of each, at most 2,000."""
        return [
            {"z_mm": z, "time_s": round(self.sum(number), 3), "line": line}
            for number, (z, line) in enumerate(self._rows[:LARGEST_LAYER_TABLE], 1)
        ]


def layer_starts(piece: Piece, height_before: float) -> tuple[Floats, Ints]:
    """Return height [mm] and line, in the piece, of each extruding move that begins a layer.

    :param height_before: of the layer that the piece begins in; NaN before the first.
    """
    moves = piece.moves
    level = np.abs(moves.end[:, 2] - moves.start[:, 2]) < _LEVEL
    at = np.flatnonzero(moves.printing() & level)
    if len(at) == 0:
        return np.zeros(0), at
    height = moves.end[at, 2]
    # Most moves lie in the height of the one before: only the others are rounded.
    new = np.flatnonzero(np.diff(height, prepend=np.nan) != 0.0)
    height = np.round(height[new], _HEIGHT_DIGITS)
    first = np.flatnonzero(np.diff(height, prepend=height_before) != 0.0)
    return height[first], moves.line[at[new[first]]]


class Features(Spans):
    """The features that the slicer names, each with the time from its name to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        lines, spans = [], []
        for feature in piece.features:
            name = feature.name
            if name not in self._numbers and len(self._numbers) >= _MOST_FEATURES:
                name = _OTHERS
            lines.append(piece.first_line + feature.line)
            spans.append(self._numbers.setdefault(name, len(self._numbers) + 1))
        self.mark(np.array(lines, np.int64), np.array(spans, np.int64))

    def table(self) -> list[dict[str, object]]:
        """Return name and time of each, in the order they were first named."""
        return [
            {"name": name, "time_s": round(self.sum(number), 3)}
            for name, number in self._numbers.items()
        ]


class SpindleTime(Spans):
    """How long the spindle or laser is on."""

    def __init__(self) -> None:
        super().__init__()
        self._on = 0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        on = piece.blocks.spindle
        if not len(piece) or not (self._on or on.any()):
            return
        states = on.astype(np.int64)
        turns = np.flatnonzero(np.diff(states, prepend=self._on))
        self.mark(piece.first_line + turns, states[turns])
        self._on = int(states[-1])

    def seconds(self) -> float:
        """Return it."""
        return self.sum(1)
