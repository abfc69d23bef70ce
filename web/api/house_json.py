"""Rules, proposals, qualifications and trainings in JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.domain.rules.values import Value
from jobs.services.approvals import ApprovalView
from jobs.services.house import ChangeView, RuleView
from jobs.services.proposals import CommentView, ProposalView
from jobs.services.qualifications import QualificationView
from jobs.services.training_views import TrainingView
from web.api.wishes import Instant, ShortText
from web.context import Web

Reason = Annotated[str, StringConstraints(max_length=500)]
LongText = Annotated[str, StringConstraints(max_length=2000)]
RuleValue = bool | int | Annotated[str, StringConstraints(max_length=500)] | None


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RuleIn(_In):
    """A value, or with `unset` the one of the wider scope again."""

    value: RuleValue = None
    unset: bool = False
    reason: Reason = ""


class ProposalIn(_In):
    """What shall hold instead, for whom, and why."""

    rule: ShortText
    scope: ShortText = "lab"
    value: RuleValue = None
    why: LongText


class CommentIn(_In):
    """What is to be said."""

    text: LongText


class DecisionIn(_In):
    """Accepted or not, why, and when it is looked at again."""

    accepted: bool
    reason: LongText
    review_on: date | None = None


class ReviewIn(_In):
    """When the next look is due, if there is one."""

    review_on: date | None = None


class ApprovalIn(_In):
    """Granted or not, and why."""

    granted: bool
    reason: Reason = ""


class QualificationIn(_In):
    """Who is qualified, for a machine or for a kind, and for how long."""

    person: ShortText
    machine: ShortText = ""
    kind: ShortText = ""
    days: Annotated[int, Field(ge=1, le=3660)] | None = None
    note: ShortText = ""


class TrainingIn(_In):
    """A training to announce."""

    title: ShortText
    start: Instant
    length_min: Annotated[int, Field(ge=1, le=7 * 24 * 60)]
    seats: Annotated[int, Field(ge=1, le=200)]
    grants: Annotated[list[ShortText], Field(max_length=20)]  # `machine:<slug>`, `kind:<kind>`
    machines: Annotated[list[ShortText], Field(max_length=20)] = []  # whose time is kept
    trainers: Annotated[list[ShortText], Field(max_length=10)] = []  # ids of who teaches as well
    valid_days: Annotated[int, Field(ge=1, le=3660)] | None = None
    note: Reason = ""
    minimum: Annotated[int, Field(ge=1, le=200)] | None = None
    decide_h: Annotated[int, Field(ge=0, le=1440)] = 24
    weeks: Annotated[int, Field(ge=1, le=52)] = 1
    skip_conflicts: bool = False


class AttendedIn(_In):
    """Who was there."""

    person: ShortText


class RuleOut(BaseModel):
    """One value, its sentence, and where it was decided."""

    rule: str
    unit: str
    value: Value
    level: str
    own: bool
    text: str
    why: str

    @classmethod
    def of(cls, web: Web, one: RuleView) -> RuleOut:
        """Return the JSON form."""
        said = web.renderer.sentences
        return cls(
            rule=one.spec.key,
            unit=one.spec.unit.value,
            value=one.value,
            level=one.level.value,
            own=one.own,
            text=said.rule(one.spec, one.value),
            why=said.text(f"rule.why.{one.spec.key}"),
        )


class ChangeOut(BaseModel):
    """One change; `old` and `new` are empty lists where nothing was set."""

    at: datetime
    person: str
    scope: str
    rule: str
    old: list[Value]
    new: list[Value]
    reason: str
    proposal: str | None

    @classmethod
    def of(cls, one: ChangeView) -> ChangeOut:
        """Return the JSON form."""
        return cls(
            at=one.at,
            person=one.person,
            scope=str(one.scope),
            rule=one.rule,
            old=list(one.old or ()),
            new=list(one.new or ()),
            reason=one.reason,
            proposal=one.proposal_id,
        )


class ScopeOut(BaseModel):
    """Something that rules are set for."""

    scope: str
    name: str
    own: int


class RulesOut(BaseModel):
    """What holds in one scope."""

    scope: str
    rules: list[RuleOut]


class CommentOut(BaseModel):
    """What somebody said."""

    at: datetime
    person: str
    text: str

    @classmethod
    def of(cls, one: CommentView) -> CommentOut:
        """Return the JSON form."""
        return cls(at=one.at, person=one.person, text=one.text)


class ProposalOut(BaseModel):
    """One proposal; `comments` are there where one alone is asked for."""

    id: str
    at: datetime
    person: str
    scope: str
    rule: str
    old: Value
    current: Value
    wanted: Value
    why: str
    state: str
    decided_at: datetime | None
    decided_by: str
    reason: str
    review_on: date | None
    review_due: bool
    comments: list[CommentOut] = []

    @classmethod
    def of(cls, one: ProposalView) -> ProposalOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            at=one.at,
            person=one.person,
            scope=str(one.scope),
            rule=one.spec.key,
            old=one.old,
            current=one.current,
            wanted=one.wanted,
            why=one.why,
            state=one.state.value,
            decided_at=one.decided_at,
            decided_by=one.decided_by,
            reason=one.reason,
            review_on=one.review_on,
            review_due=one.is_due,
        )


class MadeOut(BaseModel):
    """The id of what was made."""

    id: str


class ApprovalOut(BaseModel):
    """What staff are asked to let pass, or have."""

    id: str
    person: str
    machine: str
    start: datetime | None
    end: datetime | None
    job: str | None
    reasons: list[str]
    asked_at: datetime
    why: str
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str
    granted: bool | None
    reason: str

    @classmethod
    def of(cls, one: ApprovalView) -> ApprovalOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            person=one.person,
            machine=one.machine_slug,
            start=one.interval.start if one.interval else None,
            end=one.interval.end if one.interval else None,
            job=one.job_id,
            reasons=list(one.reasons),
            asked_at=one.asked_at,
            why=one.why,
            expires_at=one.expires_at,
            decided_at=one.decided_at,
            decided_by=one.decided_by,
            granted=one.granted,
            reason=one.reason,
        )


class QualificationOut(BaseModel):
    """Permission to use a machine, or all of a kind."""

    id: str
    person: str
    person_id: str
    machine: str
    kind: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    holds: bool
    note: str
    disuse_at: datetime | None
    ended_at: datetime | None
    ended_how: str | None
    ended_by: str
    ended_why: str

    @classmethod
    def of(cls, one: QualificationView) -> QualificationOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            person=one.person,
            person_id=one.person_id,
            machine=one.machine_slug,
            kind=one.kind,
            granted_by=one.granted_by,
            granted_at=one.granted_at,
            expires_at=one.expires_at,
            holds=one.holds,
            note=one.note,
            disuse_at=one.disuse_at,
            ended_at=one.ended_at,
            ended_how=one.ended_how,
            ended_by=one.ended_by,
            ended_why=one.ended_why,
        )


class SeatOut(BaseModel):
    """A seat in a training; only trainers see whose."""

    person_id: str
    person: str
    attended_at: datetime | None
    state: str


class TrainingOut(BaseModel):
    """A training with its free seats; `lost`: machines whose time something else has taken."""

    id: str
    title: str
    grants: list[str]
    machines: list[str]
    lost: list[str]
    trainers: list[str]
    start: datetime
    end: datetime
    seats: int
    free: int
    waiting: int
    valid_days: int | None
    note: str
    minimum: int | None
    decide_at: datetime | None
    cancelled: bool
    called_off: str | None
    mine: bool
    held_until: datetime | None
    place: int
    attended: bool
    people: list[SeatOut]

    @classmethod
    def of(cls, one: TrainingView) -> TrainingOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            title=one.title,
            grants=[each.scope for each in one.grants],
            machines=[each.slug for each in one.machines],
            lost=[each.slug for each in one.machines if each.lost],
            trainers=list(one.trainers),
            start=one.start,
            end=one.end,
            seats=one.seats,
            free=one.free,
            waiting=one.waiting,
            valid_days=one.valid_days,
            note=one.note,
            minimum=one.minimum,
            decide_at=one.decide_at,
            cancelled=one.cancelled,
            called_off=one.called_off,
            mine=one.mine,
            held_until=one.held_until,
            place=one.place,
            attended=one.attended,
            people=[
                SeatOut(
                    person_id=seat.person_id,
                    person=seat.person,
                    attended_at=seat.attended_at,
                    state=seat.state,
                )
                for seat in one.people
            ],
        )
