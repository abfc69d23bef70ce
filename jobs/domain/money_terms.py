"""What a lab decides about money; each change is a new version, and the newest holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeVar

from jobs.domain.books import Failed, Shown
from jobs.domain.care import one_line
from jobs.domain.errors import InvalidError
from jobs.domain.money import checked_currency, minor_of

MOST_KINDS: Final = 12
LONGEST_KIND: Final = 40
_LARGEST_GROUP: Final = 1000
_Word = TypeVar("_Word", bound=StrEnum)


class Counts(StrEnum):
    """What a booking does to a person's credit before anything is used."""

    NOTHING = "nothing"
    HELD = "held"  # as much as its time costs is kept for it


@dataclass(frozen=True, slots=True)
class MoneyTerms:
    """The lab's decisions.

    :param bookings: whether a booking keeps its cost free on the account.
    :param failed: what a run costs that failed by the machine's fault.
    :param late_h: a booking given back later than so long before it is late [h].
    :param late_percent: of its cost that is then charged; *missed_percent* where nobody came.
    :param rates: what an hour of contributed work is worth, by its kind, in minor units.
    :param cap_minor: the most that one person is credited for it in a month; None: no cap.
    :param shown: how much of the books members see; *least* people stand behind each sum there.
    """

    currency: str = "EUR"
    bookings: Counts = Counts.NOTHING
    failed: Failed = Failed.FREE
    late_h: int = 24
    late_percent: int = 0
    missed_percent: int = 0
    rates: Mapping[str, int] = field(default_factory=dict)
    cap_minor: int | None = None
    shown: Shown = Shown.NOTHING
    least: int = 5

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        found: dict[str, object] = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**found, "rates": dict(self.rates)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MoneyTerms:
        """Return what was kept; what a later release wrote is left out."""
        known = {one.name for one in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        for key, words in (("bookings", Counts), ("failed", Failed), ("shown", Shown)):
            if key in kept:
                kept[key] = words(kept[key])
        return cls(**kept)


def checked_terms(values: Mapping[str, str], before: MoneyTerms) -> MoneyTerms:
    r"""Return the terms that a form or the API gives; what it leaves out stays.

    :param values: as texts; `rates` has a line `kind: amount` for each kind of work.
    :raises InvalidError: naming the field.

    >>> checked_terms({"rates": "repair: 12,50\ncleaning: 8", "cap": ""}, MoneyTerms()).rates
    {'repair': 1250, 'cleaning': 800}
    """
    currency = checked_currency(values.get("currency", before.currency))
    cap = before.cap_minor
    if "cap" in values:
        cap = minor_of(values["cap"], currency, "cap") if values["cap"].strip() else None
    return MoneyTerms(
        currency,
        _word(values, "bookings", Counts, before.bookings),
        _word(values, "failed", Failed, before.failed),
        _whole(values, "late_h", before.late_h, 0, 24 * 28),
        _whole(values, "late_percent", before.late_percent, 0, 100),
        _whole(values, "missed_percent", before.missed_percent, 0, 100),
        _rates(values["rates"], currency) if "rates" in values else before.rates,
        cap,
        _word(values, "shown", Shown, before.shown),
        _whole(values, "least", before.least, 2, _LARGEST_GROUP),
    )


def credit_for(minutes: int, rate_minor: int, cap_minor: int | None, earlier_minor: int) -> int:
    """Return what contributed time is worth: rounded half up, and no more than the month's rest.

    :param earlier_minor: what the same month has been credited already.

    >>> credit_for(50, 1000, None, 0), credit_for(90, 1000, 2000, 1200), credit_for(60, 1, 0, 5)
    (833, 800, 0)
    """
    worth = (2 * minutes * rate_minor + 60) // 120
    return worth if cap_minor is None else max(0, min(worth, cap_minor - earlier_minor))


def _rates(text: str, currency: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        kind, colon, amount = line.rpartition(":")
        kind = one_line(kind, LONGEST_KIND, "rates")
        if not colon or not kind or kind in found or len(found) == MOST_KINDS:
            raise InvalidError("money.rates", field="rates", text=line[:40], count=MOST_KINDS)
        found[kind] = minor_of(amount, currency, "rates")
    return found


def _word(values: Mapping[str, str], key: str, words: type[_Word], before: _Word) -> _Word:
    if key not in values:
        return before
    try:
        return words(values[key])
    except ValueError:
        known: Sequence[str] = [one.value for one in words]
        raise InvalidError("money.word", field=key, known=", ".join(known)) from None


def _whole(values: Mapping[str, str], key: str, before: int, low: int, high: int) -> int:
    if key not in values:
        return before
    text = values[key].strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else -1
    if not low <= number <= high:
        raise InvalidError("money.whole", field=key, low=low, high=high)
    return number
