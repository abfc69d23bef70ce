"""Whether a file without units was drawn in others than millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A part that fits in a hand, and one as large as a door [mm].
SMALLEST: Final = 5.0
LARGEST: Final = 2_000.0
# What such a part is most likely to be, once its unit is right [mm].
_LIKELY: Final = (10.0, 600.0)
UNITS: Final = {"inch": 25.4, "centimetre": 10.0, "metre": 1000.0, "micrometre": 0.001}


@dataclass(frozen=True, slots=True)
class Guess:
    """A unit the file may be in, and how large the part then is at its longest [mm]."""

    unit: str
    size: float


def is_suspicious(longest: float) -> bool:
    """Tell whether a part is too small or too large to be in millimetres.

    >>> is_suspicious(4.0), is_suspicious(60.0), is_suspicious(60_000.0)
    (True, False, True)
    """
    return not SMALLEST <= longest <= LARGEST


def guesses_of(longest: float) -> list[Guess]:
    """Return the units that would make a suspicious part a likely one, best first.

    >>> [guess.unit for guess in guesses_of(4.0)]
    ['inch', 'centimetre']
    >>> [guess.unit for guess in guesses_of(0.08)], guesses_of(60.0)
    (['metre'], [])
    """
    if not is_suspicious(longest):
        return []
    sizes = [Guess(unit, longest * factor) for unit, factor in UNITS.items()]
    return [guess for guess in sizes if _LIKELY[0] <= guess.size <= _LIKELY[1]]
