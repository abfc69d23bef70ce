"""What a machine has loaded, what a program asks for, and whether the two fit.

A program names its tools itself (`T0`, `T1`, …), and tool *n* draws from slot *n* unless a person
chose another for the job (`domain/slots.py`): another slot with the right spool is no help until
then, and the mapping says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

MOST_SLOTS: Final = 16
NOZZLE_SLACK: Final = 0.01  # [mm]; slicers write 0.4 and 0.40


Size = tuple[float, float, float]


def has_room(wanted: Size | None, envelope: Size) -> bool:
    """Tell whether a size fits into a machine, turned on its bed if need be [mm].

    A machine of which nobody said how far it reaches is not held against anything.

    >>> has_room((300, 200, 10), (210, 310, 200)), has_room((300, 220, 10), (210, 310, 200))
    (True, False)
    """
    if wanted is None or not any(envelope):
        return True
    x, y, z = wanted
    far_x, far_y, far_z = envelope
    fits_flat = (x <= far_x and y <= far_y) or (y <= far_x and x <= far_y)
    return fits_flat and z <= far_z


class Doubt(StrEnum):
    """Why somebody should look again at what is loaded."""

    RUN_OUT = "run-out"  # the machine said that filament ended
    TOOL_CHANGE = "tool-change"  # a person was asked to change it in the middle of a run
    BROKEN_OFF = "broken-off"  # a run failed or was interrupted: what it took is a guess


@dataclass(frozen=True, slots=True)
class Slot:
    """What lies in one slot, by a named person's word.

    :param material: "" for an empty slot.
    :param left_g: when it was said, less what runs took since; None where nobody said.
    """

    number: int
    material: str
    colour: str = ""
    lot: str = ""
    left_g: float | None = None
    by: str = ""
    at: datetime | None = None
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Nozzle:
    """The nozzle of one tool."""

    tool: int
    nozzle_mm: float
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Loads:
    """Everything that people said is loaded on one machine; empty where nobody said anything."""

    slots: Sequence[Slot] = ()
    nozzles: Sequence[Nozzle] = ()
    plate: str = ""
    plate_by: str = ""
    plate_at: datetime | None = None

    def slot(self, number: int) -> Slot | None:
        """Return a slot that somebody spoke of."""
        return next((one for one in self.slots if one.number == number), None)

    def nozzle(self, tool: int) -> Nozzle | None:
        """Return the nozzle of a tool; slots that share one nozzle have that of tool 0."""
        own = next((one for one in self.nozzles if one.tool == tool), None)
        return own or next((one for one in self.nozzles if one.tool == 0), None)

    @property
    def doubted(self) -> Sequence[Slot]:
        """Slots that somebody should look at."""
        return [one for one in self.slots if one.doubt is not None]


@dataclass(frozen=True, slots=True)
class ToolAsk:
    """What one tool of a program needs.

    :param material: "" where nobody said.
    :param colour: "" where any will do.
    :param mass_g: of the whole run; None where nobody can tell.
    """

    tool: int
    material: str = ""
    colour: str = ""
    mass_g: float | None = None


@dataclass(frozen=True, slots=True)
class Asks:
    """What a job asks of a machine's loading.

    :param size_mm: the machine has to reach at least that far.
    :param slots: where a tool draws from another slot than its own.
    """

    tools: Sequence[ToolAsk] = ()
    nozzle_mm: float | None = None
    plate: str = ""
    size_mm: Size | None = None
    slots: Mapping[int, int] = field(default_factory=dict)

    def slot_of(self, tool: int) -> int:
        """Return the slot that a tool draws from."""
        return self.slots.get(tool, tool)


def drawn(asks: Asks, mass: int) -> Mapping[int, int]:
    """Return what a run took, by slot: split as its tools were to share it; unit as given.

    Nothing where several tools drew and nobody knows how much each: a wrong number is worse than
    an old one.

    >>> drawn(Asks([ToolAsk(0, mass_g=3.0), ToolAsk(2, mass_g=1.0)]), 1000)
    {0: 750, 2: 250}
    >>> drawn(Asks(), 500), drawn(Asks([ToolAsk(0), ToolAsk(1)]), 500)
    ({0: 500}, {})
    >>> drawn(Asks([ToolAsk(0)], slots={0: 3}), 500)
    {3: 500}
    """
    if len(asks.tools) <= 1:
        return {asks.slot_of(asks.tools[0].tool if asks.tools else 0): mass} if mass else {}
    shares = {one.tool: one.mass_g for one in asks.tools if one.mass_g}
    whole = sum(shares.values())
    if len(shares) < len(asks.tools):
        return {}
    return {asks.slot_of(tool): round(mass * share / whole) for tool, share in shares.items()}


class Mismatch(StrEnum):
    """What stands between a job and what is loaded; each is also a refusal's code."""

    MATERIAL = "other-material"
    COLOUR = "other-colour"
    NOT_ENOUGH = "not-enough-left"
    DOUBTED = "loaded-doubted"
    NOZZLE = "other-nozzle"
    PLATE = "other-plate"


