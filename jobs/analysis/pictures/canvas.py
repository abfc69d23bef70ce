"""A picture under way: a window on the machine in mm, and colours laid over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.analysis.arrays import Bools, Bytes, Floats, Ints
from jobs.analysis.pictures.lines import Lines, cover
from jobs.analysis.pictures.theme import Theme, along, rgb

# Five columns of seven bits, the lowest on top: what a scale needs.
_GLYPHS: Final = {
    "0": (62, 81, 73, 69, 62), "1": (0, 66, 127, 64, 0), "2": (98, 81, 73, 73, 70),
    "3": (34, 65, 73, 73, 54), "4": (24, 20, 18, 127, 16), "5": (39, 69, 69, 69, 57),
    "6": (60, 74, 73, 73, 48), "7": (1, 113, 9, 5, 3), "8": (54, 73, 73, 73, 54),
    "9": (6, 73, 73, 41, 30), ".": (0, 96, 96, 0, 0), "m": (124, 4, 120, 4, 120),
    "X": (99, 20, 8, 20, 99), "Y": (7, 8, 112, 8, 7), "Z": (97, 81, 73, 69, 67),
    " ": (0, 0, 0, 0, 0), "-": (8, 8, 8, 8, 8),
}  # fmt: skip
_ZOOM: Final = 3  # pixels of a dot: still read on a phone, where a picture is half as large


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a plane is shown where.

    :param low: the lowest corner shown [mm], shape (2,).
    :param scale: pixels a millimetre.
    :param left: pixels from the left, and *bottom* from the top, of the lowest corner.
    """

    low: Floats
    scale: float
    left: float
    bottom: float

    @classmethod
    def around(
        cls,
        low: Floats,
        high: Floats,
        box: tuple[int, int, int, int],
        margin: float = 0.05,
        most: float = np.inf,
    ) -> Window:
        """Fit a part of the plane into a box of pixels: left, top, width, height.

        :param most: the largest scale.
        """
        left, top, width, height = box
        span = np.maximum(high - low, 1e-3)
        room = np.array([width, height]) * (1 - 2 * margin)
        scale = min(float((room / span).min()), most)
        spare = (np.array([width, height]) - span * scale) / 2
        return cls(low, scale, left + float(spare[0]), top + height - float(spare[1]))

    def pixels(self, places: Floats) -> Floats:
        """Return where places [mm] lie in the picture; shape (n, 2)."""
        flat = (places - self.low) * self.scale
        return np.stack((self.left + flat[:, 0], self.bottom - flat[:, 1]), axis=1)

    def lines(self, starts: Floats, ends: Floats, width: float) -> Lines:
        """Return lines between places [mm], *width* in pixels."""
        return Lines(self.pixels(starts), self.pixels(ends), width)


Colour = Callable[[Theme], str]  # which colour of a theme


