"""What a person may have a machine do besides a program, and how an order of it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.errors import WireError

Reach = Mapping[str, tuple[float, float]]  # axis: lowest and highest place [mm]

LONGEST_JOG = 1000.0  # of one order [mm]
FASTEST_JOG = 250.0  # [mm/s]
HOTTEST = 500.0  # [°C]
_AXES = ("X", "Y", "Z")
_HEATS = re.compile(
    r"M0*(?P<code>104|109|140|190)\b.*?[SR] *(?P<s>\d+(?:\.\d*)?)"
    r"|SET_HEATER_TEMPERATURE\b.*?\bTARGET *= *(?P<target>\d+(?:\.\d*)?(?:e\d{1,2})?)",
    re.IGNORECASE,
)


class Act(StrEnum):
    """One act; which of them are legal depends on the state of the machine."""

    HOLD = "hold"  # feed hold: along the path to a standstill
    RESUME = "resume"  # cycle start
    FEED = "feed"  # override of the feedrate
    RAPID = "rapid"  # override of rapids: 100, 50 or 25 %
    SPINDLE = "spindle"  # override of the spindle speed
    FLOW = "flow"  # override of what an extruder pushes
    SPINDLE_TOGGLE = "spindle-toggle"  # off, and on again, while held
    JOG = "jog"
    JOG_CANCEL = "jog-cancel"
    HOME = "home"
    ZERO = "zero"  # the work offset in force: here is 0 of the axes named, none: of Z
    UNLOCK = "unlock"
    RESET = "reset"  # soft reset
    HEAT = "heat"
    OFF = "off"  # heat, spindle and coolant
    SKIP_WAIT = "skip-wait"  # go on without waiting for heat or a person
    QUICK_STOP = "quick-stop"  # drop all planned motion


OVERRIDES = frozenset({Act.FEED, Act.RAPID, Act.SPINDLE, Act.FLOW})
# What only ends something: it may be asked for while a stop stands and nobody has looked.
CALMING = frozenset({Act.HOLD, Act.JOG_CANCEL, Act.OFF, Act.QUICK_STOP})


@dataclass(frozen=True, slots=True)
class Order:
    """An act with its amounts.

    :param percent: of an override, 10-200.
    :param axes: how far to jog along each axis [mm]; of homing only its axes count, none: all.
    :param feedrate: of a jog [mm/s].
    :param heater: `nozzle` or `bed`.
    :param target: of that heater [°C].
    """

    act: Act
    percent: int = 100
    axes: Mapping[str, float] = field(default_factory=dict)
    feedrate: float = 0.0
    heater: str = ""
    target: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; `from_json` reads them."""
        values: dict[str, object] = {"act": self.act.value}
        if self.act in OVERRIDES:
            values["percent"] = self.percent
        if self.act in (Act.JOG, Act.HOME):
            values["axes_mm"] = dict(self.axes)
        if self.act is Act.JOG:
            values["feedrate_mm_s"] = self.feedrate
        if self.act is Act.HEAT:
            values |= {"heater": self.heater, "target_c": self.target}
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Order:
        """Read what `to_json` wrote.

        :raises WireError: `wire.bad_value` naming the first amount that cannot be.
        """
        word = values.get("act")
        if word not in set(Act):
            raise WireError("wire.bad_value", key="act", wanted=", ".join(Act))
        act = Act(str(word))
        axes = values.get("axes_mm", {})
        if not isinstance(axes, dict) or not set(axes) <= set(_AXES):
            raise WireError("wire.bad_value", key="axes_mm", wanted="X, Y, Z")
        heater = values.get("heater", "")
        if act is Act.HEAT and heater not in ("nozzle", "bed"):
            raise WireError("wire.bad_value", key="heater", wanted="nozzle or bed")
        order = cls(
            act,
            int(_amount(values, "percent", 100.0, 10.0, 200.0)),
            {axis: _amount(axes, axis, 0.0, -LONGEST_JOG, LONGEST_JOG) for axis in axes},
            _amount(values, "feedrate_mm_s", 0.0, 0.0, FASTEST_JOG),
            str(heater),
            _amount(values, "target_c", 0.0, 0.0, HOTTEST),
        )
        if act is Act.RAPID and order.percent not in (25, 50, 100):
            raise WireError("wire.bad_value", key="percent", wanted="25, 50 or 100")
        if act is Act.JOG and (not any(order.axes.values()) or order.feedrate < 0.1):
            raise WireError("wire.bad_value", key="feedrate_mm_s", wanted="a way and a feedrate")
        return order


def outside(order: Order, position: Mapping[str, float], reach: Reach) -> str:
    """Return the first axis that a jog would take out of reach, "" if none.

    >>> outside(Order(Act.JOG, axes={"X": 30.0}), {"X": 200.0}, {"X": (0.0, 220.0)})
    'X'
    >>> outside(Order(Act.JOG, axes={"X": 20.0}), {"X": 200.0}, {"X": (0.0, 220.0)})
    ''
    """
    for axis, by in order.axes.items():
        if axis not in position or axis not in reach:
            continue
        low, high = reach[axis]
        there = position[axis] + by
        # A carriage that stands outside, as after a probe, may still come back in.
        if (by > 0 and there > high + 1e-6) or (by < 0 and there < low - 1e-6):
            return axis
    return ""


def heat_of(line: str) -> tuple[str, float]:
    """Return which heater a line of a printer asks for which temperature [°C]; "" and 0 if none.

    >>> heat_of("M104 S210"), heat_of("M190 R60"), heat_of("M104"), heat_of("G28")
    (('nozzle', 210.0), ('bed', 60.0), ('', 0.0), ('', 0.0))
    >>> heat_of("SET_HEATER_TEMPERATURE HEATER=heater_bed target=7e1")
    ('bed', 70.0)
    """
    found = _HEATS.match(line.strip())
    if found is None:
        return "", 0.0
    heater = "bed" if found["code"] in ("140", "190") or "bed" in line.lower() else "nozzle"
    return heater, float(found["s"] or found["target"])


def length(order: Order) -> float:
    """Return the way of a jog [mm]."""
    return math.hypot(*order.axes.values())


def _amount(
    values: Mapping[str, object], key: str, default: float, low: float, high: float
) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise WireError("wire.bad_value", key=key, wanted=f"{low:g} to {high:g}")
    return float(value)
