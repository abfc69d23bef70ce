"""What a use will cost and what it did: previews, what is kept for a run, charges of facts.

`cost_of_run` says it beforehand for every page, the API and the kiosk; `charge_run` asks the same
arithmetic with what was used. A charge stands for one fact for ever; what was wrong with it is put
right by a correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.books import EntryKind, Failed
from jobs.domain.calendar import AllocationKind
from jobs.domain.errors import RefusedError
from jobs.domain.job import AttemptState
from jobs.domain.loading import Asks, drawn
from jobs.domain.modules import Module
from jobs.domain.money import minor_unit, plain
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.preflight import Verdict
from jobs.domain.prices import Drawn, Part, Quote, Tariff, Use, quote
from jobs.domain.rules.facts import Purse
from jobs.services.accounts import Account
from jobs.services.asking import asks_of
from jobs.services.clock import down_within
from jobs.services.house_rules import values_of, without_passed
from jobs.services.loaded import loads_of
from jobs.services.modules import is_on
from jobs.services.promising import History, history_of, promised
from jobs.services.purse import (
    Posting,
    account_of,
    available,
    booking_minor,
    correct,
    entry_for,
    net_of,
    post,
)
from jobs.services.tariffs import group_of, tariff_of, terms_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.money import MaterialTaken, MoneyAccount, MoneyEntry, MoneyPreview
from jobs.store.tables import Allocation, Attempt, Job, Machine, Preflight, UsageEvent
from jobs.store.upkeep import Clearing
from jobs.store.waiting import JobAsk

LONGEST_USE: Final = timedelta(days=31)
BY_HAND_MS: Final = 3_600_000  # of a run whose length nobody knows
# Ends that a person meant; every other failure is the machine's.
_MEANT: Final = frozenset({"stopped", "by-hand"})
_BROKEN: Final = frozenset({AttemptState.FAILED.value, AttemptState.INTERRUPTED.value})
_MACHINES_FAULT: Final = frozenset({"machine", "power", "clogged"})  # causes, by whoever cleared


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run is said to cost: with an even chance no more than *p50*, nine in ten *p90*."""

    machine_id: str
    group: str
    p50: Quote
    p90: Quote


def material_drawn(session: Session, machine_id: str, asks: Asks, mass_mg: int) -> Sequence[Drawn]:
    """Return what a run draws, by material and lot, as it was asked for and is loaded.

    Of several materials whose shares nobody knows nothing is counted.
    """
    if not mass_mg:
        return ()
    loads = loads_of(session, machine_id)
    materials = {one.tool: one.material for one in asks.tools}
    shares = drawn(asks, mass_mg)
    if not shares and len(set(materials.values())) == 1:
        shares = {asks.tools[0].tool: mass_mg}  # several tools of one material
    found = []
    for tool, mass in shares.items():
        slot = loads.slot(tool)
        material = materials.get(tool) or (slot.material if slot else "")
        found.append(Drawn(material, mass, slot.lot if slot else ""))
    return found


def planned_draw(
    session: Session, job_id: str, machine_id: str, preflight: Preflight | None
) -> Sequence[Drawn]:
    """Return what a job is to draw on a machine."""
    asks = asks_of(preflight, session.get(JobAsk, job_id))
    return material_drawn(session, machine_id, asks, preflight.mass_mg if preflight else 0)


def cost_of_run(
    session: Session,
    job: Job,
    machine: Machine,
    preflight: Preflight | None,
    history: History,
    now: datetime,
) -> Cost:
    """Return what a run of a job on a machine will cost whose job it is, if it began now."""
    group = group_of(session, job.person_id)
    draws = planned_draw(session, job.id, machine.id, preflight)
    tariff = _tariff(session, machine, group, now, draws)
    whole = promised(preflight, history).whole if preflight else None
    p50_ms = round(whole.p50 * 1000) if whole else BY_HAND_MS
    p90_ms = round(whole.p90 * 1000) if whole else BY_HAND_MS
    return Cost(
        machine.id,
        group,
        quote(tariff, Use(p50_ms, 1, draws)),
        quote(tariff, Use(max(p50_ms, p90_ms), 1, draws)),
    )


def keep_cost(
    session: Session,
    workshop: Workshop,
    job: Job,
    cost: Cost,
    now: datetime,
    attempt_id: str | None = None,
) -> None:
    """Keep with a job what was said, where anything costs anything."""
    if not cost.p90.lines:
        return
    session.add(
        MoneyPreview(
            id=workshop.new_id(),
            job_id=job.id,
            machine_id=cost.machine_id,
            attempt_id=attempt_id,
            person_id=job.person_id,
            for_group=cost.group,
            at=now,
            currency=cost.p90.currency,
            p50_minor=cost.p50.minor,
            p90_minor=cost.p90.minor,
            lines=[one.to_json() for one in cost.p90.lines],
        )
    )
    session.flush()


