"""Members' proposals to change a rule: the wish, what others say, the decision, the second look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules.values import Scope, Spec, Value, checked, spec_of
from jobs.services.asked import must_be
from jobs.services.house import House, known_scope, review_date, scope_name, value_at
from jobs.services.notices import tell
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import Proposal, ProposalComment
from jobs.store.tables import Person

_LONGEST: Final = 2000
_MOST_OPEN: Final = 10  # of one person
_MOST_COMMENTS: Final = 300
_SHOWN: Final = 100


class ProposalState(StrEnum):
    """How far a proposal has come (`state.proposal.<word>`)."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class CommentView:
    """What somebody said."""

    at: datetime
    person: str
    text: str


@dataclass(frozen=True, slots=True)
class ProposalView:
    """One proposal. `current` is what holds now, `old` what held when it was made."""

    id: str
    at: datetime
    person: str
    person_id: str
    scope: Scope
    scope_name: str
    spec: Spec
    old: Value
    current: Value
    wanted: Value
    why: str
    state: ProposalState
    comments: int
    decided_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""
    review_on: date | None = None
    reviewed_at: datetime | None = None
    is_due: bool = False


class Proposals:
    """Use cases about proposals. Guests read; members propose and discuss; an admin decides."""

    def __init__(self, workshop: Workshop, house: House) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._house = house

    def list(self, now: datetime) -> Sequence[ProposalView]:
        """Return the open ones first, then the newest that were decided."""
        with self._database.read() as session:
            rows = session.execute(
                select(Proposal, Person.name)
                .join(Person, Person.id == Proposal.person_id)
                .order_by(
                    (Proposal.state != ProposalState.OPEN.value),
                    func.coalesce(Proposal.decided_at, Proposal.at).desc(),
                    Proposal.id,
                )
                .limit(_SHOWN)
            ).all()
            return [self._view(session, row, name, now) for row, name in rows]

    def get(self, proposal_id: str, now: datetime) -> tuple[ProposalView, Sequence[CommentView]]:
        """Return one with all that was said to it, oldest first."""
        with self._database.read() as session:
            row = _proposal(session, proposal_id)
            name = session.get_one(Person, row.person_id).name
            comments = session.execute(
                select(ProposalComment.at, Person.name, ProposalComment.text)
                .join(Person, Person.id == ProposalComment.person_id)
                .where(ProposalComment.proposal_id == proposal_id)
                .order_by(ProposalComment.at, ProposalComment.id)
                .limit(_MOST_COMMENTS)
            ).all()
            view = self._view(session, row, name, now)
            return view, [CommentView(at, who, text) for at, who, text in comments]

    def due(self, now: datetime) -> int:
        """Return how many decisions wait for their second look."""
        today = now.astimezone(self._workshop.zone).date()
        query = select(func.count()).select_from(Proposal)
        with self._database.read() as session:
            due = (Proposal.review_on <= today, Proposal.reviewed_at.is_(None))
            return session.scalar(query.where(*due)) or 0

    def propose(
        self, actor: Actor, scope: Scope, key: str, wanted: object, why: str, now: datetime
    ) -> str:
        """Propose another value; return the proposal's id."""
        must_be(actor, Role.MEMBER)
        spec = spec_of(key)
        value = checked(spec, wanted, scope)
        why = _checked_text(why, "why")
        with self._database.write() as session:
            take_turn(session, actor.person_id)
            known_scope(session, scope)
            old = value_at(session, scope, key)
            if old == value:
                raise InvalidError("proposal.same", field="value")
            mine = select(func.count()).select_from(Proposal)
            is_mine = (
                Proposal.person_id == actor.person_id,
                Proposal.state == ProposalState.OPEN.value,
            )
            if (session.scalar(mine.where(*is_mine)) or 0) >= _MOST_OPEN:
                raise InvalidError("proposal.too-many", count=_MOST_OPEN)
            row = Proposal(
                id=self._workshop.new_id(),
                person_id=actor.person_id,
                at=now,
                scope=str(scope),
                rule=key,
                old=old,
                wanted=value,
                why=why,
                state=ProposalState.OPEN.value,
            )
            session.add(row)
            self._tell_admins(session, actor, row, now)
        self._workshop.live.touch()
        return row.id

    def comment(self, actor: Actor, proposal_id: str, text: str, now: datetime) -> None:
        """Say something to a proposal."""
        must_be(actor, Role.MEMBER)
        text = _checked_text(text, "text")
        with self._database.write() as session:
            take_turn(session, proposal_id)
            row = _proposal(session, proposal_id)
            said = select(func.count()).select_from(ProposalComment)
            is_here = ProposalComment.proposal_id == proposal_id
            if (session.scalar(said.where(is_here)) or 0) >= _MOST_COMMENTS:
                raise InvalidError("proposal.long-talk", count=_MOST_COMMENTS)
            session.add(
                ProposalComment(
                    id=self._workshop.new_id(),
                    proposal_id=row.id,
                    person_id=actor.person_id,
                    at=now,
                    text=text,
                )
            )
            if row.person_id != actor.person_id:
                self._tell(session, row, "proposal-comment", {"person": actor.name}, now)
        self._workshop.live.touch()

    def withdraw(self, actor: Actor, proposal_id: str, now: datetime) -> None:
        """Take one's own proposal back while it is open."""
        with self._database.write() as session:
            row = self._open(session, proposal_id)
            if row.person_id != actor.person_id:
                raise NotAllowedError("proposal.not-yours")
            row.state = ProposalState.WITHDRAWN.value
            row.decided_at, row.decided_by = now, actor.person_id
        self._workshop.live.touch()

    def decide(
        self,
        actor: Actor,
        proposal_id: str,
        *,
        accepted: bool,
        reason: str,
        review_on: str,
        now: datetime,
    ) -> None:
        """Accept it, and the value holds at once; or reject it. Both with a reason."""
        must_be(actor, Role.ADMIN)
        reason = _checked_text(reason, "reason")
        review = review_date(review_on, now.astimezone(self._workshop.zone).date())
        with self._database.read() as session:
            row = _proposal(session, proposal_id)
            spec, wanted, scope = spec_of(row.rule), row.wanted, Scope.read(row.scope)
        value = checked(spec, wanted, scope)
        if accepted:
            self._house.prepare(spec, value, now)
        with self._database.write() as session:
            row = self._open(session, proposal_id)
            state = ProposalState.ACCEPTED if accepted else ProposalState.REJECTED
            row.state = state.value
            row.decided_at, row.decided_by, row.reason = now, actor.person_id, reason
            row.review_on = review
            if accepted:
                self._house.apply(
                    session, actor, scope, spec.key, [value], reason[:500], now, proposal_id
                )
            self._tell(session, row, f"proposal-{state.value}", {"why": reason[:200]}, now)
        self._workshop.live.touch()

    def reviewed(self, actor: Actor, proposal_id: str, again_on: str, now: datetime) -> None:
        """Say that a decision was looked at again, and perhaps when the next look is due."""
        must_be(actor, Role.ADMIN)
        again = review_date(again_on, now.astimezone(self._workshop.zone).date())
        with self._database.write() as session:
            row = _proposal(session, proposal_id)
            if row.state not in (ProposalState.ACCEPTED, ProposalState.REJECTED):
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            row.reviewed_at, row.reviewed_by = now, actor.person_id
            if again is not None:
                row.review_on, row.reviewed_at = again, None
        self._workshop.live.touch()

    def _open(self, session: Session, proposal_id: str) -> Proposal:
        take_turn(session, proposal_id)
        row = _proposal(session, proposal_id)
        session.refresh(row)
        if row.state != ProposalState.OPEN.value:
            raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
        return row

    def _tell_admins(self, session: Session, actor: Actor, row: Proposal, now: datetime) -> None:
        admins = session.scalars(
            select(Person.id).where(
                Person.role == Role.ADMIN.value,
                Person.disabled_at.is_(None),
                Person.id != actor.person_id,
            )
        )
        for admin in admins.all():
            fields = {"person": actor.name}
            tell(session, self._workshop, admin, "proposal-made", fields, now, _about(row))

    def _tell(
        self, session: Session, row: Proposal, code: str, fields: dict[str, str], now: datetime
    ) -> None:
        tell(session, self._workshop, row.person_id, code, fields, now, _about(row))

    def _view(self, session: Session, row: Proposal, name: str, now: datetime) -> ProposalView:
        scope = Scope.read(row.scope)
        said = select(func.count()).select_from(ProposalComment)
        by = session.get(Person, row.decided_by) if row.decided_by else None
        today = now.astimezone(self._workshop.zone).date()
        return ProposalView(
            id=row.id,
            at=row.at,
            person=name,
            person_id=row.person_id,
            scope=scope,
            scope_name=scope_name(session, scope),
            spec=spec_of(row.rule),
            old=row.old,
            current=_current(session, scope, row),
            wanted=row.wanted,
            why=row.why,
            state=ProposalState(row.state),
            comments=session.scalar(said.where(ProposalComment.proposal_id == row.id)) or 0,
            decided_at=row.decided_at,
            decided_by="" if by is None else by.name,
            reason=row.reason,
            review_on=row.review_on,
            reviewed_at=row.reviewed_at,
            is_due=row.review_on is not None and row.reviewed_at is None and row.review_on <= today,
        )


def _current(session: Session, scope: Scope, row: Proposal) -> Value:
    try:
        return value_at(session, scope, row.rule)
    except NotFoundError:  # the machine of that name is gone
        old: Value = row.old
        return old


def _about(row: Proposal) -> str:
    return f"proposal:{row.id}"


def _proposal(session: Session, proposal_id: str) -> Proposal:
    row = session.get(Proposal, proposal_id)
    if row is None:
        raise NotFoundError("proposal.unknown")
    return row


def _checked_text(text: str, field: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not 3 <= len(text) <= _LONGEST:
        raise InvalidError("proposal.text", field=field, characters=_LONGEST)
    return text
