"""Colours of toolpath pictures: told apart by colour-blind people, on light and on dark ground.

The hues are Okabe and Ito's, Color Universal Design (2008), lighter or darker until each has
three times the ground's contrast. No colour stands alone: a legend of words is beside each picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from jobs.analysis.arrays import Floats


class Feature(IntEnum):
    """What a move makes, as far as the slicer says; drawn in this order, the last on top."""

    OTHER = 0
    SUPPORT = 1
    INFILL = 2
    SOLID = 3
    BRIDGE = 4
    SKIRT = 5
    INNER_WALL = 6
    OUTER_WALL = 7

    @property
    def word(self) -> str:
        """Return the stable word of pages and the API."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one ground, each `rrggbb`."""

    name: str
    ground: str
    grid: str
    frame: str
    ink: str
    ghost: str
    travel: str
    keep_out: str
    features: tuple[str, ...]
    ramp: tuple[str, ...]  # from little to much, readable at both ends

    def of(self, feature: Feature) -> str:
        """Return a feature's colour."""
        return self.features[feature]


LIGHT: Final = Theme(
    "light", "ffffff", "edece7", "8a8f8f", "1d2326", "dcdad3", "8f979b", "a81c1c",
    ("0f7a84", "008a64", "005a94", "2b8cc4", "b5588c", "6d7478", "b97d00", "b03c00"),
    ("c9a227", "8d8d70", "5e7390", "2f4f8f", "0b2a6b"),
)  # fmt: skip
DARK: Final = Theme(
    "dark", "1d2325", "2a3235", "7c8789", "e9ecec", "3a4447", "76827f", "ff9d94",
    ("66c4cb", "21b68c", "4aa3e0", "86cdf5", "d992bd", "a5afb1", "f4cd62", "f0762e"),
    ("6f86c9", "8ba0b5", "a9b58f", "d3c561", "fde74c"),
)  # fmt: skip
THEMES: Final = (LIGHT, DARK)


def rgb(colour: str) -> Floats:
    """Return a colour as three numbers from 0 to 255.

    >>> rgb("ff8000")
    array([255., 128.,   0.])
    """
    return np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)], np.float64)


def along(ramp: tuple[str, ...], share: Floats) -> Floats:
    """Return the colours of a ramp at shares from 0 to 1; shape (…) to (…, 3)."""
    stops = np.array([rgb(colour) for colour in ramp])
    places = np.linspace(0.0, 1.0, len(ramp))
    return np.stack([np.interp(share, places, stops[:, each]) for each in range(3)], axis=-1)
