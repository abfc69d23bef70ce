"""Grbl's settings by number: those of a small lab router, and how Grbl prints them."""

from __future__ import annotations

from drivers.simulators.plant import Vector

INTEGERS = {0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 32}
WHOLE = {30, 31}


def stock(envelope: Vector) -> dict[int, float]:
    """Settings of a router with this reach [mm]; limits and homing are off, as on a stock Grbl.

    >>> stock((300.0, 400.0, 80.0))[131]
    400.0
    """
    x, y, z = envelope
    return {
        **{0: 10, 1: 25, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 10: 1, 11: 0.01, 12: 0.002, 13: 0},
        **{20: 0, 21: 0, 22: 0, 23: 0, 24: 25, 25: 1500, 26: 250, 27: 1},
        **{30: 24000, 31: 0, 32: 0},
        **{100: 250, 101: 250, 102: 250},
        **{110: 5000, 111: 5000, 112: 2000},
        **{120: 250, 121: 250, 122: 150},
        **{130: x, 131: y, 132: z},
    }


def formatted(number: int, value: float) -> str:
    """A setting as `$$` shows it.

    >>> formatted(110, 5000.0), formatted(22, 1.0)
    ('5000.000', '1')
    """
    return f"{value:.0f}" if number in INTEGERS or number in WHOLE else f"{value:.3f}"
