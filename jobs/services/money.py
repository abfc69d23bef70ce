"""Money as people meet it: their account, what staff pay in and out, what something will cost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.books import EntryKind, checked_month, harmless, month_of
from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.care import needed_text, one_line
from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.machine import Control
from jobs.domain.modules import Module
from jobs.domain.money import minor_of, plain
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.prices import Drawn, Per, Use, quote
from jobs.services.asked import must_be
from jobs.services.clock import is_trusted
from jobs.services.costing import (
    Cost,
    charge_booking,
    charge_taken,
    charge_use,
    costs_of_job,
)
from jobs.services.modules import MONEY_SINCE, is_on
from jobs.services.purse import (
    Posting,
    account_of,
    available,
    balance_of,
    correct,
    entry_for,
    kept_for_bookings,
    kept_for_runs,
    post,
)
from jobs.services.tariffs import group_of, tariff_of, terms_of
from jobs.services.workshop import Workshop
from jobs.store.house import Price
from jobs.store.money import MaterialTaken, MoneyAccount, MoneyEntry, MoneyPreview
from jobs.store.tables import Allocation, Attempt, Job, Machine, Person, Setting, UsageEvent

_TEXT: Final = 200
_RECEIPT: Final = 40
_REACH: Final = timedelta(days=31)  # how far back a use by hand is still found
_MOST: Final = 200  # in one sweep: it comes again
_MOST_TAKEN: Final = 10**9  # mg, µl or mm²
_PARTS: Final = {Per.GRAM: 3, Per.ML: 3, Per.M2: 6}  # digits behind the point that are kept
_AGAINST: Final = frozenset(
    {EntryKind.CHARGE.value, EntryKind.FEE.value, EntryKind.PAY_OUT.value, EntryKind.COST.value}
)
_CONTESTED: Final = frozenset({EntryKind.CHARGE.value, EntryKind.FEE.value})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry, as its person and staff read it.

    :param lines: the arithmetic: part, per, count, micro, minor, material, block_min, percent, of.
    :param net: what is left of it after its corrections.
    :param by: who wrote it; "" for the node.
    """

    seq: int
    day: date
    month: str
    kind: EntryKind
    minor: int
    net: int
    currency: str
    machine: str
    why: str
    text: str
    receipt: str
    of_seq: int | None
    by: str
    lines: Sequence[Mapping[str, object]]
    may_contest: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A person's account over some months; every amount in minor units.

    :param spendable: the balance without what is kept for runs and bookings.
    """

    number: int | None
    person_id: str
    name: str
    group: str
    currency: str
    since: str
    until: str
    opening: int
    entries: Sequence[EntryView]
    closing: int
    balance: int
    kept: int
    spendable: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account in the list of staff."""

    number: int | None
    person_id: str
    name: str
    group: str
    balance: int


@dataclass(frozen=True, slots=True)
class CostView:
    """What something will cost whoever asks: with an even chance, and nine times in ten."""

    machine_slug: str
    machine_name: str
    currency: str
    p50: int
    p90: int
    lines: Sequence[Mapping[str, object]]
    spendable: int | None = None


@dataclass(frozen=True, slots=True)
class JobMoney:
    """What a job's page says of money.

    :param costs: what a run would cost, by machine.
    :param said: what was said before a run, by run; *charges* what it was charged.
    """

    costs: Mapping[str, CostView] = field(default_factory=dict)
    said: Mapping[str, CostView] = field(default_factory=dict)
    charges: Mapping[str, EntryView] = field(default_factory=dict)


