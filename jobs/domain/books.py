"""The books of money: what sorts of entries there are, months, and what of them may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from jobs.domain.errors import InvalidError
from jobs.domain.money import plain

# Some spreadsheets take the wide forms as well.
_FORMULA: Final = (
    *("=", "+", "-", "@"),
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
    "\N{MINUS SIGN}",
)
_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


class EntryKind(StrEnum):
    """What an entry is; the first six are a person's, the last two the house's own."""

    CHARGE = "charge"
    CORRECTION = "correction"
    TOP_UP = "top-up"
    PAY_OUT = "pay-out"
    CONTRIBUTION = "contribution"
    FEE = "fee"  # of a booking that was given back late, or that nobody came to
    COST = "cost"
    INCOME = "income"


class Failed(StrEnum):
    """What a run costs that failed by the machine's fault."""

    FREE = "free"
    MATERIAL = "material"
    ALL = "all"


class Shown(StrEnum):
    """How much of its books a lab shows to its members."""

    NOTHING = "nothing"
    KINDS = "kinds"  # totals by month and kind of machine
    MACHINES = "machines"


def month_of(at: datetime, zone: ZoneInfo) -> str:
    """Return the month on the lab's wall clock.

    >>> from datetime import UTC
    >>> month_of(datetime(2026, 3, 31, 22, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    '2026-04'
    """
    return at.astimezone(zone).strftime("%Y-%m")


def checked_month(text: str, field: str = "month") -> str:
    """Return a month as `YYYY-MM`.

    :raises InvalidError: `money.month`.
    """
    if not _MONTH.fullmatch(text):
        raise InvalidError("money.month", field=field, text=text[:20])
    return text


def next_month(month: str) -> str:
    """Return the month after.

    >>> next_month("2026-12")
    '2027-01'
    """
    first = date.fromisoformat(f"{month}-01")
    return f"{first.year + first.month // 12}-{first.month % 12 + 1:02d}"


def month_for(wanted: str, today: str, closed: str) -> str:
    """Return the month that a new entry goes to: its own, or the first one still open from today.

    :param closed: the last month that was closed; "" if none was.

    >>> month_for("2026-02", "2026-04", "2026-01"), month_for("2026-02", "2026-04", "2026-03")
    ('2026-02', '2026-04')
    """
    if wanted > closed and wanted <= today:
        return wanted
    return today if today > closed else next_month(closed)


@dataclass(frozen=True, slots=True)
class Cell:
    """A sum with the people behind it; whoever reads the sum never sees them.

    :param label: of a machine or a kind; "" for what was put together.
    """

    label: str
    minor: int
    people: frozenset[str] = field(default_factory=frozenset)


def suppressed(cells: Sequence[Cell], least: int) -> tuple[Sequence[Cell], Cell | None]:
    """Return what may be shown, and what the rest comes to together; None: there is no rest.

    A cell with fewer than *least* people behind it goes into the rest, and with it, smallest
    first, others until as many people are behind the rest: else the sum less what is shown would
    tell it. Where all of them together are too few nothing may be shown, the sum neither.
    """
    if len(frozenset[str]().union(*(one.people for one in cells))) < least:
        return (), None
    by_size = sorted(cells, key=lambda one: (len(one.people), abs(one.minor), one.label))
    hidden = [one for one in by_size if len(one.people) < least]
    open_ones = by_size[len(hidden) :]
    while hidden and len(frozenset[str]().union(*(one.people for one in hidden))) < least:
        hidden.append(open_ones.pop(0))
    shown = sorted(open_ones, key=lambda one: one.label)
    if not hidden:
        return shown, None
    people = frozenset[str]().union(*(one.people for one in hidden))
    return shown, Cell("", sum(one.minor for one in hidden), people)


# *Of the accountant*: which account of the books is debited and which credited when a person's
# balance grows; when it falls, the other way round.
_OTHER_SIDE: Final[Mapping[EntryKind, str]] = {
    EntryKind.TOP_UP: "cash",
    EntryKind.PAY_OUT: "cash",
    EntryKind.CONTRIBUTION: "contributed-work",
    EntryKind.FEE: "revenue-fees",
    EntryKind.COST: "costs",
    EntryKind.INCOME: "other-income",
}
COLUMNS: Final = (
    "entry",
    "line",
    "date",
    "month",
    "debit",
    "credit",
    "amount",
    "currency",
    "kind",
    "account",
    "machine",
    "corrects",
    "receipt",
    "why",
    "text",
)


@dataclass(frozen=True, slots=True)
class Booked:
    """One entry as the accountant needs it; it names no person, so it stays what it is for ever.

    :param account: number of the person's account; None for the house's own.
    :param of_kind: of the entry that it corrects.
    :param lines: what an amount is made of: part and minor units; empty: the entry is one line.
    """

    seq: int
    day: date
    month: str
    kind: EntryKind
    minor: int
    currency: str
    account: int | None = None
    machine: str = ""
    corrects: int | None = None
    receipt: str = ""
    why: str = ""
    text: str = ""
    of_kind: EntryKind | None = None
    lines: Sequence[tuple[str, int]] = ()


def rows(entry: Booked) -> Iterator[tuple[str, ...]]:
    """Yield the rows of one entry, in the order of `COLUMNS`; debit and credit are always both.

    Amounts are never negative: what goes the other way changes sides.
    """
    parts = [one for one in entry.lines if one[1]] or [("", entry.minor)]
    if entry.minor == 0:
        parts = []
    for number, (part, minor) in enumerate(parts, 1):
        own = "bank" if entry.account is None else "member-credit"
        other = _OTHER_SIDE.get(entry.of_kind or entry.kind) or f"revenue-{part or 'corrections'}"
        debit, credit = (other, own) if minor > 0 else (own, other)
        if entry.account is None:
            debit, credit = (own, other) if minor > 0 else (other, own)
        cells = (
            str(entry.seq),
            str(number),
            entry.day.isoformat(),
            entry.month,
            debit,
            credit,
            plain(abs(minor), entry.currency),
            entry.currency,
            entry.kind.value,
            "" if entry.account is None else str(entry.account),
            entry.machine,
            "" if entry.corrects is None else str(entry.corrects),
            entry.receipt,
            entry.why,
            entry.text,
        )
        yield tuple(harmless(one) for one in cells)


def harmless(cell: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    *Source:* OWASP, CSV injection.

    >>> harmless("=1+1"), harmless("-3"), harmless("12.50")
    ("'=1+1", "'-3", '12.50')
    """
    bare = "".join(one if one.isprintable() else " " for one in cell)
    return f"'{bare}" if bare.lstrip()[:1] in _FORMULA else bare


def csv_of(entries: Iterable[Booked]) -> Iterator[bytes]:
    """Yield the accountant's list line by line: the same entries give the same bytes."""
    yield _line(COLUMNS)
    for entry in entries:
        for row in rows(entry):
            yield _line(row)


def _line(cells: Sequence[str]) -> bytes:
    quoted = (f'"{one.replace(chr(34), chr(34) * 2)}"' for one in cells)
    return (",".join(quoted) + "\r\n").encode()
