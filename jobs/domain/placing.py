"""Where a program's cuts would lie in the machine, with the offsets of this moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.domain.policy import Reason, Refusal

AXES = "XYZ"
Point = tuple[float, float, float]
SLACK = 0.005  # of a report with three decimals, rounded twice [mm]


@dataclass(frozen=True, slots=True)
class Box:
    """Two corners [mm]."""

    low: Point
    high: Point

    def moved(self, by: Point) -> Box:
        """Return the box shifted by *by*."""
        low, high = (
            (corner[0] + by[0], corner[1] + by[1], corner[2] + by[2])
            for corner in (self.low, self.high)
        )
        return Box(low, high)

    def meets(self, other: Box) -> bool:
        """Tell whether the two share room; touching is none."""
        return all(
            self.low[axis] < other.high[axis] - SLACK and other.low[axis] < self.high[axis] - SLACK
            for axis in range(3)
        )

    def crossed(self, start: Point, end: Point) -> bool:
        """Tell whether a straight move goes through it; touching is none.

        >>> Box((4.0, 3.0, -1.0), (6.0, 7.0, 1.0)).crossed((0.0, 0.0, 0.0), (9.0, 9.0, 0.0))
        True
        """
        enters, leaves = 0.0, 1.0
        for axis in range(3):
            low, high = self.low[axis] + SLACK, self.high[axis] - SLACK
            begin, way = start[axis], end[axis] - start[axis]
            if way == 0.0:
                if not low < begin < high:
                    return False
                continue
            one, other = (low - begin) / way, (high - begin) / way
            enters, leaves = max(enters, min(one, other)), min(leaves, max(one, other))
        return enters < leaves


def keep_outs(flat: Sequence[float]) -> list[Box]:
    """Return boxes from six numbers each: lowest corner, then highest.

    >>> keep_outs([0, 0, -9, 5, 5, 0])[0].high
    (5, 5, 0)
    """
    return [
        Box((*flat[at : at + 3],), (*flat[at + 3 : at + 6],))  # type: ignore[arg-type]
        for at in range(0, len(flat) - 5, 6)
    ]


def shift_of(offsets: Mapping[str, Sequence[float]], system: str) -> Point | None:
    """Return how far a work zero lies from the machine's; None if that was not told.

    :param system: `G54` … `G59`.

    >>> shift_of({"G54": (-9.0, 0.0, -5.0), "G92": (0.0, 0.0, 1.0), "TLO": (2.0,)}, "G54")
    (-9.0, 0.0, -2.0)
    """
    zero = offsets.get(system)
    if zero is None or len(zero) != 3:
        return None
    x, y, z = zero
    more = offsets.get("G92", (0.0, 0.0, 0.0))
    length = offsets.get("TLO", (0.0,))
    return x + more[0], y + more[1], z + more[2] + length[0]


def misplaced(placed: Box, reach: Box) -> Iterator[Refusal]:
    """Yield every reason why cuts in *placed* cannot be made, in machine coordinates."""
    for axis, name in enumerate(AXES):
        fields: dict[str, str | int | float] = {
            "axis": name,
            "low_mm": round(reach.low[axis], 2),
            "high_mm": round(reach.high[axis], 2),
        }
        if placed.low[axis] < reach.low[axis] - SLACK:
            yield Refusal(Reason.OUTSIDE_NOW, {**fields, "at_mm": round(placed.low[axis], 2)})
        if placed.high[axis] > reach.high[axis] + SLACK:
            yield Refusal(Reason.OUTSIDE_NOW, {**fields, "at_mm": round(placed.high[axis], 2)})
