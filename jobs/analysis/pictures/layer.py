"""One layer of a print from above, or a cut from above and from the side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Final

import numpy as np

from jobs.analysis.arrays import Bytes, Floats
from jobs.analysis.pictures.canvas import Canvas, Window
from jobs.analysis.pictures.lines import Lines, dashed
from jobs.analysis.pictures.scene import HEIGHT, STRIP, WIDTH, Frame, draw_bed, draw_strip
from jobs.analysis.pictures.strokes import Strokes
from jobs.analysis.pictures.theme import Feature, Theme
from jobs.domain.machine import MachineLimits

_WIDE: Final = 1.1  # of a stroke, in nozzles
_GAP: Final = 0.88  # of it that is drawn, so that neighbours can be told apart
_THINNEST, _THICKEST = 1.2, 14.0  # pixels
_DEFAULT_NOZZLE: Final = 0.4
_SIDE: Final = 150  # pixels of height for the side view
_DASH: Final = 6.0
_HOLE: Final = 6.0
_BANDS: Final = 5  # of depth


@dataclass(slots=True)
class LayerWish:
    """One layer to be drawn, and what of the moves belongs to it.

    :param number: from 1.
    """

    number: int
    kept: list[Strokes] = field(default_factory=list)
    below: list[Strokes] = field(default_factory=list)

    def take(self, strokes: Strokes) -> None:
        """Keep what belongs to this layer, and the layer below as its ground."""
        self.kept.append(strokes.of(strokes.layer == self.number))
        self.below.append(strokes.of((strokes.layer == self.number - 1) & strokes.makes))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture in each theme, and what a legend says of it.

    :param features: words of what is in it.
    :param span: of what it makes: slowest and fastest [mm/s] of a layer, lowest and highest [mm]
        of a cut; (0, 0) without any.
    :param every: each so manieth move was drawn, 1 for all.
    """

    pictures: Mapping[str, Bytes]
    features: tuple[str, ...]
    span: tuple[float, float]
    every: int


_NOTHING: Final = Strokes(
    np.empty((0, 3)), np.empty((0, 3)), np.empty(0), np.empty(0, bool),
    np.empty(0, np.int64), np.empty(0, np.int64),
)  # fmt: skip


def joined(parts: Iterable[Strokes]) -> Strokes:
    """Return parts as one."""
    listed = [*parts] or [_NOTHING]
    return Strokes(
        *(
            np.concatenate([getattr(part, name) for part in listed])
            for name in ("start", "end", "speed", "makes", "feature", "layer")
        )
    )


def draw_layer(
    wish: LayerWish, frame: Frame, limits: MachineLimits, themes: Sequence[Theme], *, by_speed: bool
) -> Drawn:
    """Draw a layer over the bed: what is made coloured, travel faint, the layer below as ghost."""
    strokes, below = joined(wish.kept), joined(wish.below)
    canvas = Canvas(WIDTH, HEIGHT + STRIP, themes)
    window = Window.around(frame.low[:2], frame.high[:2], (0, 0, WIDTH, HEIGHT))
    draw_bed(canvas, window, limits)
    wide = (limits.nozzle_mm or _DEFAULT_NOZZLE) * _WIDE * _GAP * window.scale
    wide = float(np.clip(wide, _THINNEST, _THICKEST))
    canvas.draw(_flat(below, window, wide), lambda theme: theme.ghost)
    made, travel = strokes.of(strokes.makes), strokes.of(~strokes.makes)
    canvas.draw(_flat(travel, window, 1.0), lambda theme: theme.travel, 0.55)
    lowest, fastest = _speeds(made)
    if by_speed:
        share = (made.speed - lowest) / max(fastest - lowest, 1e-9)
        canvas.draw_ramp(_flat(made, window, wide), share)
    else:
        for number in np.unique(made.feature):
            chosen = made.of(made.feature == number)
            colour = methodcaller("of", Feature(int(number)))
            canvas.draw(_flat(chosen, window, wide), colour)
    draw_strip(canvas, window, frame, limits)
    words = tuple(Feature(int(number)).word for number in np.unique(made.feature)[::-1])
    return Drawn(canvas.pictures(), words, (lowest, fastest), canvas.every)


