"""What the lab itself decides and does about money: terms, groups, closed months, open books."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.books import (
    Booked,
    Cell,
    EntryKind,
    Shown,
    checked_month,
    csv_of,
    month_of,
    next_month,
    suppressed,
)
from jobs.domain.care import one_line
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.money_terms import MoneyTerms, checked_terms
from jobs.domain.people import Actor, Role
from jobs.services.asked import must_be
from jobs.services.purse import account_of
from jobs.services.tariffs import terms_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import Price
from jobs.store.money import (
    MoneyAccount,
    MoneyEntry,
    MoneyGroup,
    MoneyMonth,
    MoneyPreview,
    MoneyTerm,
)
from jobs.store.tables import Machine, Person

_MOST_GROUPS: Final = 40
_MOST_MONTHS: Final = 240
_OF_USE: Final = (EntryKind.CHARGE, EntryKind.FEE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GroupView:
    """A membership group and how many are in it."""

    id: str
    name: str
    everybody: bool
    people: int


@dataclass(frozen=True, slots=True)
class MonthView:
    """A month of the books.

    :param closed: it takes nothing more; *csv_sha256* is then the hash of its list.
    """

    month: str
    entries: int
    closed: bool
    csv_sha256: str


@dataclass(frozen=True, slots=True)
class OpenCell:
    """One sum that may be shown; without a label it is what was put together."""

    label: str
    minor: int


@dataclass(frozen=True, slots=True)
class OpenMonth:
    """A closed month as members see it.

    :param income: what use brought; empty with *hidden*, where too few people were there.
    :param work: what contributed work was credited; None where too few gave any.
    """

    month: str
    income: Sequence[OpenCell]
    hidden: bool
    work: int | None
    costs: Sequence[OpenCell]
    other: Sequence[OpenCell]

    @property
    def earned(self) -> int:
        """Return the sum of what may be shown of income."""
        return sum(one.minor for one in (*self.income, *self.other))

    @property
    def spent(self) -> int:
        """Return the sum of the costs."""
        return sum(one.minor for one in self.costs)


class MoneyLab:
    """Use cases of who runs the lab's money, and of who looks at it."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def terms(self) -> MoneyTerms:
        """Return what the lab decided last."""
        with self._database.read() as session:
            return terms_of(session)

    def decide(self, actor: Actor, values: Mapping[str, str], now: datetime) -> MoneyTerms:
        """Have new terms hold from now on; what was charged stays charged.

        :raises InvalidError: naming the field; `money.currency-kept` once there are entries.
        """
        must_be(actor, Role.ADMIN)
        with self._database.write() as session:
            take_turn(session, "money")
            before = terms_of(session)
            after = checked_terms(values, before)
            is_used = session.scalar(select(MoneyEntry.seq).limit(1)) is not None
            if after.currency != before.currency and is_used:
                raise InvalidError("money.currency-kept", field="currency", text=before.currency)
            last = session.scalar(select(func.max(MoneyTerm.version))) or 0
            session.add(
                MoneyTerm(
                    version=last + 1, at=now, person_id=actor.person_id, terms=after.to_json()
                )
            )
        log.info("terms of money: version %d by %s", last + 1, actor.person_id)
        self._workshop.live.touch()
        return after

    def groups(self) -> Sequence[GroupView]:
        """Return the membership groups, by name."""
        with self._database.read() as session:
            rows = session.execute(
                select(MoneyGroup, func.count(MoneyAccount.id))
                .outerjoin(MoneyAccount, MoneyAccount.group_id == MoneyGroup.id)
                .group_by(MoneyGroup.id)
                .order_by(MoneyGroup.name)
            ).all()
            return [GroupView(row.id, row.name, row.everybody, count) for row, count in rows]

    def group(self, actor: Actor, name: str, now: datetime, group_id: str = "") -> None:
        """Add a group, or give one another name: its prices and its people keep it.

        :raises InvalidError: `money.group`, `money.groups`.
        """
        must_be(actor, Role.ADMIN)
        name = one_line(name, 80, "name")
        if not name:
            raise InvalidError("care.empty", field="name")
        try:
            with self._database.write() as session:
                if group_id:
                    row = _group(session, group_id)
                    for price in session.scalars(select(Price).where(Price.for_group == row.name)):
                        price.for_group = name
                    # A run that goes on is charged by the prices that it began with.
                    session.execute(
                        update(MoneyPreview)
                        .where(MoneyPreview.for_group == row.name)
                        .values(for_group=name)
                    )
                    row.name = name
                else:
                    if (session.scalar(select(func.count(MoneyGroup.id))) or 0) >= _MOST_GROUPS:
                        raise InvalidError("money.groups", field="name", count=_MOST_GROUPS)
                    key = self._workshop.new_id()
                    session.add(MoneyGroup(id=key, name=name, everybody=False, created_at=now))
                session.flush()
        except IntegrityError as error:
            raise InvalidError("money.group", field="name", text=name) from error

    def everybodys(self, actor: Actor, group_id: str) -> None:
        """Have one group be that of whoever is in none; "" for none."""
        must_be(actor, Role.ADMIN)
        with self._database.write() as session:
            if group_id:
                _group(session, group_id)
            for row in session.scalars(select(MoneyGroup)):
                row.everybody = row.id == group_id

    def put_in(self, actor: Actor, person_id: str, group_id: str, now: datetime) -> None:
        """Put a person into a group; "" takes them out. What runs keeps the price it began with."""
        must_be(actor, Role.OPERATOR)
        with self._database.write() as session:
            if session.get(Person, person_id) is None:
                raise NotFoundError("person.unknown")
            if group_id:
                _group(session, group_id)
            account = account_of(session, self._workshop, person_id, now)
            account.group_id = group_id or None

    def months(self, actor: Actor) -> Sequence[MonthView]:
        """Return the months of the books, newest first, for operators."""
        must_be(actor, Role.OPERATOR)
        with self._database.read() as session:
            closed = {row.month: row for row in session.scalars(select(MoneyMonth))}
            counts = dict(
                session.execute(
                    select(MoneyEntry.month, func.count(MoneyEntry.seq)).group_by(MoneyEntry.month)
                ).all()
            )
            return [
                MonthView(
                    month,
                    counts.get(month, 0),
                    month in closed,
                    closed[month].csv_sha256 if month in closed else "",
                )
                for month in sorted(closed.keys() | counts.keys(), reverse=True)
            ]

    def close(self, actor: Actor, month: str, now: datetime) -> None:
        """Close a month and those before it: they take nothing more, and their lists stay.

        :raises InvalidError: `money.month-runs` for one that is not over, `money.month-closed`.
        """
        must_be(actor, Role.ADMIN)
        checked_month(month)
        if month >= month_of(now, self._workshop.zone):
            raise InvalidError("money.month-runs", field="month", text=month)
        with self._database.write() as session:
            take_turn(session, "money")  # nobody adds to it between its list and its closing
            last = session.scalar(select(func.max(MoneyMonth.month))) or ""
            if month <= last:
                raise InvalidError("money.month-closed", field="month", text=month)
            first = session.scalar(select(func.min(MoneyEntry.month)))
            one = next_month(last) if last else min(first or month, month)
            for _ in range(_MOST_MONTHS):
                listed = b"".join(csv_of(_booked(session, one)))
                session.add(
                    MoneyMonth(
                        month=one,
                        closed_at=now,
                        closed_by=actor.person_id,
                        entries=len(_booked(session, one)),
                        csv_sha256=hashlib.sha256(listed).hexdigest(),
                    )
                )
                session.flush()
                if one == month:
                    break
                one = next_month(one)
        log.info("month %s closed by %s", month, actor.person_id)

    def csv(self, actor: Actor, month: str) -> Iterator[bytes]:
        """Yield a month for the accountant; of a closed one always the same bytes."""
        must_be(actor, Role.OPERATOR)
        checked_month(month)
        with self._database.read() as session:
            return csv_of(_booked(session, month))

    def open_books(self, most: int = 24) -> Sequence[OpenMonth]:
        """Return closed months as far as the lab shows them, newest first; nobody is named.

        An open month is not shown: what it grows by from one look to the next would be somebody's.
        """
        with self._database.read() as session:
            terms = terms_of(session)
            if terms.shown is Shown.NOTHING:
                return []
            months = session.scalars(
                select(MoneyMonth.month).order_by(MoneyMonth.month.desc()).limit(most)
            ).all()
            names = dict(session.execute(select(Machine.slug, Machine.name)).all())
            return [_open_month(session, month, terms, names) for month in months]


