"""Lists from another system: which columns mean what, and what is wrong with a row.

*Sources:* the fields of NEMO's models (usnistgov/NEMO, `NEMO/models.py`) and the columns of
fab-manager's exports, by their documented names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as of
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

LARGEST_BYTES: Final = 4 * 1024 * 1024
MOST_ROWS: Final = 10_000
MOST_PROBLEMS: Final = 200  # that are told; more would not be read
_LONGEST_CELL: Final = 500


class What(StrEnum):
    """What a list holds."""

    PEOPLE = "people"
    QUALIFICATIONS = "qualifications"
    BOOKINGS = "bookings"
    PRICES = "prices"


# Our field, and what other systems call it; names are compared without case and punctuation.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "login": ("login", "username", "user", "email", "emailaddress", "member", "badge"),
    "name": ("name", "fullname", "displayname"),
    "first": ("firstname", "givenname"),
    "last": ("lastname", "surname", "familyname"),
    "role": ("role", "group", "type"),
    "active": ("isactive", "active", "enabled"),
    "machine": ("machine", "tool", "resource", "space", "reservable", "reservablename"),
    "kind": ("kind", "machinekind", "category", "toolcategory"),
    "until": ("until", "expires", "expiry", "expirydate", "validuntil", "qualifieduntil"),
    "start": ("start", "startat", "starttime", "startdate", "from", "begin"),
    "end": ("end", "endat", "endtime", "enddate", "to"),
    "note": ("note", "title", "purpose", "comment", "reservationdescription"),
    "cancelled": ("cancelled", "canceled", "canceledat", "cancelledat"),
    "sponsor": ("sponsor", "vouchedby"),
    "machines": ("machines", "tools"),
    "minor": ("minor", "isminor", "child"),
    "guardian": ("guardian", "parent"),
    "reach": ("guardianreach", "guardianphone", "parentphone"),
    "consent": ("consent",),
    "number": ("badgenumber", "cardnumber", "rfid"),
}
# In a list of prices these words mean something else than in one of people.
_OF_PRICES: Final[Mapping[str, tuple[str, ...]]] = {
    "machine": ("machine", "tool", "resource", "space", "priceable", "item"),
    "material": ("material", "consumable", "supply"),
    "group": ("group", "category", "plan", "for"),
    "amount": ("amount", "price", "rate"),
    "per": ("per", "unit", "time"),
    "duration": ("duration", "block", "blockmin"),
    "lot": ("lot", "batch"),
    "from": ("from", "validfrom", "since"),
    "until": ("until", "validuntil", "to"),
    "currency": ("currency",),
    "kind": ("kind", "machinekind", "toolcategory"),
}
_PRICE_OURS: Final = {name: ours for ours, names in _OF_PRICES.items() for name in names}
_OURS: Final = {name: ours for ours, names in _NAMES.items() for name in names}
_NEEDED: Final[Mapping[What, tuple[str, ...]]] = {
    What.PEOPLE: ("login",),
    What.QUALIFICATIONS: ("login",),
    What.BOOKINGS: ("login", "machine", "start", "end"),
    What.PRICES: ("amount",),
}
_FORMS: Final = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y %H:%M",
)
TRUE: Final = frozenset({"1", "true", "yes", "y", "t"})
FALSE: Final = frozenset({"0", "false", "no", "n", "f", ""})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row, or only good to know of it; the sentence is `import.<code>`.

    :param line: of the file, from 1; of an .ics file, which entry.
    """

    line: int
    field: str
    code: str
    values: Mapping[str, str | int] = of(default_factory=dict)
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One row by our fields."""

    line: int
    cells: Mapping[str, str]


class RowError(Exception):
    """A row cannot be taken; carries what is wrong."""

    def __init__(self, field_name: str, code: str, **values: str | int) -> None:
        self.field = field_name
        self.code = code
        self.values = values
        super().__init__(code)


def read_table(data: bytes, what: What | None = None) -> tuple[list[Row], list[Problem]]:
    r"""Return the rows of a CSV file with `,`, `;` or tabs, and what is wrong with the file.

    :param what: the list is of; some words for columns mean another thing in another list.

    >>> rows, problems = read_table(b"Username;First name\nana;Ana\n")
    >>> rows[0].line, rows[0].cells["login"], rows[0].cells["first"], problems
    (2, 'ana', 'Ana', [])
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        names = [_plain(one) for one in next(reader, [])]
        ours_of = _PRICE_OURS if what is What.PRICES else _OURS
        fields = [ours_of.get(name) for name in names]
        known = [one for one in fields if one]
        doubled = sorted({one for one in known if known.count(one) > 1} - {"login"})
        if doubled:
            problems.append(Problem(1, doubled[0], "doubled", {"name": doubled[0]}))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(rows) >= MOST_ROWS:
                problems.append(Problem(line, "", "too-many", {"count": MOST_ROWS}))
                break
            if len(cells) > len(names):
                problems.append(Problem(line, "", "too-wide", {"count": len(names)}))
                continue
            found: dict[str, str] = {}
            for ours, cell in zip(fields, cells, strict=False):
                if ours and cell.strip():
                    found.setdefault(ours, cell.strip()[:_LONGEST_CELL])
            rows.append(Row(line, found))
    except csv.Error as error:
        problems.append(Problem(reader.line_num, "", "not-csv", {"reason": str(error)[:100]}))
    return rows, problems


