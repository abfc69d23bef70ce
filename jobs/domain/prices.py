"""Prices: what time on a machine, a start or material costs which group, and what a use comes to.

One function, `quote`, says what something will cost and what it did cost: a preview gives it what
is planned, a charge what was used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from jobs.domain.importing import RowError
from jobs.domain.money import MICRO, cost

_MICRO: Final = Decimal(MICRO)
_MOST: Final = Decimal(1_000_000)  # of any currency, for one unit
_HOUR_MIN: Final = Decimal(60)
_SIGNS: Final = {"€": "EUR", "£": "GBP", "$": "USD"}
_AMOUNT: Final = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,6})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
MOST_BLOCK_MIN: Final = 24 * 60


class Per(StrEnum):
    """What a price is for one of."""

    HOUR = "hour"  # of the machine, to the millisecond
    BLOCK = "block"  # of so many minutes, each that has begun
    START = "start"  # the set-up fee
    GRAM = "gram"
    ML = "ml"
    M2 = "m2"


class Part(StrEnum):
    """What a line of a bill is for; of each part one price holds."""

    TIME = "time"
    START = "start"
    MATERIAL = "material"


PART_OF: Final[Mapping[Per, Part]] = {
    Per.HOUR: Part.TIME,
    Per.BLOCK: Part.TIME,
    Per.START: Part.START,
    Per.GRAM: Part.MATERIAL,
    Per.ML: Part.MATERIAL,
    Per.M2: Part.MATERIAL,
}
# How many of what is counted make one unit: milliseconds, milligrams, microlitres, mm².
_OF: Final[Mapping[Per, int]] = {
    Per.HOUR: 3_600_000,
    Per.BLOCK: 1,
    Per.START: 1,
    Per.GRAM: 1000,
    Per.ML: 1000,
    Per.M2: 1_000_000,
}

_TIME: Final = (Per.HOUR, Per.BLOCK)

# How other systems write a unit: ours, and how many of ours one of theirs is.
_UNITS: Final[Mapping[str, tuple[Per, Decimal]]] = {
    "hour": (Per.HOUR, Decimal(1)),
    "h": (Per.HOUR, Decimal(1)),
    "hourly": (Per.HOUR, Decimal(1)),
    "minute": (Per.HOUR, 1 / _HOUR_MIN),
    "min": (Per.HOUR, 1 / _HOUR_MIN),
    "block": (Per.BLOCK, Decimal(1)),
    "start": (Per.START, Decimal(1)),
    "flat": (Per.START, Decimal(1)),
    "use": (Per.START, Decimal(1)),
    "g": (Per.GRAM, Decimal(1)),
    "gram": (Per.GRAM, Decimal(1)),
    "kg": (Per.GRAM, Decimal(1000)),
    "ml": (Per.ML, Decimal(1)),
    "l": (Per.ML, Decimal(1000)),
    "litre": (Per.ML, Decimal(1000)),
    "m2": (Per.M2, Decimal(1)),
    "m²": (Per.M2, Decimal(1)),
    "sqm": (Per.M2, Decimal(1)),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A price for one unit, in millionths of its currency; "" where the list named none.

    :param block_min: how long a block is; 0 for every other unit.
    """

    micro: int
    currency: str
    per: Per
    block_min: int = 0


def amount_of(cells: Mapping[str, str], default: Per) -> Amount:
    """Return the price that a row gives.

    A `duration` [min] is that of fab-manager: what the amount is for, an hour without it. Of a
    `block` it is how long the block is.

    :param default: what it is for where the row does not say.
    :raises RowError: `amount`, `currency` or `unit`.

    >>> amount_of({"amount": "0,10 €", "per": "minute"}, Per.HOUR)
    Amount(micro=6000000, currency='EUR', per=<Per.HOUR: 'hour'>, block_min=0)
    >>> amount_of({"amount": "24.00", "currency": "chf", "per": "kg"}, Per.HOUR).micro
    24000
    >>> amount_of({"amount": "1", "per": "block", "duration": "15"}, Per.HOUR).block_min
    15
    """
    text, currency = cells.get("amount", ""), cells.get("currency", "").upper()
    for sign, word in _SIGNS.items():
        if sign in text or currency == sign:
            text, currency = text.replace(sign, ""), word
    if currency and not _CURRENCY.fullmatch(currency):
        raise RowError("currency", "currency", text=currency[:10])
    if not _AMOUNT.fullmatch(text.strip()):
        raise RowError("amount", "amount", text=text[:20])
    unit = cells.get("per", "").casefold()
    if unit and unit not in _UNITS:
        raise RowError("per", "unit", text=unit[:20])
    per, count = _UNITS[unit] if unit else (default, Decimal(1))
    block_min = 0
    if per is Per.BLOCK:
        minutes = _minutes(cells.get("duration", ""))
        if minutes != int(minutes):
            raise RowError("duration", "unit", text=cells["duration"][:20])
        block_min = int(minutes)
    elif "duration" in cells:
        count *= _minutes(cells["duration"]) / _HOUR_MIN
    value = Decimal(text.strip().replace(",", ".")) / count
    if value > _MOST:
        raise RowError("amount", "amount", text=text[:20])
    return Amount(round(value * _MICRO), currency, per, block_min)


