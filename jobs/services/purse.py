"""Accounts and their entries: what is added to the books, and what somebody may still spend.

Everything here runs inside the caller's transaction. Turns are taken in one order everywhere:
machines, then the ledger, then money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.books import EntryKind, month_for, month_of
from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import InvalidError
from jobs.domain.money import MOST_MINOR
from jobs.domain.money_terms import Counts
from jobs.domain.prices import Use, quote
from jobs.services.tariffs import group_of, tariff_of, terms_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.money import MoneyAccount, MoneyEntry, MoneyMonth, MoneyPreview
from jobs.store.tables import Allocation, Attempt, Machine

_TURN: Final = "money"
_MOST_BOOKINGS: Final = 200  # of one person that are looked at


@dataclass(frozen=True, slots=True)
class Posting:
    """What an entry says, besides whose it is and when it is written.

    :param minor: positive in the account's favour.
    :param fact: what it is for: of each there is one entry, for ever; None: a new one each time.
    :param fact_at: when that was; it chooses the month.
    :param lines: the arithmetic, as `Line.to_json`.
    :param why: code of the sentence `money.why.<why>`.
    """

    kind: EntryKind
    minor: int
    fact: str | None = None
    fact_at: datetime | None = None
    of_seq: int | None = None
    machine: Machine | None = None
    lines: Sequence[dict[str, object]] = ()
    why: str = ""
    text: str = ""
    receipt: str = ""
    by_id: str | None = None


def account_of(session: Session, workshop: Workshop, person_id: str, now: datetime) -> MoneyAccount:
    """Return a person's account, opened when it is first needed."""
    found = session.scalar(select(MoneyAccount).where(MoneyAccount.person_id == person_id))
    if found is not None:
        return found
    take_turn(session, _TURN)
    found = session.scalar(select(MoneyAccount).where(MoneyAccount.person_id == person_id))
    if found is not None:
        return found
    last = session.scalar(select(func.max(MoneyAccount.number))) or 0
    row = MoneyAccount(id=workshop.new_id(), number=last + 1, person_id=person_id, opened_at=now)
    session.add(row)
    session.flush()
    return row


def post(
    session: Session,
    workshop: Workshop,
    account: MoneyAccount | None,
    posting: Posting,
    now: datetime,
) -> MoneyEntry | None:
    """Add an entry; None if its fact has one already, and then nothing changes.

    It goes to the month of its fact, or where that is closed to the first one that is open.

    :param account: None for the house's own.
    :raises InvalidError: `money.amount` for more than any entry can be.
    """
    if abs(posting.minor) > MOST_MINOR:
        raise InvalidError("money.amount", field="amount", text=str(posting.minor), digits=0)
    take_turn(session, _TURN)
    if posting.fact is not None and entry_for(session, posting.fact) is not None:
        return None
    terms = terms_of(session)
    today = month_of(now, workshop.zone)
    closed = session.scalar(select(func.max(MoneyMonth.month))) or ""
    last = session.scalar(select(func.max(MoneyEntry.seq))) or 0
    row = MoneyEntry(
        seq=last + 1,
        account_id=account.id if account else None,
        kind=posting.kind.value,
        minor=posting.minor,
        currency=terms.currency,
        at=now,
        day=(posting.fact_at or now).astimezone(workshop.zone).date(),
        month=month_for(month_of(posting.fact_at or now, workshop.zone), today, closed),
        fact=posting.fact,
        of_seq=posting.of_seq,
        machine_id=posting.machine.id if posting.machine else None,
        machine=posting.machine.slug if posting.machine else "",
        machine_kind=posting.machine.kind if posting.machine else "",
        lines=list(posting.lines),
        why=posting.why,
        text=posting.text,
        receipt=posting.receipt,
        by_id=posting.by_id,
    )
    session.add(row)
    session.flush()
    return row


def entry_for(session: Session, fact: str) -> MoneyEntry | None:
    """Return the one entry of a fact."""
    return session.scalar(select(MoneyEntry).where(MoneyEntry.fact == fact))