def _open_month(
    session: Session, month: str, terms: MoneyTerms, names: Mapping[str, str]
) -> OpenMonth:
    used: dict[str, dict[str, int]] = {}
    worked: dict[str, int] = {}
    house: dict[EntryKind, dict[str, int]] = {EntryKind.COST: {}, EntryKind.INCOME: {}}
    rows = session.scalars(select(MoneyEntry).where(MoneyEntry.month == month)).all()
    originals = _corrected(session, rows)
    for row in rows:
        kind, text = originals.get(row.of_seq or 0, (EntryKind(row.kind), row.text))
        if row.account_id is None:
            sums, sign = house[kind], -1 if kind is EntryKind.COST else 1
            sums[text] = sums.get(text, 0) + sign * row.minor
        elif kind is EntryKind.CONTRIBUTION:
            worked[row.account_id] = worked.get(row.account_id, 0) + row.minor
        elif kind in _OF_USE:
            label = row.machine_kind
            if terms.shown is Shown.MACHINES and row.machine:
                label = names.get(row.machine, row.machine)
            by = used.setdefault(label or "material", {})
            by[row.account_id] = by.get(row.account_id, 0) - row.minor
    cells = []
    for label, by in used.items():
        # Who paid nothing in the end stands behind no sum.
        people = frozenset(account for account, minor in by.items() if minor)
        if people:
            cells.append(Cell(label, sum(by.values()), people))
    shown, rest = suppressed(cells, terms.least)
    income = [OpenCell(one.label, one.minor) for one in shown]
    if rest is not None:
        income.append(OpenCell("", rest.minor))
    workers = {account for account, minor in worked.items() if minor}
    return OpenMonth(
        month,
        income,
        bool(cells) and not income,
        sum(worked.values()) if len(workers) >= terms.least else None,
        _cells(house[EntryKind.COST]),
        _cells(house[EntryKind.INCOME]),
    )


