"""Money: whole minor units of one currency, exact to the end of a line and rounded there, once.

No number with a fraction touches an amount. A price is in millionths of its currency; what a line
comes to is rounded half up to the minor unit (cents); a sum is the sum of its lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from jobs.domain.errors import InvalidError

MICRO: Final = 1_000_000
MOST_MINOR: Final = 10**11  # of one entry: what is more was mistyped
_SCALE: Final = (1, 10, 100, 1000)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT: Final = re.compile(r"(-?)(\d{1,12})(?:[.,](\d{1,3}))?")
# *Source:* ISO 4217; every other currency has two digits.
_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def minor_digits(currency: str) -> int:
    """Return how many digits the minor unit of a currency has.

    >>> minor_digits("EUR"), minor_digits("JPY"), minor_digits("KWD")
    (2, 0, 3)
    """
    return _DIGITS.get(currency, 2)


def checked_currency(text: str) -> str:
    """Return a currency as ISO 4217 writes it.

    :raises InvalidError: `money.currency`.
    """
    code = text.strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise InvalidError("money.currency", field="currency", text=text[:10])
    return code


def minor_unit(currency: str) -> int:
    """Return how many minor units one of a currency is."""
    return _SCALE[minor_digits(currency)]


def cost(micro: int, count: int, of: int, currency: str) -> int:
    """Return what *count* parts of a unit cost in minor units, rounded half up.

    :param micro: of one unit, in millionths of the currency; never negative.
    :param of: how many parts one unit has.

    >>> cost(3_500_000, 7_500_000, 3_600_000, "EUR")  # 125 minutes at 3.50 an hour: 7.2916
    729
    >>> cost(5_000, 1, 1, "EUR"), cost(4_999, 1, 1, "EUR"), cost(1_500_000, 1, 1, "JPY")
    (1, 0, 2)
    """
    numerator = micro * count * minor_unit(currency)
    denominator = of * MICRO
    return (2 * numerator + denominator) // (2 * denominator)


def minor_of(text: str, currency: str, field: str = "amount", *, signed: bool = False) -> int:
    """Return an amount as a person writes it, in minor units.

    :raises InvalidError: `money.amount`, also for more digits than the currency has.

    >>> minor_of("12,5", "EUR"), minor_of("-3", "EUR", signed=True), minor_of("1200", "JPY")
    (1250, -300, 1200)
    """
    digits = minor_digits(currency)
    found = _AMOUNT.fullmatch(text.strip())
    # `\d` matches other scripts' digits as well; what is kept is read the same everywhere.
    if not text.isascii() or found is None or len(found[3] or "") > digits:
        raise InvalidError("money.amount", field=field, text=text[:20], digits=digits)
    minor = int(found[2]) * _SCALE[digits] + int((found[3] or "").ljust(digits, "0") or 0)
    if minor > MOST_MINOR or (found[1] and not signed):
        raise InvalidError("money.amount", field=field, text=text[:20], digits=digits)
    return -minor if found[1] else minor


def plain(minor: int, currency: str) -> str:
    """Return an amount with a point and all its digits, as machines read it.

    >>> plain(-5, "EUR"), plain(1250, "EUR"), plain(1250, "JPY")
    ('-0.05', '12.50', '1250')
    """
    digits = minor_digits(currency)
    whole, rest = divmod(abs(minor), _SCALE[digits])
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"
