"""Prices: what an hour of a machine, a start or a gram of material costs which group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from jobs.domain.importing import RowError

_MICRO: Final = Decimal(1_000_000)
_MOST: Final = Decimal(1_000_000)  # of any currency, for one unit
_HOUR_MIN: Final = Decimal(60)
_SIGNS: Final = {"€": "EUR", "£": "GBP", "$": "USD"}
_AMOUNT: Final = re.compile(r"\d{1,9}(?:[.,]\d{1,6})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Per(StrEnum):
    """What a price is for one of."""

    HOUR = "hour"  # of the machine
    START = "start"
    GRAM = "gram"


# How other systems write a unit: ours, and how many of ours one of theirs is.
_UNITS: Final[Mapping[str, tuple[Per, Decimal]]] = {
    "hour": (Per.HOUR, Decimal(1)),
    "h": (Per.HOUR, Decimal(1)),
    "hourly": (Per.HOUR, Decimal(1)),
    "minute": (Per.HOUR, 1 / _HOUR_MIN),
    "min": (Per.HOUR, 1 / _HOUR_MIN),
    "start": (Per.START, Decimal(1)),
    "flat": (Per.START, Decimal(1)),
    "use": (Per.START, Decimal(1)),
    "g": (Per.GRAM, Decimal(1)),
    "gram": (Per.GRAM, Decimal(1)),
    "kg": (Per.GRAM, Decimal(1000)),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A price for one unit, in millionths of its currency; "" where the list named none."""

    micro: int
    currency: str
    per: Per


def amount_of(cells: Mapping[str, str], default: Per) -> Amount:
    """Return the price that a row gives.

    A `duration` [min] is that of fab-manager: what the amount is for, an hour without it.

    :param default: what it is for where the row does not say.
    :raises RowError: `amount`, `currency` or `unit`.

    >>> amount_of({"amount": "0,10 €", "per": "minute"}, Per.HOUR)
    Amount(micro=6000000, currency='EUR', per=<Per.HOUR: 'hour'>)
    >>> amount_of({"amount": "24.00", "currency": "chf", "per": "kg"}, Per.HOUR).micro
    24000
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
    if "duration" in cells:
        count *= _minutes(cells["duration"]) / _HOUR_MIN
    value = Decimal(text.strip().replace(",", ".")) / count
    if value > _MOST:
        raise RowError("amount", "amount", text=text[:20])
    return Amount(round(value * _MICRO), currency, per)


def _minutes(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise RowError("duration", "unit", text=text[:20]) from None
    if not found.is_finite() or not 1 <= found <= 24 * _HOUR_MIN:
        raise RowError("duration", "unit", text=text[:20])
    return found