@dataclass(frozen=True, slots=True)
class Mapped:
    """One tool of a job, the slot it draws from, and what is in the way.

    :param number: of that slot.
    :param slot: None where nobody said what is in it: nothing can be compared then.
    :param elsewhere: another slot that holds what this tool asks for.
    """

    ask: ToolAsk
    number: int
    slot: Slot | None
    mismatches: Sequence[Mismatch] = ()
    elsewhere: int | None = None


def is_same(one: str, other: str) -> bool:
    """Tell whether two words of people or slicers mean one material or colour.

    >>> is_same("PLA ", "pla"), is_same("PLA", "PETG")
    (True, False)
    """
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def mapping(asks: Asks, loads: Loads) -> Sequence[Mapped]:
    """Return, for each tool that draws material, its slot and what is wrong with it."""
    return [_mapped(ask, asks.slot_of(ask.tool), loads) for ask in asks.tools]


def _mapped(ask: ToolAsk, number: int, loads: Loads) -> Mapped:
    slot = loads.slot(number)
    if slot is None:
        return Mapped(ask, number, None)
    found = tuple(_against(ask, slot))
    is_other = Mismatch.MATERIAL in found or Mismatch.COLOUR in found
    others = (
        one.number
        for one in loads.slots
        if one.number != number and one.material and fits_slot(ask, one)
    )
    return Mapped(ask, number, slot, found, next(others, None) if is_other else None)


def fits_slot(ask: ToolAsk, slot: Slot) -> bool:
    """Tell whether nothing is in the way of a tool that draws from a slot."""
    return next(_against(ask, slot), None) is None


def _against(ask: ToolAsk, slot: Slot) -> Iterator[Mismatch]:
    if ask.material and not is_same(ask.material, slot.material):
        yield Mismatch.MATERIAL
    elif not ask.material and not slot.material:
        yield Mismatch.MATERIAL  # whatever it needs, it is not an empty slot
    if ask.colour and not is_same(ask.colour, slot.colour):
        yield Mismatch.COLOUR
    if ask.mass_g is not None and slot.left_g is not None and ask.mass_g > slot.left_g:
        yield Mismatch.NOT_ENOUGH
    if slot.doubt is not None:
        yield Mismatch.DOUBTED


@dataclass(frozen=True, slots=True)
class LoadingFact:
    """One thing between a job and a machine's loading, with the values of its sentence."""

    what: Mismatch
    fields: Mapping[str, str | int | float]


def mismatches(asks: Asks, loads: Loads) -> Sequence[LoadingFact]:
    """Return everything that a person has to change or confirm before the job may start there.

    What nobody has spoken of is compared with nothing: a lab that keeps no such list is not
    held up by it.
    """
    found: list[LoadingFact] = []
    for one in mapping(asks, loads):
        if one.slot is None:
            continue
        fields: dict[str, str | int | float] = {
            "slot": one.slot.number + 1,
            "has": one.slot.material or "-",
            "wants": one.ask.material or "-",
            "has_colour": one.slot.colour or "-",
            "wants_colour": one.ask.colour or "-",
            "left_g": round(one.slot.left_g or 0.0, 1),
            "wants_g": round(one.ask.mass_g or 0.0, 1),
        }
        found.extend(LoadingFact(what, fields) for what in one.mismatches)
    for tool in sorted(asks.slot_of(one) for one in {one.tool for one in asks.tools} or {0}):
        nozzle = loads.nozzle(tool)
        if asks.nozzle_mm is None or nozzle is None:
            continue
        if abs(nozzle.nozzle_mm - asks.nozzle_mm) > NOZZLE_SLACK:
            sizes = {"has_mm": nozzle.nozzle_mm, "wants_mm": asks.nozzle_mm, "tool": tool + 1}
            found.append(LoadingFact(Mismatch.NOZZLE, sizes))
    if asks.plate and loads.plate and not is_same(asks.plate, loads.plate):
        plates = {"has": loads.plate, "wants": asks.plate}
        found.append(LoadingFact(Mismatch.PLATE, plates))
    return found


def needs_changeover(facts: Iterable[LoadingFact]) -> bool:
    """Tell whether a person has to change something, and not only to look."""
    return any(one.what is not Mismatch.DOUBTED for one in facts)