class Money:
    """Use cases about accounts, and the sweep that charges what was used by hand."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def currency(self) -> str:
        """Return the lab's currency."""
        with self._database.read() as session:
            return terms_of(session).currency

    def statement(
        self, actor: Actor, person_id: str, since: str, until: str, now: datetime
    ) -> Statement:
        """Return a person's account from month to month, both included; "" for the present one.

        :raises NotAllowedError: for somebody else's, without being an operator.
        """
        if person_id != actor.person_id:
            must_be(actor, Role.OPERATOR)
        today = month_of(now, self._workshop.zone)
        until = checked_month(until or today, "until")
        since = checked_month(since or until, "since")
        with self._database.read() as session:
            person = session.get(Person, person_id)
            if person is None:
                raise NotFoundError("person.unknown")
            account = session.scalar(
                select(MoneyAccount).where(MoneyAccount.person_id == person_id)
            )
            key = account.id if account else ""
            rows = session.scalars(
                select(MoneyEntry)
                .where(
                    MoneyEntry.account_id == key,
                    MoneyEntry.month >= since,
                    MoneyEntry.month <= until,
                )
                .order_by(MoneyEntry.month, MoneyEntry.seq)
            ).all()
            opening = _sum(session, key, MoneyEntry.month < since)
            kept = kept_for_runs(session, person_id) + kept_for_bookings(session, person_id, now)
            balance = balance_of(session, key)
            return Statement(
                account.number if account else None,
                person_id,
                person.name,
                group_of(session, person_id),
                terms_of(session).currency,
                since,
                until,
                opening,
                entry_views(session, rows, mine=person_id == actor.person_id),
                opening + sum(one.minor for one in rows),
                balance,
                kept,
                balance - kept,
            )

    def accounts(self, actor: Actor) -> Sequence[AccountView]:
        """Return everybody's balance, by name, for operators."""
        must_be(actor, Role.OPERATOR)
        with self._database.read() as session:
            sums = dict(
                session.execute(
                    select(MoneyEntry.account_id, func.sum(MoneyEntry.minor)).group_by(
                        MoneyEntry.account_id
                    )
                ).all()
            )
            rows = session.execute(
                select(Person, MoneyAccount)
                .outerjoin(MoneyAccount, MoneyAccount.person_id == Person.id)
                .where(Person.disabled_at.is_(None) | MoneyAccount.id.is_not(None))
                .order_by(Person.name, Person.id)
            ).all()
            return [
                AccountView(
                    account.number if account else None,
                    person.id,
                    person.name,
                    group_of(session, person.id) if account and account.group_id else "",
                    int(sums.get(account.id, 0) or 0) if account else 0,
                )
                for person, account in rows
            ]

    def pay(
        self,
        actor: Actor,
        person_id: str,
        amount: str,
        receipt: str,
        text: str,
        now: datetime,
        *,
        out: bool = False,
    ) -> int:
        """Write down that a person paid in, or was paid out; return the new balance.

        :param amount: as a person writes it, never negative.
        :param receipt: its number; there is one entry of each.
        :raises InvalidError: `money.amount`, `money.receipt`, `money.receipt-known`.
        """
        must_be(actor, Role.OPERATOR)
        receipt, text = self._words(receipt, text)
        try:
            with self._database.write() as session:
                if session.get(Person, person_id) is None:
                    raise NotFoundError("person.unknown")
                minor = _positive(amount, terms_of(session).currency)
                account = account_of(session, self._workshop, person_id, now)
                self._once(session, account, EntryKind.PAY_OUT if out else EntryKind.TOP_UP,
                           -minor if out else minor, receipt, text, actor, now)  # fmt: skip
                balance = balance_of(session, account.id)
        except IntegrityError as error:
            raise InvalidError("money.receipt-known", field="receipt", text=receipt) from error
        log.info("account %s: %s of %s by %s", person_id, amount, receipt, actor.person_id)
        return balance

    def house(
        self,
        actor: Actor,
        kind: EntryKind,
        amount: str,
        receipt: str,
        text: str,
        now: datetime,
    ) -> None:
        """Write down what the house itself spent or got.

        :param kind: `cost` or `income`; *text* says for what, and open books sum by it.
        """
        must_be(actor, Role.ADMIN)
        receipt, text = self._words(receipt, text)
        if not text:
            raise InvalidError("care.empty", field="text")
        if kind not in (EntryKind.COST, EntryKind.INCOME):
            raise InvalidError("money.word", field="kind", known="cost, income")
        with self._database.write() as session:
            minor = _positive(amount, terms_of(session).currency)
            signed = -minor if kind is EntryKind.COST else minor
            self._once(session, None, kind, signed, receipt, text, actor, now)

    def correct(self, actor: Actor, seq: int, amount: str, text: str, now: datetime) -> None:
        """Have an entry come to another amount; staff, and never about their own account.

        :param amount: what it should have been, in the same direction as it is.
        :raises RefusedError: `involved`.
        """
        must_be(actor, Role.OPERATOR)
        text = needed_text(text, _TEXT, "text")
        with self._database.write() as session:
            entry = session.get(MoneyEntry, seq)
            if entry is None or entry.of_seq is not None:
                raise NotFoundError("money.no-entry")
            account = session.get(MoneyAccount, entry.account_id) if entry.account_id else None
            if account is None:
                must_be(actor, Role.ADMIN)
            elif account.person_id == actor.person_id:
                raise RefusedError([Refusal(Reason.INVOLVED)])
            minor = minor_of(amount, entry.currency)
            is_charge = entry.kind in _AGAINST
            posting = Posting(
                EntryKind.CORRECTION, 0, why="corrected", text=text, by_id=actor.person_id
            )
            should = -minor if is_charge else minor
            correct(session, self._workshop, entry, should, posting, now)

    def take(
        self,
        actor: Actor,
        person_id: str,
        material: str,
        per: str,
        amount: str,
        now: datetime,
        lot: str = "",
        note: str = "",
    ) -> None:
        """Write down material that a person took by hand, and charge it by its price.

        :param per: `gram`, `ml` or `m2`; *amount* is how many of them.
        :raises InvalidError: `money.no-price` where nobody sells it so.
        """
        if person_id != actor.person_id:
            must_be(actor, Role.OPERATOR)
        must_be(actor, Role.MEMBER)
        if per not in (Per.GRAM, Per.ML, Per.M2):
            raise InvalidError("money.word", field="per", known="gram, ml, m2")
        unit = Per(per)
        count = _parts(amount, unit)
        material, lot = one_line(material, 40, "material"), one_line(lot, 80, "lot")
        with self._database.write() as session:
            if session.get(Person, person_id) is None:
                raise NotFoundError("person.unknown")
            drawn = Drawn(material, count, lot, unit)
            tariff = tariff_of(session, None, group_of(session, person_id), now, [material], [lot])
            if not quote(tariff, Use(drawn=[drawn])).lines:
                raise InvalidError("money.no-price-of", field="material", text=material)
            row = MaterialTaken(
                id=self._workshop.new_id(),
                account_id=account_of(session, self._workshop, person_id, now).id,
                at=now,
                material=material,
                lot=lot,
                per=unit.value,
                amount=count,
                note=one_line(note, _TEXT, "note"),
                by_id=actor.person_id,
            )
            session.add(row)
            session.flush()
            charge_taken(session, self._workshop, person_id, row, drawn, now)

    def cost_of_booking(
        self, actor: Actor, slug: str, interval: Interval, now: datetime
    ) -> CostView | None:
        """Return what a time on a machine costs, used to its end; None where it costs nothing."""
        with self._database.read() as session:
            if not is_on(session, Module.MONEY):
                return None
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            if machine is None:
                return None
            tariff = tariff_of(session, machine, group_of(session, actor.person_id), interval.start)
            length_ms = interval.length // timedelta(milliseconds=1)
            found = quote(tariff, Use(length_ms, 1))
            if not found.lines:
                return None
            return CostView(
                slug,
                machine.name,
                found.currency,
                found.minor,
                found.minor,
                [one.to_json() for one in found.lines],
                available(session, actor.person_id, now),
            )

    def cost_of_lengths(
        self, actor: Actor, lengths: Mapping[str, timedelta], now: datetime
    ) -> Mapping[str, int]:
        """Return what so long a time costs now, by slug, where it costs anything."""
        with self._database.read() as session:
            if not is_on(session, Module.MONEY):
                return {}
            group = group_of(session, actor.person_id)
            found = {}
            for machine in session.scalars(select(Machine).where(Machine.slug.in_(lengths))):
                length_ms = lengths[machine.slug] // timedelta(milliseconds=1)
                bill = quote(tariff_of(session, machine, group, now), Use(length_ms, 1))
                if bill.lines:
                    found[machine.slug] = bill.minor
            return found

    def costs_of_job(self, actor: Actor, job_id: str, now: datetime) -> Sequence[CostView]:
        """Return what a run of a job would cost whose job it is, on each machine it is ready for.

        Pages, the API and the kiosk show this before a start. Nobody but its person and
        operators sees it.
        """
        with self._database.read() as session:
            if not is_on(session, Module.MONEY):
                return []
            job, found = costs_of_job(session, job_id, now)
            if job is None or (
                job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR)
            ):
                return []
            spendable = available(session, job.person_id, now) if found else 0
            return [_cost_view(machine, cost, spendable) for machine, cost in found]

    def of_job(self, actor: Actor, job_id: str, now: datetime) -> JobMoney:
        """Return what a job's page says of money; nothing while it is off, or is not theirs."""
        costs = self.costs_of_job(actor, job_id, now)
        said = (
            select(MoneyPreview, Machine)
            .join(Machine, Machine.id == MoneyPreview.machine_id)
            .where(MoneyPreview.job_id == job_id, MoneyPreview.attempt_id.is_not(None))
            .order_by(MoneyPreview.at)
        )
        with self._database.read() as session:
            owner_id = session.scalar(select(Job.person_id).where(Job.id == job_id))
            may_see = owner_id == actor.person_id or actor.is_at_least(Role.OPERATOR)
            if not may_see or not is_on(session, Module.MONEY):
                return JobMoney()
            kept = {
                row.attempt_id or "": CostView(
                    machine.slug, machine.name, row.currency, row.p50_minor, row.p90_minor,
                    row.lines,
                )
                for row, machine in session.execute(said)
            }  # fmt: skip
            runs = session.scalars(select(Attempt.id).where(Attempt.job_id == job_id)).all()
            facts = {f"run:{one}": one for one in runs}
            rows = session.scalars(select(MoneyEntry).where(MoneyEntry.fact.in_(facts))).all()
            views = entry_views(session, rows, mine=owner_id == actor.person_id)
            charges = {facts[row.fact or ""]: view for row, view in zip(rows, views, strict=True)}
            return JobMoney({one.machine_slug: one for one in costs}, kept, charges)

    def tick(self, now: datetime) -> int:
        """Charge what was used by hand and is over; return how many looks it took."""
        with self._database.read() as session:
            if not is_on(session, Module.MONEY) or not is_trusted(session, now):
                return 0
            since = max(_since(session, now), now - _REACH)
            uses, bookings = _uses(session, since), _bookings(session, since, now)
        for key in uses:
            with self._database.write() as session:
                charge_use(session, self._workshop, session.get_one(UsageEvent, key), now)
        for key in bookings:
            with self._database.write() as session:
                charge_booking(session, self._workshop, session.get_one(Allocation, key), now)
        return len(uses) + len(bookings)

    def _once(
        self,
        session: Session,
        account: MoneyAccount | None,
        kind: EntryKind,
        minor: int,
        receipt: str,
        text: str,
        actor: Actor,
        now: datetime,
    ) -> None:
        fact = f"receipt:{receipt.casefold()}"
        posting = Posting(kind, minor, fact, text=text, receipt=receipt, by_id=actor.person_id)
        if post(session, self._workshop, account, posting, now) is None:
            raise InvalidError("money.receipt-known", field="receipt", text=receipt)

    def _words(self, receipt: str, text: str) -> tuple[str, str]:
        receipt = one_line(receipt, _RECEIPT, "receipt")
        if not receipt:
            raise InvalidError("money.receipt", field="receipt")
        return receipt, one_line(text, _TEXT, "text")


