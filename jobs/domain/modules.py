"""Parts of the house that a lab may switch off: what is off is not shown and does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Module(StrEnum):
    """What can be off; until an admin says otherwise everything but money is on."""

    BOOKING = "booking"  # nobody claims machines' time ahead
    QUEUE = "queue"  # nothing starts by itself: a person at the machine starts each job
    STOCK = "stock"
    MONEY = "money"  # nothing has a price
    TRAININGS = "trainings"  # events that qualify; qualifications are given by word alone
    HOUSE = "house"  # nobody checks in at the door
    COMMONS = "commons"  # designs from outside, and the library of them
    NETWORK = "network"  # nothing is published


OFF_AT_FIRST: Final = frozenset({Module.MONEY})


def modules_from(text: str) -> frozenset[Module]:
    """Return the modules that are on, from the lab's setting.

    What it does not name is as it was at first.

    >>> sorted(modules_from('{"stock": false, "of-a-later-release": false}') ^ frozenset(Module))
    [<Module.MONEY: 'money'>, <Module.STOCK: 'stock'>]
    """
    said = json.loads(text) if text else {}
    return frozenset(
        one for one in Module if said.get(one.value, one not in OFF_AT_FIRST) is not False
    )


def modules_text(on: Iterable[Module]) -> str:
    """Return the lab's setting that has just these on."""
    kept = frozenset(on)
    return json.dumps({one.value: one in kept for one in Module})
