"""Measure pictures: a layer, an overview, a cut and a mesh; prints one JSON object.

CPU seconds of this process, the median of five: what else runs beside must not count.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from jobs.analysis.mesh.surface import Surface
from jobs.analysis.pictures.layer import LayerWish, draw_cut, draw_layer
from jobs.analysis.pictures.overview import Overview
from jobs.analysis.pictures.png import png
from jobs.analysis.pictures.scene import Frame
from jobs.analysis.pictures.solid import picture_of
from jobs.analysis.pictures.strokes import Strokes
from jobs.analysis.pictures.theme import THEMES
from jobs.domain.machine import MachineLimits

MACHINE = MachineLimits((220.0, 220.0, 250.0), nozzle_mm=0.4)
MOVES, TRIANGLES, ROUNDS = 100_000, 100_000, 5


def moves(count: int, layers: int) -> Strokes:
    """Return a spiral on each layer with a travel at each hundredth move."""
    number = np.arange(count + 1)
    radius = 5.0 + (number % 5_000) / 60.0
    angle = number * 0.05
    z = 0.2 * (1 + number * layers // (count + 1))
    places = np.stack((110 + radius * np.cos(angle), 110 + radius * np.sin(angle), z), axis=1)
    makes = np.arange(count) % 100 != 0
    return Strokes(
        places[:-1], places[1:], np.full(count, 40.0) + number[:-1] % 50, makes,
        (number[:-1] // 1000) % 8, 1 + number[:-1] * layers // count,
    )  # fmt: skip


def ball(triangles: int) -> Surface:
    """Return a bumpy ball of about so many triangles."""
    rows = int(math.sqrt(triangles))
    u, v = np.meshgrid(np.arange(rows) / rows, np.linspace(0.001, 0.999, rows // 2), indexing="ij")
    a, b = 2 * np.pi * u, np.pi * v
    out = 30 + np.sin(9 * a) * np.sin(9 * b)
    places = np.stack(
        (out * np.sin(b) * np.cos(a), out * np.sin(b) * np.sin(a), out * np.cos(b)), axis=-1
    )
    corner = np.arange(rows * (rows // 2)).reshape(rows, rows // 2)
    right = np.roll(corner, -1, axis=0)
    one = np.stack((corner[:, :-1], right[:, :-1], right[:, 1:]), axis=-1).reshape(-1, 3)
    two = np.stack((corner[:, :-1], right[:, 1:], corner[:, 1:]), axis=-1).reshape(-1, 3)
    return Surface(places.reshape(-1, 3), np.concatenate((one, two)))


def cpu_s(work: Callable[[], object]) -> float:
    """Return the median CPU time of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return round(statistics.median(taken), 3)


def main() -> int:
    """Print the table."""
    one, many = moves(MOVES, 1), moves(MOVES, 100)
    frame = Frame.none().with_places(one.end).with_places(many.end)

    def layer() -> None:
        wish = LayerWish(1)
        wish.take(one)
        for picture in draw_layer(wish, frame, MACHINE, THEMES, by_speed=False).pictures.values():
            png(picture)

    def overview() -> None:
        length = float(np.sqrt(((many.end - many.start) ** 2).sum(axis=1)).sum())
        drawn = Overview(frame, length, 0.4, 0.2, (480, 360))
        drawn.take(many)
        png(drawn.picture())

    def cut() -> None:
        for picture in draw_cut([many], frame, THEMES, has_side=True).pictures.values():
            png(picture)

    part = ball(2 * TRIANGLES // 2)
    print(
        json.dumps(
            {
                "bench": "pictures",
                "moves": MOVES,
                "layer_two_themes_cpu_s": cpu_s(layer),
                "overview_cpu_s": cpu_s(overview),
                "cut_with_side_two_themes_cpu_s": cpu_s(cut),
                "triangles": len(part.faces),
                "mesh_cpu_s": cpu_s(lambda: png(picture_of(part))),
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