def _minutes(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise RowError("duration", "unit", text=text[:20]) from None
    if not found.is_finite() or not 1 <= found <= MOST_BLOCK_MIN:
        raise RowError("duration", "unit", text=text[:20])
    return found


@dataclass(frozen=True, slots=True)
class Price:
    """One price of the lab's list.

    :param id: the version: a new amount is a new price.
    :param machine: id of the machine it is of; or *kind*, or *material*, or *lot* of a material.
    :param group: who pays it; "" for everybody else.
    :param since: valid from then on, before *until*.
    """

    id: str
    per: Per
    micro: int
    since: datetime
    until: datetime | None = None
    block_min: int = 0
    machine: str = ""
    kind: str = ""
    material: str = ""
    lot: str = ""
    group: str = ""

    def holds(self, at: datetime) -> bool:
        """Return whether it is valid then."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Material that a use takes: mg, µl or mm², by what *per* says it is sold by."""

    material: str
    amount: int
    lot: str = ""
    per: Per = Per.GRAM


@dataclass(frozen=True, slots=True)
class Use:
    """What is planned, or was used."""

    machine_ms: int = 0
    starts: int = 0
    drawn: Sequence[Drawn] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: *count* of *of* parts of a unit at *micro* millionths, rounded once."""

    part: Part
    per: Per
    price_id: str
    micro: int
    count: int
    minor: int
    block_min: int = 0
    material: str = ""

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values, without what is empty."""
        found: dict[str, object] = {
            "part": self.part.value,
            "per": self.per.value,
            "price": self.price_id,
            "micro": self.micro,
            "count": self.count,
            "minor": self.minor,
        }
        if self.block_min:
            found["block_min"] = self.block_min
        if self.material:
            found["material"] = self.material
        return found


@dataclass(frozen=True, slots=True)
class Quote:
    """What a use comes to."""

    currency: str
    lines: Sequence[Line] = ()

    @property
    def minor(self) -> int:
        """Return the sum of the lines."""
        return sum(one.minor for one in self.lines)

    def only(self, *parts: Part) -> Quote:
        """Return the same for some of its parts alone."""
        return Quote(self.currency, [one for one in self.lines if one.part in parts])


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices that hold for one person, one machine and one moment."""

    currency: str
    prices: Sequence[Price] = ()
    machine: str = ""
    kind: str = ""
    group: str = ""
    at: datetime | None = None

    def price(self, per: Collection[Per], material: str = "", lot: str = "") -> Price | None:
        """Return the one that counts.

        Of the machine before its kind, of a lot before its material; there that of the person's
        group before that of everybody else.
        """
        known = [
            (rank, one)
            for one in self.prices
            if one.per in per and (rank := self._rank(one, material, lot)) is not None
        ]
        return min(known, key=lambda found: (found[0], found[1].id))[1] if known else None

    def _rank(self, one: Price, material: str, lot: str) -> tuple[int, int] | None:
        """Return how far a price is from what is asked for; None: it is of something else."""
        if one.group not in ("", self.group) or (self.at and not one.holds(self.at)):
            return None
        if one.machine or one.kind:
            near = one.machine == self.machine if one.machine else one.kind == self.kind
            place = 0 if one.machine else 1
        else:
            wanted, own = (lot, one.lot) if one.lot else (material, one.material)
            near = bool(own) and own.casefold() == wanted.casefold()
            place = 0 if one.lot else 1
        return (place, 0 if one.group else 1) if near else None


def quote(tariff: Tariff, use: Use) -> Quote:
    """Return what a use comes to: a preview asks with what is planned, a charge with what was.

    It grows with each of its numbers, so what lies between two uses costs between the two.

    >>> at = datetime(2026, 1, 1)
    >>> prices = [Price("1", Per.BLOCK, 500_000, at, block_min=15, kind="fdm")]
    >>> quote(Tariff("EUR", prices, "", "fdm"), Use(machine_ms=900_001)).minor
    100
    """
    lines = [
        _line(tariff, price, count)
        for pers, count in ((_TIME, use.machine_ms), ((Per.START,), use.starts))
        if count > 0 and (price := tariff.price(pers)) is not None
    ]
    for drawn in use.drawn:
        price = tariff.price((drawn.per,), drawn.material, drawn.lot)
        if price is not None and drawn.amount > 0:
            lines.append(_line(tariff, price, drawn.amount, drawn.material or drawn.lot))
    return Quote(tariff.currency, lines)


def line_minor(per: Per, micro: int, count: int, currency: str) -> int:
    """Return what one line comes to: its arithmetic, for whoever does it again."""
    return cost(micro, count, _OF[per], currency)


def _line(tariff: Tariff, price: Price, count: int, material: str = "") -> Line:
    if price.per is Per.BLOCK:
        count = -(-count // (60_000 * price.block_min))  # each that has begun
    minor = line_minor(price.per, price.micro, count, tariff.currency)
    part = PART_OF[price.per]
    return Line(part, price.per, price.id, price.micro, count, minor, price.block_min, material)