def draw_cut(
    parts: Iterable[Strokes], frame: Frame, themes: Sequence[Theme], *, has_side: bool
) -> Drawn:
    """Draw a cut from above, deeper darker, and from the side; rapids are dashed and faint.

    Where the machine's reach lies is not known: the work's zero is set at the machine. A cross
    marks it.

    :param has_side: for a mill; a laser does not go down.
    """
    strokes = joined(parts)
    side = _SIDE if has_side else 0
    canvas = Canvas(WIDTH, HEIGHT + STRIP, themes)
    box, below_box = (0, 0, WIDTH, HEIGHT - side), (0, HEIGHT - side, WIDTH, side)
    window = Window.around(frame.low[:2], frame.high[:2], box)
    if has_side:
        # One scale, so that the bar holds for both and X of one lies below X of the other.
        low, high = frame.low[[0, 2]], frame.high[[0, 2]]
        below = Window.around(low, high, below_box, 0.1, window.scale)
        window = Window.around(frame.low[:2], frame.high[:2], box, most=below.scale)
    made, rapid = strokes.of(strokes.makes), strokes.of(~strokes.makes)
    deepest, highest = _heights(made)
    share = (highest - np.minimum(made.start[:, 2], made.end[:, 2])) / max(highest - deepest, 1e-9)
    _draw_zero(canvas, window)
    canvas.draw(dashed(_flat(rapid, window, 1.0), _DASH), lambda theme: theme.travel, 0.7)
    _draw_depths(canvas, _flat(made, window, 2.0), share)
    # Straight down is a point from above: a hole shall be seen.
    plunges = (made.start[:, :2] == made.end[:, :2]).all(axis=1) & (
        made.end[:, 2] < made.start[:, 2]
    )
    _draw_depths(canvas, _flat(made.of(plunges), window, _HOLE), share[plunges])
    if has_side:
        canvas.wipe(HEIGHT - side, side)
        canvas.draw(
            Lines(*_line(0.0, HEIGHT - side, WIDTH, HEIGHT - side), 1.0), lambda theme: theme.frame
        )
        zero = np.array([[frame.low[0], 0.0]]), np.array([[frame.high[0], 0.0]])
        canvas.draw(dashed(below.lines(*zero, 1.0), 3.0), lambda theme: theme.frame)
        canvas.draw(dashed(_sideways(rapid, below, 1.0), _DASH), lambda theme: theme.travel, 0.7)
        _draw_depths(canvas, _sideways(made, below, 2.0), share)
        canvas.write("XZ", 10, HEIGHT - side + 10, lambda theme: theme.ink)
        canvas.write("XY", 10, 10, lambda theme: theme.ink)
    draw_strip(canvas, window, frame, None)
    return Drawn(canvas.pictures(), (), (deepest, highest), canvas.every)


def _draw_depths(canvas: Canvas, lines: Lines, share: Floats) -> None:
    """Draw lines coloured along the ramp, the deepest over what is less deep."""
    band = np.minimum((share * _BANDS).astype(np.int64), _BANDS - 1)
    for number in range(_BANDS):
        canvas.draw_ramp(lines.of(band == number), share[band == number])


def _draw_zero(canvas: Canvas, window: Window) -> None:
    arm = 14.0 / window.scale
    starts = np.array([[-arm, 0.0], [0.0, -arm]])
    canvas.draw(window.lines(starts, -starts, 2.0), lambda theme: theme.frame)


def _flat(strokes: Strokes, window: Window, width: float) -> Lines:
    return window.lines(strokes.start[:, :2], strokes.end[:, :2], width)


def _sideways(strokes: Strokes, window: Window, width: float) -> Lines:
    return window.lines(strokes.start[:, [0, 2]], strokes.end[:, [0, 2]], width)


def _line(x: float, y: float, other_x: float, other_y: float) -> tuple[Floats, Floats]:
    return np.array([[x, y]]), np.array([[other_x, other_y]])


def _speeds(made: Strokes) -> tuple[float, float]:
    if not len(made.speed):
        return 0.0, 0.0
    return float(made.speed.min()), float(made.speed.max())


def _heights(made: Strokes) -> tuple[float, float]:
    if not len(made.speed):
        return 0.0, 0.0
    heights = made.start[:, 2], made.end[:, 2]
    return float(min(one.min() for one in heights)), float(max(one.max() for one in heights))