def keep_costs(session: Session, workshop: Workshop, job: Job, now: datetime) -> None:
    """Keep with a job what it will cost on each machine that it was examined for."""
    if not is_on(session, Module.MONEY):
        return
    for _, cost in costs_of_job(session, job.id, now)[1]:
        keep_cost(session, workshop, job, cost, now)


def costs_of_job(
    session: Session, job_id: str, now: datetime
) -> tuple[Job | None, Sequence[tuple[Machine, Cost]]]:
    """Return a job and what its run would cost now, on each machine that it is ready for."""
    job = session.get(Job, job_id)
    if job is None:
        return None, ()
    found = []
    for machine, preflight in _examined(session, job.id):
        cost = cost_of_run(session, job, machine, preflight, history_of(session, machine.id), now)
        if cost.p90.lines:
            found.append((machine, cost))
    return job, found


def begin_run(
    session: Session,
    workshop: Workshop,
    job: Job,
    machine: Machine,
    attempt: Attempt,
    preflight: Preflight | None,
    history: History,
    now: datetime,
) -> None:
    """Keep what a run may cost free for it; the last step of a start.

    Whoever starts two things at once waits here for the first, and then sees what it keeps.

    :raises RefusedError: `credits-short`, where the lab's rule asks for credit and it is gone.
    """
    if not is_on(session, Module.MONEY):
        return
    cost = cost_of_run(session, job, machine, preflight, history, now)
    owing = values_of(session, machine).owing_most
    if owing is not None:
        take_turn(session, "money")
        purse = available(session, job.person_id, now, machine_id=machine.id)
        found = short_of(cost.p90.minor, purse, owing, cost.p90.currency)
        if found and without_passed(session, found, job.id, machine.id, now):
            raise RefusedError(found)
    keep_cost(session, workshop, job, cost, now, attempt.id)


def short_of(needed: int, purse: int, owing: int, currency: str) -> list[Refusal]:
    """Return the refusal where *needed* goes below what the lab lets people owe."""
    missing = needed - purse - owing * minor_unit(currency)
    if missing <= 0 or needed <= 0:
        return []
    fields = {
        "needed": f"{plain(needed, currency)} {currency}",
        "balance": f"{plain(purse, currency)} {currency}",
    }
    way = Way(WayKind.TOP_UP, name=f"{plain(missing, currency)} {currency}", count=missing)
    return [Refusal(Reason.CREDITS_SHORT, fields, overridable=True, ways=(way,))]


def purse_for_start(
    session: Session, job: Job, machine: Machine, preflight: Preflight | None, now: datetime
) -> Purse | None:
    """Return what the rule about credit looks at before a start; None while money is off."""
    if not is_on(session, Module.MONEY):
        return None
    group = group_of(session, job.person_id)
    draws = planned_draw(session, job.id, machine.id, preflight)
    tariff = _tariff(session, machine, group, now, draws)
    room = available(session, job.person_id, now, machine_id=machine.id)
    return Purse(room, tariff, draws)


def must_afford(session: Session, row: Allocation, passed: Sequence[Reason], now: datetime) -> None:
    """Let a booking stand only if its cost can be kept free; once its row is written.

    :param passed: what staff let pass.
    :raises RefusedError: `credits-short`.
    """
    if row.kind != AllocationKind.RESERVATION.value or row.person_id is None:
        return
    if Reason.CREDITS_SHORT in passed or not is_on(session, Module.MONEY):
        return
    machine = session.get_one(Machine, row.machine_id)
    owing = values_of(session, machine).owing_most
    terms = terms_of(session)
    if owing is None or terms.bookings.value != "held":
        return
    take_turn(session, "money")
    needed = booking_minor(session, row, machine, group_of(session, row.person_id))
    purse = available(session, row.person_id, now, without=row.id)
    if found := short_of(needed, purse, owing, terms.currency):
        raise RefusedError(found)


def charge_run(session: Session, workshop: Workshop, account: Account, now: datetime) -> None:
    """Charge a run that has ended, once, by the prices of its beginning."""
    attempt, job = account.attempt, account.job
    if not is_on(session, Module.MONEY):
        return
    bill = quote(*_used(session, account.asks, attempt, job, account.mass_mg, attempt.machine_ms))
    if not bill.lines:
        return  # nothing of it has a price
    bill, why = _fair(bill, terms_of(session).failed if _is_machines_fault(attempt) else None)
    _charge(session, workshop, job.person_id, f"run:{attempt.id}", bill, why, attempt.started_at,
            account.machine, now)  # fmt: skip


