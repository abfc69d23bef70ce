"""The way to every page that no machine or job leads to: what whom concerns, in few groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.domain.modules import Module
from jobs.domain.people import Actor, Role


@dataclass(frozen=True, slots=True)
class Entry:
    """One page; its name is `page.menu.<name>`, what it is for `page.menu.<name>.for`.

    :param least: who sees it.
    :param module: the part of the house that it belongs to; None: it is always there.
    :param shared: there only where several people share the machines.
    """

    path: str
    name: str
    least: Role = Role.GUEST
    module: Module | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under one heading, `page.menu.<name>`."""

    name: str
    entries: Sequence[Entry]


MENU: Final = (
    Group(
        "yours",
        (
            Entry("/bookings", "bookings", module=Module.BOOKING, shared=True),
            Entry("/notices", "notices"),
            Entry("/house/in", "who-is-in", module=Module.HOUSE, shared=True),
            Entry("/trainings", "trainings", module=Module.TRAININGS, shared=True),
            Entry("/money", "money", Role.MEMBER, module=Module.MONEY, shared=True),
            Entry("/contests", "contests", Role.MEMBER),
            Entry("/me", "me"),
            Entry("/privacy", "privacy"),
            Entry("/unclaimed", "unclaimed", Role.MEMBER, shared=True),
        ),
    ),
    Group(
        "together",
        (
            Entry("/rules", "rules", shared=True),
            Entry("/instructions", "instructions", shared=True),
            Entry("/proposals", "proposals", shared=True),
            Entry("/queue/order", "order", module=Module.QUEUE),
            Entry("/designs", "designs", module=Module.COMMONS),
            Entry("/ledger", "ledger"),
            Entry("/prices", "prices", module=Module.MONEY, shared=True),
            Entry("/money/books", "books", module=Module.MONEY, shared=True),
        ),
    ),
    Group(
        "care",
        (
            Entry("/upkeep", "upkeep", Role.MEMBER),
            Entry("/checklists", "checklists", Role.MEMBER),
            Entry("/near-misses", "near-misses", Role.MEMBER),
            Entry("/health", "health"),
        ),
    ),
    Group(
        "staff",
        (
            Entry("/approvals", "approvals", Role.OPERATOR, shared=True),
            Entry("/money/desk", "money-desk", Role.TRAINER, module=Module.MONEY, shared=True),
            Entry("/day-sheet", "day-sheet", Role.OPERATOR),
            Entry("/machines/new", "machine-new", Role.OPERATOR),
            Entry("/devices", "devices", Role.ADMIN, shared=True),
            Entry("/people", "people", Role.OPERATOR),
            Entry("/money/terms", "money-terms", Role.ADMIN, module=Module.MONEY, shared=True),
            Entry("/workstations", "workstations", Role.OPERATOR, shared=True),
            Entry("/modules", "modules", Role.ADMIN),
            Entry("/import", "import", Role.ADMIN),
        ),
    ),
)


def menu_for(actor: Actor, on: Collection[Module], *, shares: bool) -> Iterator[Group]:
    """Yield the groups that a person has anything in."""
    for group in MENU:
        entries = [
            one
            for one in group.entries
            if actor.is_at_least(one.least)
            and (one.module is None or one.module in on)
            and (shares or not one.shared)
        ]
        if entries:
            yield Group(group.name, entries)


def is_in_menu(path: str) -> bool:
    """Tell whether a page is reached through the menu, so that its tab is marked.

    >>> is_in_menu("/proposals/new"), is_in_menu("/house"), is_in_menu("/machines/ender")
    (True, True, False)
    """
    known = [entry.path for group in MENU for entry in group.entries]
    return path == "/house" or any(path == one or path.startswith(f"{one}/") for one in known)
