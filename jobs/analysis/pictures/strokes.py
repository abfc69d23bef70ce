"""What a toolpath picture is drawn from: moves in order, what each makes, and on which layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold
from jobs.analysis.pictures.theme import Feature
from jobs.analysis.piece import Piece
from jobs.analysis.reading import Program
from jobs.analysis.spans import layer_starts
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding

_FAR: Final = 1e6  # mm: what lies further is no place in any lab
# Parts of the names that PrusaSlicer, SuperSlicer, OrcaSlicer, BambuStudio, Cura and KiriMoto
# write, in the order in which they are looked for.
_NAMES: Final = (
    ("support", Feature.SUPPORT), ("bridge", Feature.BRIDGE), ("overhang", Feature.BRIDGE),
    ("skirt", Feature.SKIRT), ("brim", Feature.SKIRT), ("prime", Feature.SKIRT),
    ("wipe", Feature.SKIRT), ("raft", Feature.SUPPORT), ("external perimeter", Feature.OUTER_WALL),
    ("wall-outer", Feature.OUTER_WALL), ("outer wall", Feature.OUTER_WALL),
    ("wall-inner", Feature.INNER_WALL), ("inner wall", Feature.INNER_WALL),
    ("perimeter", Feature.INNER_WALL), ("shells", Feature.INNER_WALL), ("thin", Feature.INNER_WALL),
    ("gap", Feature.INNER_WALL), ("skin", Feature.SOLID), ("solid", Feature.SOLID),
    ("surface", Feature.SOLID), ("ironing", Feature.SOLID), ("fill", Feature.INFILL),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Strokes:
    """Straight moves in order, shapes (n,) and (n, 3).

    :param start: where each begins [mm]; *end* likewise.
    :param speed: asked for [mm/s].
    :param makes: it extrudes or cuts; the others only travel.
    :param feature: numbers of `Feature`.
    :param layer: from 1; 0 before the first.
    """

    start: Floats
    end: Floats
    speed: Floats
    makes: Bools
    feature: Ints
    layer: Ints

    def __len__(self) -> int:
        return len(self.speed)

    def of(self, chosen: Bools | slice) -> Strokes:
        """Return some of them."""
        return Strokes(
            self.start[chosen],
            self.end[chosen],
            self.speed[chosen],
            self.makes[chosen],
            self.feature[chosen],
            self.layer[chosen],
        )


class Follow:
    """Turns pieces of a program into strokes and hands them on; holds none of them.

    :param prints: what makes something are extrusions, else cuts.
    """

    def __init__(self, take: Callable[[Strokes], None], *, prints: bool) -> None:
        self._take = take
        self._prints = prints
        self._height = np.nan
        self._layer = 0
        self._feature = Feature.OTHER

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        height, begins = layer_starts(piece, self._height)
        numbers = self._layer + np.arange(1, len(begins) + 1, dtype=np.float64)
        layer = hold(len(piece), begins, numbers, float(self._layer))
        if len(begins):
            self._height, self._layer = float(height[-1]), self._layer + len(begins)
        feature = self._features(piece)
        # What cannot be known is drawn at zero, what is out of this world at its edge.
        start, end = (np.clip(np.nan_to_num(one), -_FAR, _FAR) for one in (moves.start, moves.end))
        self._take(
            Strokes(
                start,
                end,
                moves.feedrate,
                moves.printing() if self._prints else moves.cutting(),
                feature[moves.line].astype(np.int64),
                layer[moves.line].astype(np.int64),
            ).of(~moves.machine)
        )

    def finish(self) -> Iterator[Finding]:
        """Say nothing: pictures find no faults."""
        yield from ()

    def _features(self, piece: Piece) -> Floats:
        """Return the feature of each line of a piece."""
        at = np.array([one.line for one in piece.features], np.int64)
        named = [feature_named(one.name) for one in piece.features]
        before, inside = self._feature, at < len(piece)
        self._feature = named[-1] if named else before
        # Of names at one line the last counts; behind the last line they are the next piece's.
        last = np.append(np.diff(at) > 0, True)[: len(at)] & inside
        values = np.array(named, np.float64)
        return hold(len(piece), at[last], values[last], float(before))


def follow(
    path: Path, dialect: str, machine: MachineLimits, take: Callable[[Strokes], None], *,
    prints: bool,
) -> None:  # fmt: skip
    """Hand on the moves of a program for one machine, in order, a part at a time."""
    with path.open("rb") as file:
        Program(file, machine, dialect).read((), [Follow(take, prints=prints)])


def feature_named(name: str) -> Feature:
    """Return which feature a slicer's word means.

    >>> feature_named("External perimeter").word, feature_named("WALL-INNER").word
    ('outer-wall', 'inner-wall')
    >>> feature_named("Solid infill").word, feature_named("Custom").word
    ('solid', 'other')
    """
    small = name.casefold()
    return next((feature for word, feature in _NAMES if word in small), Feature.OTHER)