def charge_use(session: Session, workshop: Workshop, usage: UsageEvent, now: datetime) -> None:
    """Charge a use by hand that is over: its time and its set-up, once."""
    if usage.attempt_id is not None or usage.end_at is None or not is_on(session, Module.MONEY):
        return
    machine = session.get_one(Machine, usage.machine_id)
    tariff = tariff_of(session, machine, group_of(session, usage.person_id), usage.start_at)
    # While the node was down nobody could say that they were done.
    length = usage.end_at - usage.start_at - down_within(session, usage.start_at, usage.end_at)
    bill = quote(tariff, Use(max(length // timedelta(milliseconds=1), 0), 1))
    if not bill.lines:
        return
    _charge(session, workshop, usage.person_id, f"use:{usage.id}", bill, "by-hand",
            usage.start_at, machine, now)  # fmt: skip


def charge_booking(session: Session, workshop: Workshop, row: Allocation, now: datetime) -> None:
    """Charge a booking that somebody came to, once, where the booking is all that counts it.

    A machine that nobody watches has neither runs nor, without a power actor, uses.
    """
    if row.person_id is None or not is_on(session, Module.MONEY):
        return
    counted = session.scalar(
        select(UsageEvent.id)
        .where(
            UsageEvent.machine_id == row.machine_id,
            UsageEvent.person_id == row.person_id,
            UsageEvent.start_at < row.end_at,
            UsageEvent.end_at.is_(None) | (UsageEvent.end_at > row.start_at),
            UsageEvent.start_at > row.start_at - LONGEST_USE,
        )
        .limit(1)
    )
    if counted is not None:
        return
    machine = session.get_one(Machine, row.machine_id)
    tariff = tariff_of(session, machine, group_of(session, row.person_id), row.start_at)
    bill = quote(tariff, Use((row.end_at - row.start_at) // timedelta(milliseconds=1), 1))
    if bill.lines:
        _charge(session, workshop, row.person_id, f"booking:{row.id}", bill, "booked",
                row.start_at, machine, now)  # fmt: skip


def charge_taken(
    session: Session, workshop: Workshop, person_id: str, row: MaterialTaken, drawn_: Drawn,
    now: datetime,
) -> None:  # fmt: skip
    """Charge material that somebody took by hand, once."""
    group = group_of(session, person_id)
    tariff = tariff_of(session, None, group, now, [drawn_.material], [drawn_.lot])
    bill = quote(tariff, Use(drawn=[drawn_]))
    _charge(session, workshop, person_id, f"taken:{row.id}", bill, "taken", now, None, now,
            text=row.note, by_id=row.by_id)  # fmt: skip


def charge_fee(
    session: Session, workshop: Workshop, row: Allocation, percent: int, why: str, now: datetime
) -> None:
    """Charge a share of a booking's cost, once: it was given back late, or nobody came.

    :param why: `late` or `missed`.
    """
    if not percent or row.person_id is None or row.kind != AllocationKind.RESERVATION.value:
        return
    machine = session.get_one(Machine, row.machine_id)
    whole = booking_minor(session, row, machine, group_of(session, row.person_id))
    minor = (2 * whole * percent + 100) // 200
    if not minor:
        return
    lines = [{"part": "fee", "percent": percent, "of": whole, "minor": minor}]
    posting = Posting(
        EntryKind.FEE, -minor, f"{why}:{row.id}", now, machine=machine, lines=lines, why=why
    )
    account = account_of(session, workshop, row.person_id, now)
    post(session, workshop, account, posting, now)


def given_back(session: Session, workshop: Workshop, row: Allocation, now: datetime) -> None:
    """Charge a booking that its own person gives back late, as the lab's terms have it."""
    if not is_on(session, Module.MONEY):
        return
    terms = terms_of(session)
    if (row.start_at - now).total_seconds() < terms.late_h * 3600:
        charge_fee(session, workshop, row, terms.late_percent, "late", now)


def nobody_came(session: Session, workshop: Workshop, row: Allocation, now: datetime) -> None:
    """Charge a booking that nobody came to, as the lab's terms have it."""
    if is_on(session, Module.MONEY):
        percent = terms_of(session).missed_percent
        charge_fee(session, workshop, row, percent, "missed", now)


def cleared(
    session: Session, workshop: Workshop, attempt: Attempt, row: Clearing, now: datetime
) -> None:
    """Put right what a run cost once somebody else says that it failed by the machine's fault."""
    entry = entry_for(session, f"run:{attempt.id}")
    job = session.get_one(Job, attempt.job_id)
    # One's own word about one's own run is heard as a contest, by somebody not involved.
    if entry is None or row.cause not in _MACHINES_FAULT or row.person_id == job.person_id:
        return
    failed = terms_of(session).failed
    if failed is Failed.ALL:
        return
    kept = sum(int(one["minor"]) for one in entry.lines if one.get("part") == Part.MATERIAL.value)
    should = max(-kept if failed is Failed.MATERIAL else 0, net_of(session, entry))
    posting = Posting(
        EntryKind.CORRECTION, 0, f"clearing:{row.id}", why="cleared-failed", by_id=row.person_id
    )
    correct(session, workshop, entry, should, posting, now)


def recount(
    session: Session,
    workshop: Workshop,
    attempt_id: str,
    machine_ms: int,
    mass_mg: int,
    posting: Posting,
    now: datetime,
) -> MoneyEntry | None:
    """Put right what a run cost once it was decided what counts of it instead."""
    entry = entry_for(session, f"run:{attempt_id}")
    if entry is None:
        return None
    attempt = session.get_one(Attempt, attempt_id)
    job = session.get_one(Job, attempt.job_id)
    preflight = session.get(Preflight, attempt.preflight_id) if attempt.preflight_id else None
    asks = asks_of(preflight, session.get(JobAsk, job.id))
    tariff, use = _used(session, asks, attempt, job, mass_mg, machine_ms)
    bill = quote(tariff, Use(use.machine_ms, 1 if machine_ms or mass_mg else 0, use.drawn))
    # Nobody pays more because they said that something was wrong.
    should = max(-bill.minor, net_of(session, entry))
    return correct(session, workshop, entry, should, posting, now)


def _examined(session: Session, job_id: str) -> Sequence[tuple[Machine, Preflight]]:
    rows = session.execute(
        select(Machine, Preflight)
        .join(Preflight, Preflight.machine_id == Machine.id)
        .where(
            Preflight.job_id == job_id,
            Preflight.superseded_at.is_(None),
            Preflight.verdict != Verdict.BLOCK.value,
        )
        .order_by(Machine.name, Machine.slug)
    ).all()
    return [(machine, preflight) for machine, preflight in rows]


def _tariff(
    session: Session, machine: Machine, group: str, at: datetime, draws: Sequence[Drawn]
) -> Tariff:
    materials, lots = [one.material for one in draws], [one.lot for one in draws]
    return tariff_of(session, machine, group, at, materials, lots)


def _used(
    session: Session, asks: Asks, attempt: Attempt, job: Job, mass_mg: int, machine_ms: int
) -> tuple[Tariff, Use]:
    """Return the prices of a run and what counts of it; its group is that of its preview."""
    group = session.scalar(
        select(MoneyPreview.for_group).where(MoneyPreview.attempt_id == attempt.id)
    )
    machine = session.get_one(Machine, attempt.machine_id)
    draws = material_drawn(session, machine.id, asks, mass_mg)
    known = group_of(session, job.person_id) if group is None else group
    tariff = _tariff(session, machine, known, attempt.started_at, draws)
    return tariff, Use(machine_ms, 1, draws)


def _is_machines_fault(attempt: Attempt) -> bool:
    return attempt.state in _BROKEN and attempt.reason not in _MEANT


def _fair(bill: Quote, failed: Failed | None) -> tuple[Quote, str]:
    """Return what is charged of a bill, and the code of why it is less."""
    match failed:
        case Failed.FREE:
            return bill.only(), "failed-free"
        case Failed.MATERIAL:
            return bill.only(Part.MATERIAL), "failed-material"
        case _:
            return bill, ""


def _charge(
    session: Session,
    workshop: Workshop,
    person_id: str,
    fact: str,
    bill: Quote,
    why: str,
    fact_at: datetime,
    machine: Machine | None,
    now: datetime,
    text: str = "",
    by_id: str | None = None,
) -> None:
    posting = Posting(
        EntryKind.CHARGE,
        -bill.minor,
        fact,
        fact_at,
        machine=machine,
        lines=[one.to_json() for one in bill.lines],
        why=why,
        text=text,
        by_id=by_id,
    )
    account: MoneyAccount = account_of(session, workshop, person_id, now)
    post(session, workshop, account, posting, now)
