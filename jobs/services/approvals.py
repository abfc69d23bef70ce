"""What staff let pass: bookings that are asked for, and exceptions with a reason that is kept.

A booking that is asked for holds its time until staff decide or the question expires; then the
time is free again. An operator who makes an exception at once decides their own question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.events import EventType, rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.calendars import APPROVAL
from jobs.services.claims import announce
from jobs.services.clock import down_within, is_trusted
from jobs.services.house_rules import values_of
from jobs.services.notices import tell
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import Approval
from jobs.store.tables import Allocation, Job, Machine, Person

JOB_EXCEPTION: Final = timedelta(days=30)  # how long one for a job on a machine is good
_MOST: Final = 200
_LONGEST: Final = 500
_VIEWS: Final = (
    select(Approval, Allocation, Machine, Person.name)
    .outerjoin(Allocation, Allocation.id == Approval.allocation_id)
    .join(Machine, Machine.id == Approval.machine_id)
    .join(Person, Person.id == Approval.person_id)
)


@dataclass(frozen=True, slots=True)
class Plea:
    """What a person says for their wish when a rule is against it.

    :param ask: staff shall decide; until then the time is held.
    :param why: the reason; an operator's own word lets it pass at once.
    """

    ask: bool = False
    why: str = ""


NO_PLEA: Final = Plea()


@dataclass(frozen=True, slots=True)
class Consent:
    """How a wish goes in: as a booking, as one by exception, or asked for."""

    kind: AllocationKind
    reasons: tuple[Reason, ...] = ()
    why: str = ""
    granted: bool = True


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One question to staff, or one exception, as staff and its person read it."""

    id: str
    person: str
    machine_slug: str
    machine_name: str
    interval: Interval | None  # of a booking
    job_id: str | None
    reasons: tuple[str, ...]
    asked_at: datetime
    why: str
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str
    granted: bool | None
    reason: str


def consent_of(found: Sequence[Refusal], actor: Actor, plea: Plea) -> Consent:
    """Return how a wish goes in that the rules say *found* about.

    :raises RefusedError: with every reason, where none of that is open to the asker.
    """
    if not found:
        return Consent(AllocationKind.RESERVATION)
    reasons = tuple(dict.fromkeys(one.reason for one in found))
    if not all(one.overridable for one in found):
        raise RefusedError(found)
    why = checked_reason(plea.why)
    if actor.is_at_least(Role.OPERATOR) and why and not plea.ask:
        return Consent(AllocationKind.RESERVATION, reasons, why)
    # Where nothing but staff's word is missing, to book is to ask.
    if reasons == (Reason.NEEDS_APPROVAL,) or plea.ask:
        if not actor.is_at_least(Role.MEMBER):
            raise RefusedError(found)
        return Consent(AllocationKind.HOLD, reasons, why, granted=False)
    raise RefusedError(found)


def keep(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    row: Allocation,
    consent: Consent,
    now: datetime,
) -> None:
    """Make a booking what was consented to, and write down what was let pass or is asked.

    *row* is not flushed yet, or is being moved.
    """
    row.kind = consent.kind.value
    row.purpose = row.expires_at = None
    session.execute(
        update(Approval)
        .where(Approval.allocation_id == row.id, Approval.decided_at.is_(None))
        .values(decided_at=now)  # asked anew, or no question any more
    )
    if not consent.reasons:
        return
    machine = session.get_one(Machine, row.machine_id)
    expires_at = now + timedelta(hours=values_of(session, machine).approval_hours)
    if not consent.granted:
        # A question about a time that has begun is over.
        row.purpose, row.expires_at = APPROVAL, min(expires_at, max(row.start_at, now))
    session.add(row)
    session.flush()
    session.add(
        Approval(
            id=workshop.new_id(),
            allocation_id=row.id,
            machine_id=row.machine_id,
            person_id=row.person_id or actor.person_id,
            reasons=[one.value for one in consent.reasons],
            asked_at=now,
            asked_why=consent.why,
            expires_at=row.expires_at or expires_at,
            decided_at=now if consent.granted else None,
            decided_by=actor.person_id if consent.granted else None,
            granted=True if consent.granted else None,
            reason=consent.why if consent.granted else "",
        )
    )


def checked_reason(text: str, *, needed: bool = False) -> str:
    """Return a reason as it is kept: one line, bounded."""
    text = " ".join(text.split())
    if len(text) > _LONGEST or (needed and len(text) < 3):
        raise InvalidError("rule.reason", field="reason", characters=_LONGEST)
    return text