def net_of(session: Session, entry: MoneyEntry) -> int:
    """Return what is left of an entry after its corrections, in minor units."""
    more = session.scalar(
        select(func.coalesce(func.sum(MoneyEntry.minor), 0)).where(MoneyEntry.of_seq == entry.seq)
    )
    return entry.minor + int(more or 0)


def correct(
    session: Session,
    workshop: Workshop,
    entry: MoneyEntry,
    should: int,
    posting: Posting,
    now: datetime,
) -> MoneyEntry | None:
    """Add what makes an entry come to *should* with its corrections; None if it does already.

    :param posting: why, by whom and with what arithmetic; its amount does not count.
    """
    take_turn(session, _TURN)  # before the look: two corrections of one entry must not add up
    rest = should - net_of(session, entry)
    if not rest:
        return None
    account = session.get(MoneyAccount, entry.account_id) if entry.account_id else None
    machine = session.get(Machine, entry.machine_id) if entry.machine_id else None
    return post(
        session,
        workshop,
        account,
        Posting(
            EntryKind.CORRECTION,
            rest,
            fact=posting.fact,
            of_seq=entry.seq,
            machine=machine,
            lines=posting.lines,
            why=posting.why,
            text=posting.text,
            by_id=posting.by_id,
        ),
        now,
    )


def balance_of(session: Session, account_id: str) -> int:
    """Return the sum of an account's entries."""
    found = session.scalar(
        select(func.coalesce(func.sum(MoneyEntry.minor), 0)).where(
            MoneyEntry.account_id == account_id
        )
    )
    return int(found or 0)


def available(
    session: Session,
    person_id: str,
    now: datetime,
    *,
    without: str = "",
    machine_id: str = "",
) -> int:
    """Return what a person may still spend: the balance without what is kept for runs and bookings.

    :param without: the booking that is asked about.
    :param machine_id: where something is to start: a booking of one's own there is for just that.
    """
    account_id = session.scalar(select(MoneyAccount.id).where(MoneyAccount.person_id == person_id))
    balance = balance_of(session, account_id) if account_id else 0
    return (
        balance
        - kept_for_runs(session, person_id)
        - kept_for_bookings(session, person_id, now, without=without, machine_id=machine_id)
    )


def kept_for_runs(session: Session, person_id: str) -> int:
    """Return what the runs that are open may cost by their own promise."""
    found = session.scalar(
        select(func.coalesce(func.sum(MoneyPreview.p90_minor), 0))
        .join(Attempt, Attempt.id == MoneyPreview.attempt_id)
        .where(MoneyPreview.person_id == person_id, Attempt.ended_at.is_(None))
    )
    return int(found or 0)


def kept_for_bookings(
    session: Session, person_id: str, now: datetime, *, without: str = "", machine_id: str = ""
) -> int:
    """Return what a person's coming bookings cost, where the lab keeps that free.

    Computed and not written down: a booking that was displaced, given back, swapped or missed
    keeps nothing, whatever way that came about.
    """
    if terms_of(session).bookings is not Counts.HELD:
        return 0
    rows = session.execute(
        select(Allocation, Machine)
        .join(Machine, Machine.id == Allocation.machine_id)
        .where(
            Allocation.person_id == person_id,
            Allocation.end_at > now,
            Allocation.kind == AllocationKind.RESERVATION.value,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.id != without,
        )
        .order_by(Allocation.start_at)
        .limit(_MOST_BOOKINGS)
    ).all()
    busy = set(
        session.scalars(
            select(MoneyPreview.machine_id)
            .join(Attempt, Attempt.id == MoneyPreview.attempt_id)
            .where(MoneyPreview.person_id == person_id, Attempt.ended_at.is_(None))
        )
    )
    if machine_id:
        busy.add(machine_id)
    group = group_of(session, person_id)
    return sum(
        booking_minor(session, row, machine, group)
        for row, machine in rows
        # What runs in a booking, or is about to, keeps its own cost.
        if not (row.start_at <= now and machine.id in busy)
    )


def booking_minor(session: Session, row: Allocation, machine: Machine, group: str) -> int:
    """Return what a booking's time costs with its set-up."""
    length_ms = round((row.end_at - row.start_at).total_seconds() * 1000)
    return quote(tariff_of(session, machine, group, row.start_at), Use(length_ms, 1)).minor