def statement_csv(found: Statement) -> bytes:
    """Return a statement as a list: charged and credited each in a column, and the balance."""
    head = ("entry", "date", "month", "kind", "machine", "why", "text", "receipt", "corrects")
    rows: list[tuple[str, ...]] = [(*head, "charged", "credited", "balance", "currency")]
    balance = found.opening
    for one in found.entries:
        balance += one.minor
        words = (
            str(one.seq), one.day.isoformat(), one.month, one.kind.value, one.machine, one.why,
            one.text, one.receipt, "" if one.of_seq is None else str(one.of_seq),
        )  # fmt: skip
        charged = plain(-one.minor, found.currency) if one.minor < 0 else ""
        credited = plain(one.minor, found.currency) if one.minor > 0 else ""
        numbers = (charged, credited, plain(balance, found.currency), found.currency)
        rows.append((*(harmless(word) for word in words), *numbers))
    lines = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    return ("\r\n".join(lines) + "\r\n").encode()


def entry_views(session: Session, rows: Sequence[MoneyEntry], *, mine: bool) -> Sequence[EntryView]:
    """Return entries as people read them.

    :param mine: who reads may contest what was charged.
    """
    seqs = [one.seq for one in rows]
    more = dict(
        session.execute(
            select(MoneyEntry.of_seq, func.sum(MoneyEntry.minor))
            .where(MoneyEntry.of_seq.in_(seqs))
            .group_by(MoneyEntry.of_seq)
        ).all()
    )
    by = {one.by_id for one in rows if one.by_id}
    names = dict(session.execute(select(Person.id, Person.name).where(Person.id.in_(by))).all())
    return [
        EntryView(
            one.seq,
            one.day,
            one.month,
            EntryKind(one.kind),
            one.minor,
            one.minor + int(more.get(one.seq, 0) or 0),
            one.currency,
            one.machine,
            one.why,
            one.text,
            one.receipt,
            one.of_seq,
            names.get(one.by_id or "", ""),
            one.lines,
            mine and one.kind in _CONTESTED and one.minor < 0,
        )
        for one in rows
    ]


