"""From which slot each tool of a program draws: a person's choice, or proposed from what is loaded.

A program counts its tools itself. Where the firmware takes their numbers for slots, the stream is
written with others, and then every number in it has to change at once: a mapping is therefore
always completed to a permutation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobs.domain.errors import InvalidError
from jobs.domain.loading import MOST_SLOTS, Asks, Loads, fits_slot

Slots = Mapping[int, int]  # tool → slot, both from 0; a tool that is not named draws from its own


def checked(pairs: Iterable[tuple[int, int]]) -> Slots:
    """Return a mapping without what is as usual anyway.

    :raises InvalidError: `slots.number` or `slots.twice`.

    >>> checked([(0, 2), (1, 1)])
    {0: 2}
    """
    given = list(pairs)
    if not all(0 <= number < MOST_SLOTS for pair in given for number in pair):
        raise InvalidError("slots.number", field="slots", most=MOST_SLOTS)
    tools, slots = {tool for tool, _ in given}, {slot for _, slot in given}
    if len(tools) < len(given) or len(slots) < len(given):
        # Two tools into one slot would need every change between them taken out of the program.
        raise InvalidError("slots.twice", field="slots")
    return {tool: slot for tool, slot in given if tool != slot}


def permutation(slots: Slots) -> tuple[int, ...]:
    """Return where every tool draws, so that no two meet: who was put out takes a place left free.

    >>> permutation({0: 2})[:4], permutation({0: 1, 1: 2})[:4]
    ((2, 1, 0, 3), (1, 2, 0, 3))
    """
    taken = set(slots.values())
    kept = {tool for tool in range(MOST_SLOTS) if tool not in slots and tool not in taken}
    free = iter(sorted(set(range(MOST_SLOTS)) - taken - kept))
    return tuple(
        slots[tool] if tool in slots else tool if tool in kept else next(free)
        for tool in range(MOST_SLOTS)
    )


def proposed(asks: Asks, loads: Loads) -> Slots | None:
    """Return a mapping under which every tool finds its material and colour, and enough of it.

    Tools stay where they are as far as they can. None where nothing that is loaded would do, or
    nothing has to change.

    :param asks: whatever mapping it has now is not asked for.
    """
    places = {
        ask.tool: sorted(
            (slot.number for slot in loads.slots if slot.material and fits_slot(ask, slot)),
            key=lambda number, own=ask.tool: (number != own, number),  # type: ignore[misc]
        )
        for ask in asks.tools
    }
    found: dict[int, int] = {}  # slot → tool
    # Tools that fit where they are go first, so that one is moved only to make room.
    for tool in sorted(places, key=lambda one: (one not in places[one], one)):
        if not _place(tool, places, found, set()):
            return None
    mapping = {tool: slot for slot, tool in sorted(found.items()) if tool != slot}
    return mapping or None


def _place(
    tool: int, places: Mapping[int, list[int]], found: dict[int, int], tried: set[int]
) -> bool:
    """Give a tool a slot, moving others on where they have another; at most 16 deep."""
    for slot in places[tool]:
        if slot in tried:
            continue
        tried.add(slot)
        if slot not in found or _place(found[slot], places, found, tried):
            found[slot] = tool
            return True
    return False


def slots_from(value: object) -> Slots:
    """Read what was kept as JSON; what cannot be a mapping is none.

    >>> slots_from({"0": 2}), slots_from({"0": 99}), slots_from(None)
    ({0: 2}, {}, {})
    """
    if not isinstance(value, Mapping):
        return {}
    try:
        return checked((int(tool), int(slot)) for tool, slot in value.items())
    except (InvalidError, TypeError, ValueError):
        return {}


def slots_to_json(slots: Slots) -> dict[str, int]:
    """Return a mapping as JSON has it."""
    return {str(tool): slot for tool, slot in sorted(slots.items())}
