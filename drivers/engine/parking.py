"""The way of a printer's head to its parking place and back, as lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.acts import Reach
from drivers.engine.bookmark import Bookmark
from drivers.profile import Pausing

HOT = 170.0  # below it firmware refuses to move filament [°C] (EXTRUDE_MINTEMP)

Temperatures = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A pause: what to send on the way there and back.

    :param park: all lines of the way there; empty if the head stays.
    :param pull, push: the retraction and its end; "" if the filament stays.
    :param way: lines of the way back.
    :param count: the line that sets E to where the program believes it, "" where E returns by
        itself: a number that was rounded would be worse.
    :param restore: lines that bring back the modes.
    :param targets: heaters at the pause, sensor: target [°C].
    """

    park: tuple[str, ...]
    pull: str
    push: str
    way: tuple[str, ...]
    count: str
    restore: tuple[str, ...]
    targets: Mapping[str, float]

    def back(self, *, pulled: bool) -> tuple[str, ...]:
        """Return the way back to where the program goes on.

        :param pulled: the filament still is retracted.
        """
        if not self.park:
            return self.restore
        push = (self.push,) if pulled else ()
        count = (self.count,) if self.count else ()
        return ("G21", "G90", "M83", *self.way, *push, *count, *self.restore)


def plan_of(
    mark: Bookmark,
    said: Mapping[str, float],
    told: Mapping[str, float],
    temperatures: Temperatures,
    pausing: Pausing,
    reach: Reach,
) -> Plan:
    """Return how to park and come back.

    :param said: where the program led, as exact as it was written.
    :param told: where the firmware says it is, rounded; for what the program did not say.
    :param temperatures: as reported at the pause.
    :param reach: of the machine, in its own zero; empty while nobody has said.
    """
    place = mark.place(said, told)
    way: list[str] = []
    there: list[str] = []
    pull = push = ""
    if pausing.retract_mm > 0 and _is_hot(mark, temperatures):
        length, feed = _text(pausing.retract_mm), _text(pausing.retract_mm_min)
        pull, push = f"G1 E-{length} F{feed}", f"G1 E{length} F{feed}"
        there.append(pull)
    if (lift := _lift(mark, place, pausing, reach)) is not None:
        there.append(f"G1 Z{_text(lift)} F{_text(pausing.lift_mm_min)}")
        if (spot := _spot(mark, place, pausing, reach)) is not None:
            feed = _text(pausing.travel_mm_min)
            there.append(f"G1 X{_text(spot[0])} Y{_text(spot[1])} F{feed}")
            way.append(f"G1 X{_text(place['X'])} Y{_text(place['Y'])} F{feed}")
        way.append(f"G1 Z{_text(place['Z'])} F{_text(pausing.lift_mm_min)}")
    count = f"G92 E{_text(said['E'])}" if "E" in said and mark.counts_extrusion else ""
    return Plan(
        park=("G21", "G90", "M83", *there) if there else (),
        pull=pull,
        push=push,
        way=tuple(way),
        count=count,
        restore=_modes(mark),
        targets={name: target for name, (_, target) in temperatures.items()},
    )


def heating(plan: Plan, temperatures: Temperatures, *, cooled: bool) -> tuple[str, ...]:
    """Return the lines that bring back the heat of the pause; empty if it is there."""
    lines: list[str] = []
    for name, target in plan.targets.items():
        actual, now = temperatures.get(name, (target, target))
        if not target or (not cooled and now >= target and actual >= target - 5.0):
            continue
        if name == "B":
            if now < target or actual < target - 5.0:
                lines.insert(0, f"M190 S{_text(target)}")
        elif name == "T":
            lines.append(f"M109 S{_text(target)}")
        elif name[1:].isdecimal() and "T" not in plan.targets:
            lines.append(f"M109 {name} S{_text(target)}")
    return tuple(lines)


def cooling(plan: Plan) -> tuple[str, ...]:
    """Return the lines that let the nozzles go cold; the bed holds the part."""
    names = [name for name, target in plan.targets.items() if target and name[:1] == "T"]
    if "T" in names:
        return ("M104 S0",)
    return tuple(f"M104 {name} S0" for name in names)


def _is_hot(mark: Bookmark, temperatures: Temperatures) -> bool:
    actual, target = temperatures.get("T", temperatures.get(f"T{mark.tool}", (0.0, 0.0)))
    return actual >= HOT and target >= HOT


def _lift(
    mark: Bookmark, place: Mapping[str, float], pausing: Pausing, reach: Reach
) -> float | None:
    """Return the height to lift to; None if nobody knows that it is free."""
    if "Z" not in mark.homed or "Z" not in place or pausing.lift_mm <= 0:
        return None
    lift = place["Z"] + pausing.lift_mm
    if "Z" in reach and not mark.is_shifted:
        lift = min(lift, reach["Z"][1])
    return lift if lift > place["Z"] else None


def _spot(
    mark: Bookmark, place: Mapping[str, float], pausing: Pausing, reach: Reach
) -> tuple[float, float] | None:
    """Return where to park; None unless that place is surely within reach."""
    if not {"X", "Y"} <= set(reach) or mark.is_shifted:
        return None
    if not {"X", "Y"} <= mark.homed or not {"X", "Y"} <= set(place):
        return None
    (left, right), (front, rear) = reach["X"], reach["Y"]
    return left + pausing.place_x * (right - left), front + pausing.place_y * (rear - front)


def _modes(mark: Bookmark) -> tuple[str, ...]:
    lines = ["G20" if mark.inches else "G21", *mark.modes]
    if mark.fan:
        lines.append(mark.fan.decode("ascii", "ignore"))
    if mark.feedrate_mm_min:
        unit = 25.4 if mark.inches else 1.0
        lines.append(f"G1 F{_text(mark.feedrate_mm_min / unit)}")
    return tuple(lines)


def _text(value: float) -> str:
    """Return a number as firmware reads it, no digit lost.

    >>> _text(1800.0), _text(12.345), _text(-0.00001)
    ('1800', '12.345', '-0.00001')
    """
    return f"{value:.5f}".rstrip("0").rstrip(".")