def _cells(sums: Mapping[str, int]) -> Sequence[OpenCell]:
    return [OpenCell(label, minor) for label, minor in sorted(sums.items())]


def _booked(session: Session, month: str) -> Sequence[Booked]:
    """Return a month's entries as its list has them, in their order."""
    rows = session.execute(
        select(MoneyEntry, MoneyAccount.number)
        .outerjoin(MoneyAccount, MoneyAccount.id == MoneyEntry.account_id)
        .where(MoneyEntry.month == month)
        .order_by(MoneyEntry.seq)
    ).all()
    kinds = {seq: kind for seq, (kind, _) in _corrected(session, [row for row, _ in rows]).items()}
    return [
        Booked(
            row.seq,
            row.day,
            row.month,
            EntryKind(row.kind),
            row.minor,
            row.currency,
            number,
            row.machine,
            row.of_seq,
            row.receipt,
            row.why,
            # A member's own words may name somebody, and the list stays for ever.
            row.text if row.account_id is None else "",
            kinds.get(row.of_seq or 0),
            _lines(row),
        )
        for row, number in rows
    ]


def _corrected(session: Session, rows: Sequence[MoneyEntry]) -> Mapping[int, tuple[EntryKind, str]]:
    """Return kind and text of the entries that others correct, by their number."""
    found = session.execute(
        select(MoneyEntry.seq, MoneyEntry.kind, MoneyEntry.text).where(
            MoneyEntry.seq.in_([row.of_seq for row in rows if row.of_seq])
        )
    )
    return {seq: (EntryKind(kind), text) for seq, kind, text in found}


def _lines(row: MoneyEntry) -> Sequence[tuple[str, int]]:
    """Return a charge's amount part by part, where its lines are that amount."""
    parts = [(str(one.get("part", "")), -int(one.get("minor", 0))) for one in row.lines]
    is_charge = row.kind == EntryKind.CHARGE.value
    return parts if is_charge and sum(minor for _, minor in parts) == row.minor else ()


def _group(session: Session, group_id: str) -> MoneyGroup:
    row = session.get(MoneyGroup, group_id)
    if row is None:
        raise NotFoundError("money.no-group")
    return row