def _cost_view(machine: Machine, cost: Cost, spendable: int) -> CostView:
    return CostView(
        machine.slug,
        machine.name,
        cost.p90.currency,
        cost.p50.minor,
        cost.p90.minor,
        [one.to_json() for one in cost.p90.lines],
        spendable,
    )


def _sum(session: Session, account_id: str, where: object) -> int:
    query = select(func.coalesce(func.sum(MoneyEntry.minor), 0)).where(
        MoneyEntry.account_id == account_id,
        where,  # type: ignore[arg-type]
    )
    return int(session.scalar(query) or 0)


def _positive(amount: str, currency: str) -> int:
    minor = minor_of(amount, currency)
    if not minor:
        raise InvalidError("money.amount", field="amount", text=amount[:20], digits=0)
    return minor


def _parts(text: str, per: Per) -> int:
    """Return an amount of material in mg, µl or mm²."""
    digits = _PARTS[per]
    whole, _, rest = text.strip().replace(",", ".").partition(".")
    is_number = whole.isascii() and whole.isdigit() and len(whole) < 8
    is_rest = rest == "" or (rest.isascii() and rest.isdigit() and len(rest) <= digits)
    count = int(whole + rest.ljust(digits, "0")) if is_number and is_rest else 0
    if not 0 < count <= _MOST_TAKEN:
        raise InvalidError("money.quantity", field="amount", text=text[:20], digits=digits)
    return count


