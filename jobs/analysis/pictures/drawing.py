"""The pictures that are asked for, as files, and what a page must say beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from jobs.analysis.arrays import Bytes
from jobs.analysis.mesh.reading import MeshError, read_surface
from jobs.analysis.pictures.layer import Drawn, LayerWish, draw_cut, draw_layer
from jobs.analysis.pictures.overview import Overview
from jobs.analysis.pictures.png import png
from jobs.analysis.pictures.scene import Frame
from jobs.analysis.pictures.solid import picture_of
from jobs.analysis.pictures.strokes import Strokes, follow
from jobs.analysis.pictures.theme import THEMES, Feature
from jobs.analysis.sniff import sniff
from jobs.domain.machine import MachineLimits

THUMBNAIL: Final = (480, 360)
MOST_LAYERS: Final = 24  # of one call
_DEFAULT_LAYER, _DEFAULT_NOZZLE = 0.2, 0.4
_MOST_HEIGHTS: Final = 5_000
_MOST_KEPT: Final = 1_500_000  # moves of a cut


@dataclass(frozen=True, slots=True)
class PictureWish:
    """Which pictures of a program for one machine.

    :param kind: `fdm`: layers and an overview; others: one picture of the whole cut.
    :param layers: numbers from 1; what the program does not have is left out.
    """

    limits: MachineLimits
    dialect: str
    kind: str
    layers: tuple[int, ...] = ()
    overview: bool = False
    by_speed: bool = False


def draw_mesh(path: Path, out: Path) -> dict[str, object]:
    """Write `mesh.png`; where nothing can be read there is none, and findings say why."""
    try:
        surface = read_surface(path, sniff(path))
    except MeshError as error:
        return {"pictures": {}, "findings": [error.finding.to_json()]}
    (out / "mesh.png").write_bytes(png(picture_of(surface, *THUMBNAIL)))
    return {"pictures": {"mesh": {"triangles": len(surface.faces)}}, "findings": []}


def draw_program(path: Path, out: Path, wish: PictureWish) -> dict[str, object]:
    """Write the pictures of a program, each for light and dark ground.

    `overview.png` (on clear ground), `layer-<n>-<theme>.png`, or `cut-<theme>.png`. The program
    is read twice: for its frame, then to draw it; no more of it is held than a picture needs.

    :returns: `pictures`: for each name without its theme what a legend needs; `layer_count`;
        `features`: what the slicer names anywhere; `speed_mm_s`: slowest and fastest;
        `heights_mm`: lowest and highest of what is made.
    """
    prints = wish.kind == "fdm"
    extent = Extent()
    _follow(path, wish, extent.take)
    pictures: dict[str, object] = {}
    if not prints:
        pictures["cut"] = _cut(path, out, wish, extent)
    else:
        pictures |= _print(path, out, wish, extent)
    return {
        "pictures": pictures,
        "layer_count": extent.layers if prints else 0,
        "features": [Feature(number).word for number in sorted(extent.features, reverse=True)],
        "speed_mm_s": [round(speed, 2) for speed in extent.speeds],
        "heights_mm": _heights(extent),
        "findings": [],
    }


def _heights(extent: Extent) -> list[float]:
    frame = extent.made.known()
    return [round(float(frame.low[2]), 3) + 0.0, round(float(frame.high[2]), 3) + 0.0]


class Extent:
    """What must be known of a whole program before any of it can be drawn."""

    def __init__(self) -> None:
        self.made, self.all = Frame.none(), Frame.none()
        self.length = 0.0
        self.moves = self.layers = 0
        self.features: set[int] = set()
        self._heights: set[float] = set()
        self._speeds: tuple[float, float] | None = None

    @property
    def speeds(self) -> tuple[float, float]:
        """Return the slowest and the fastest of what is made [mm/s]."""
        return self._speeds or (0.0, 0.0)

    @property
    def layer_height(self) -> float:
        """Return how high a layer is, as most are [mm]."""
        heights = np.array(sorted(self._heights))
        return float(np.median(np.diff(heights))) if len(heights) > 1 else _DEFAULT_LAYER

    def take(self, strokes: Strokes) -> None:
        """Add the next moves."""
        made = strokes.of(strokes.makes)
        self.moves += len(strokes)
        self.all = self.all.with_places(strokes.end)
        self.layers = max(self.layers, int(strokes.layer.max(initial=0)))
        if not len(made):
            return
        self.made = self.made.with_places(made.start).with_places(made.end)
        self.length += float(np.sqrt(((made.end - made.start) ** 2).sum(axis=1)).sum())
        self.features |= {int(number) for number in np.unique(made.feature)}
        if len(self._heights) < _MOST_HEIGHTS:
            self._heights |= set(np.unique(made.end[:, 2].round(2))[:_MOST_HEIGHTS].tolist())
        low, high = self._speeds or (np.inf, 0.0)
        self._speeds = min(low, float(made.speed.min())), max(high, float(made.speed.max()))


def _follow(path: Path, wish: PictureWish, take: Callable[[Strokes], None]) -> None:
    follow(path, wish.dialect, wish.limits, take, prints=wish.kind == "fdm")


def _print(path: Path, out: Path, wish: PictureWish, extent: Extent) -> dict[str, object]:
    """Draw the layers and the overview that are wanted."""
    frame = extent.made.known()
    numbers = [number for number in sorted(set(wish.layers)) if 1 <= number <= extent.layers]
    layers = [LayerWish(number) for number in numbers[:MOST_LAYERS]]
    overview = None
    if wish.overview:
        nozzle = wish.limits.nozzle_mm or _DEFAULT_NOZZLE
        overview = Overview(frame, extent.length, nozzle, extent.layer_height, THUMBNAIL)

    def take(strokes: Strokes) -> None:
        for layer in layers:
            layer.take(strokes)
        if overview is not None:
            overview.take(strokes)

    _follow(path, wish, take)
    pictures: dict[str, object] = {}
    if overview is not None:
        _write(overview.picture(), out / "overview.png")
        pictures["overview"] = {"every": overview.every}
    for layer in layers:
        drawn = draw_layer(layer, frame, wish.limits, THEMES, by_speed=wish.by_speed)
        pictures[f"layer-{layer.number}"] = _kept(drawn, out, f"layer-{layer.number}")
    return pictures


def _cut(path: Path, out: Path, wish: PictureWish, extent: Extent) -> dict[str, object]:
    """Draw the whole cut; of very many moves every so manieth."""
    every = -(-extent.moves // _MOST_KEPT) or 1
    parts: list[Strokes] = []
    _follow(path, wish, lambda strokes: parts.append(strokes.of(slice(None, None, every))))
    drawn = draw_cut(parts, extent.all.known(), THEMES, has_side=wish.kind != "laser")
    return {**_kept(drawn, out, "cut"), "every": max(every, drawn.every)}


def _kept(drawn: Drawn, out: Path, name: str) -> dict[str, object]:
    for theme, picture in drawn.pictures.items():
        _write(picture, out / f"{name}-{theme}.png")
    low, high = drawn.span
    return {
        "features": list(drawn.features),
        "span": [round(low, 3), round(high, 3)],
        "every": drawn.every,
    }


def _write(picture: Bytes, path: Path) -> None:
    path.write_bytes(png(picture))