def lacking(what: What, rows: Sequence[Row]) -> list[Problem]:
    """Return a problem for each needed column that no row has."""
    if not rows:
        return [Problem(1, "", "empty")]
    have = {name for row in rows for name in row.cells}
    needed = [*_NEEDED[what]]
    if what is What.QUALIFICATIONS and "kind" not in have:
        needed.append("machine")
    return [Problem(1, name, "no-column", {"name": name}) for name in needed if name not in have]


def full_name(cells: Mapping[str, str]) -> str:
    """Return a person's name, however the other system cuts it."""
    parts = (cells.get("first", ""), cells.get("last", ""))
    return cells.get("name") or " ".join(one for one in parts if one) or cells.get("login", "")


def several(cells: Mapping[str, str], name: str) -> list[str]:
    """Return the words of a cell that holds more than one.

    >>> several({"machines": "ender | saw"}, "machines")
    ['ender', 'saw']
    """
    return [one.strip() for one in re.split(r"[|;,]", cells.get(name, "")) if one.strip()]


def is_true(cells: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a yes or no.

    :raises RowError: `yes-no`.
    """
    text = cells.get(name, "").casefold()
    if name not in cells:
        return default
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise RowError(name, "yes-no", text=text[:40])


def instant_of(cells: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime:
    """Return an instant; without an offset it is a time on the lab's clock.

    :raises RowError: `time`, or `no-such-time` in the hour that the clock skips.
    """
    text = cells.get(name, "")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        for form in _FORMS:
            try:
                at = datetime.strptime(text, form)  # noqa: DTZ007  the zone follows below
            except ValueError:
                continue
            break
        else:
            raise RowError(name, "time", text=text[:40]) from None
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    local = at.replace(tzinfo=zone)
    back = local.astimezone(UTC)
    if back.astimezone(zone).replace(tzinfo=None) != at:
        raise RowError(name, "no-such-time", text=text[:40])
    return back


def start_of_day(cells: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    """Return the beginning of a named day on the lab's clock; None where there is none.

    :raises RowError: `day`.
    """
    end = end_of_day(cells, name, zone)
    if end is None:
        return None
    day = (end - timedelta(microseconds=1)).astimezone(zone).date()
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of_day(cells: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    """Return the end of a named day on the lab's clock; None where there is none.

    :raises RowError: `day`.
    """
    text = cells.get(name, "")
    if not text:
        return None
    for read in (date.fromisoformat, _german):
        try:
            day = read(text[:10])
        except ValueError:
            continue
        return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    raise RowError(name, "day", text=text[:40])


def _german(text: str) -> date:
    return datetime.strptime(text, "%d.%m.%Y").replace(tzinfo=UTC).date()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())