def _since(session: Session, now: datetime) -> datetime:
    row = session.get(Setting, MONEY_SINCE)
    return now if row is None else datetime.fromisoformat(row.value)


def _uses(session: Session, since: datetime) -> Sequence[str]:
    """Return uses by hand that have ended, on machines with a price, and were not charged."""
    rows = session.scalars(
        select(UsageEvent.id)
        .join(Machine, Machine.id == UsageEvent.machine_id)
        .where(
            UsageEvent.start_at >= since,
            UsageEvent.attempt_id.is_(None),
            UsageEvent.end_at.is_not(None),
            Machine.id.in_(select(Price.machine_id)) | Machine.kind.in_(select(Price.kind)),
        )
        .order_by(UsageEvent.start_at.desc())
        .limit(_MOST)
    ).all()
    return [one for one in rows if entry_for(session, f"use:{one}") is None]


def _bookings(session: Session, since: datetime, now: datetime) -> Sequence[str]:
    """Return bookings that somebody came to and that are over, where nothing else counts them."""
    rows = session.scalars(
        select(Allocation.id)
        .join(Machine, Machine.id == Allocation.machine_id)
        .where(
            Allocation.start_at >= since,
            Allocation.end_at <= now,
            Allocation.kind == AllocationKind.RESERVATION.value,
            Allocation.state.in_((AllocationState.ACTIVE.value, AllocationState.ENDED.value)),
            Allocation.checked_in_at.is_not(None),
            Machine.control == Control.NONE.value,
            Machine.id.in_(select(Price.machine_id)) | Machine.kind.in_(select(Price.kind)),
        )
        .order_by(Allocation.start_at.desc())
        .limit(_MOST)
    ).all()
    return [one for one in rows if entry_for(session, f"booking:{one}") is None]