class Canvas:
    """One picture in the colours of several themes at once: what is costly is done once.

    Colours of shape (themes, height, width, 3), each layer of paint over those before.
    """

    def __init__(self, width: int, height: int, themes: Sequence[Theme]) -> None:
        self.size = (width, height)
        self.themes = tuple(themes)
        self.colours: Floats = np.stack(
            [np.tile(rgb(theme.ground), (height, width, 1)) for theme in themes]
        )
        self.every = 1  # of the lines, how manieth were drawn

    def paint(self, amount: Floats, colour: Colour, strength: float = 1.0) -> None:
        """Lay a colour on; *amount* of shape (height, width) says how much covers each pixel."""
        touched = np.nonzero(amount)
        share = amount[touched][:, None] * strength
        for number, theme in enumerate(self.themes):
            self._lay(number, touched, share, rgb(colour(theme)))

    def paint_ramp(self, amount: Floats, place: Floats) -> None:
        """Lay the themes' ramps on; *place* from 0 to 1, shape (height, width), says where."""
        touched = np.nonzero(amount)
        for number, theme in enumerate(self.themes):
            colours = along(theme.ramp, place[touched])
            self._lay(number, touched, amount[touched][:, None], colours)

    def _lay(self, number: int, touched: tuple[Ints, ...], share: Floats, colour: Floats) -> None:
        ground = self.colours[number]
        ground[touched] += share * (colour - ground[touched])

    def wipe(self, top: int, height: int) -> None:
        """Take away what was drawn on some rows."""
        for number, theme in enumerate(self.themes):
            self.colours[number, top : top + height] = rgb(theme.ground)

    def draw(self, lines: Lines, colour: Colour, strength: float = 1.0) -> None:
        """Draw lines in one colour."""
        if len(lines.starts):
            found = cover(lines, None, self.size)
            self.every = max(self.every, found.every)
            self.paint(found.amount, colour, strength)

    def draw_ramp(self, lines: Lines, share: Floats) -> None:
        """Draw lines coloured along the ramp, each by its share from 0 to 1."""
        if len(lines.starts):
            found = cover(lines, share, self.size)
            self.every = max(self.every, found.every)
            self.paint_ramp(found.amount, found.value)

    def box(self, window: Window, low: Floats, high: Floats, colour: Colour, width: float) -> None:
        """Draw the outline of a box [mm]."""
        corners = np.array(
            [[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]]
        )
        self.draw(window.lines(corners, np.roll(corners, -1, axis=0), width), colour)

    def hatch(self, window: Window, low: Floats, high: Floats, colour: Colour, gap: float) -> None:
        """Fill a box [mm] with slanting lines, *gap* pixels apart, and draw its outline."""
        corners = window.pixels(np.array([low[:2], high[:2]]))
        left, right = np.clip(np.sort(corners[:, 0]), 0, self.size[0])
        top, bottom = np.clip(np.sort(corners[:, 1]), 0, self.size[1])
        x, y = np.arange(int(left), int(np.ceil(right))), np.arange(int(top), int(np.ceil(bottom)))
        if len(x) and len(y):
            stripe: Bools = (x[None, :] + y[:, None]) % gap < 1.5
            amount = np.zeros(self.size[::-1])
            amount[y[0] : y[-1] + 1, x[0] : x[-1] + 1] = stripe
            self.paint(amount, colour, 0.55)
        self.box(window, low, high, colour, 1.5)

    def write(self, text: str, left: int, top: int, colour: Colour) -> None:
        """Write a scale's text; signs that are not known leave a gap."""
        dots = np.zeros((7, 6 * len(text)), bool)
        for number, sign in enumerate(text):
            columns = np.array(_GLYPHS.get(sign, _GLYPHS[" "]), np.uint8)
            dots[:, 6 * number : 6 * number + 5] = (columns[None, :] >> np.arange(7)[:, None]) & 1
        big = np.kron(dots, np.ones((_ZOOM, _ZOOM)))
        amount = np.zeros(self.size[::-1])
        part = amount[top : top + big.shape[0], left : left + big.shape[1]]
        part[:] = big[: part.shape[0], : part.shape[1]]
        self.paint(amount, colour)

    def scale_bar(self, window: Window, left: int, top: int, most: float, colour: Colour) -> None:
        """Draw a bar of a round length of at most *most* pixels, with its length."""
        length = round_length(most / window.scale)
        wide = length * window.scale
        places = np.array([[0.0, 0.0], [0.0, -5.0], [wide, -5.0]]) + np.array([left, top])
        others = np.array([[wide, 0.0], [0.0, 5.0], [wide, 5.0]]) + np.array([left, top])
        self.draw(Lines(places, others, 2.0), colour)
        self.write(f"{length:g} mm", int(left + wide) + 12, top - 7 * _ZOOM // 2, colour)

    def pictures(self) -> dict[str, Bytes]:
        """Return what was painted by the name of each theme, shape (height, width, 3)."""
        whole = np.asarray(np.round(np.clip(self.colours, 0, 255)), np.uint8)
        return {theme.name: whole[number] for number, theme in enumerate(self.themes)}


def round_length(most: float) -> float:
    """Return the largest 1, 2 or 5 of a power of ten that is no more than *most*.

    >>> round_length(37.0), round_length(0.7), round_length(180.0)
    (20.0, 0.5, 100.0)
    """
    power = 10.0 ** np.floor(np.log10(max(most, 1e-6)))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9)))