class Approvals:
    """Use cases of staff who decide, and of the clock that lets go."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def waiting(self, actor: Actor, now: datetime) -> Sequence[ApprovalView]:
        """Return the questions that are open, the one that expires first at the head."""
        _must_be_staff(actor)
        with self._database.read() as session:
            found = session.execute(
                _VIEWS.where(
                    Approval.decided_at.is_(None),
                    Allocation.end_at > now,
                    Allocation.state == AllocationState.ACTIVE.value,
                )
                .order_by(Approval.expires_at)
                .limit(_MOST)
            ).all()
            return [_view(session, one, row, machine, who) for one, row, machine, who in found]

    def decided(self, actor: Actor) -> Sequence[ApprovalView]:
        """Return what was let pass or not lately, newest first."""
        _must_be_staff(actor)
        with self._database.read() as session:
            found = session.execute(
                _VIEWS.where(Approval.decided_at.is_not(None))
                .order_by(Approval.decided_at.desc())
                .limit(20)
            ).all()
            return [_view(session, one, row, machine, who) for one, row, machine, who in found]

    def decide(
        self, actor: Actor, approval_id: str, *, granted: bool, reason: str, now: datetime
    ) -> None:
        """Let a booking that was asked for pass, or not; both with a reason."""
        _must_be_staff(actor)
        reason = checked_reason(reason, needed=not granted)
        with self._database.write() as session:
            approval = session.get(Approval, approval_id)
            if approval is None or approval.allocation_id is None:
                raise NotFoundError("approval.unknown")
            take_turn(session, approval.machine_id)
            session.refresh(approval)
            row = session.get_one(Allocation, approval.allocation_id)
            # Until the sweep has let it go the time is still held, and the answer still good.
            is_open = approval.decided_at is None and row.end_at > now
            if not is_open or row.state != AllocationState.ACTIVE.value:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            if row.person_id == actor.person_id and not actor.is_at_least(Role.ADMIN):
                raise NotAllowedError("approval.own")
            self._close(session, approval, row, now, actor.person_id, granted, reason)
        self._workshop.live.touch()

    def release(self, now: datetime) -> int:
        """Free the time of questions that nobody answered; return how many.

        A function of the state and the time: what a sleeping node missed it catches up with.
        While it slept nobody could answer: that time is given on top.
        """
        with self._database.write() as session:
            if not is_trusted(session, now):
                return 0
            late = session.scalars(
                select(Approval)
                .where(
                    Approval.decided_at.is_(None),
                    Approval.expires_at <= now,
                    Approval.allocation_id.is_not(None),
                )
                .order_by(Approval.expires_at)
                .limit(_MOST)
            ).all()
            released = 0
            for approval in late:
                down = down_within(session, approval.asked_at, now)
                if approval.expires_at + down > now:
                    continue
                row = session.get_one(Allocation, approval.allocation_id)
                self._close(session, approval, row, now, None, None, "")
                released += 1
        if released:
            self._workshop.live.touch()
        return released

    def let_start(
        self,
        actor: Actor,
        job_id: str,
        slug: str,
        found: Sequence[Refusal],
        why: str,
        now: datetime,
    ) -> None:
        """Let what the rules of the house say against a job on a machine pass, with a reason.

        :param found: what they say now; only what staff may let pass is let pass.
        """
        _must_be_staff(actor)
        why = checked_reason(why, needed=True)
        codes = sorted({one.reason.value for one in found if one.overridable})
        if not codes:
            raise RefusedError([Refusal(Reason.NOTHING_TO_WAIVE)])
        with self._database.write() as session:
            job = session.get(Job, job_id)
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            if job is None:
                raise NotFoundError("job.unknown")
            if machine is None:
                raise NotFoundError("machine.unknown", machine=slug)
            session.add(
                Approval(
                    id=self._workshop.new_id(),
                    job_id=job.id,
                    machine_id=machine.id,
                    person_id=job.person_id,
                    reasons=codes,
                    asked_at=now,
                    asked_why=why,
                    expires_at=now + JOB_EXCEPTION,
                    decided_at=now,
                    decided_by=actor.person_id,
                    granted=True,
                    reason=why,
                )
            )
        self._workshop.live.touch()

    def _close(
        self,
        session: Session,
        approval: Approval,
        row: Allocation,
        now: datetime,
        decided_by: str | None,
        granted: bool | None,
        reason: str,
    ) -> None:
        approval.decided_at, approval.decided_by = now, decided_by
        approval.granted, approval.reason = granted, reason
        if row.state != AllocationState.ACTIVE.value or row.purpose != APPROVAL:
            return  # its person gave it back, or a fact took its place
        if granted:
            row.kind = AllocationKind.RESERVATION.value
            row.purpose = row.expires_at = None
        else:
            row.state = AllocationState.CANCELLED.value
        row.sequence += 1
        session.flush()
        if granted:
            announce(session, self._workshop, EventType.RESERVATION_MADE, row, now)
        word = {True: "approved", False: "declined", None: "unanswered"}[granted]
        machine = session.get_one(Machine, row.machine_id)
        fields = {"machine": machine.name, "start": rfc3339(row.start_at), "why": reason}
        tell(
            session,
            self._workshop,
            row.person_id,
            f"booking-{word}",
            fields,
            now,
            about=f"booking:{row.id}",
        )


def _view(
    session: Session, one: Approval, row: Allocation | None, machine: Machine, person: str
) -> ApprovalView:
    by = session.get(Person, one.decided_by) if one.decided_by else None
    return ApprovalView(
        id=one.id,
        person=person,
        machine_slug=machine.slug,
        machine_name=machine.name,
        interval=None if row is None else Interval(row.start_at, row.end_at),
        job_id=one.job_id,
        reasons=tuple(str(code) for code in one.reasons),
        asked_at=one.asked_at,
        why=one.asked_why,
        expires_at=one.expires_at,
        decided_at=one.decided_at,
        decided_by="" if by is None else by.name,
        granted=one.granted,
        reason=one.reason,
    )


def _must_be_staff(actor: Actor) -> None:
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
