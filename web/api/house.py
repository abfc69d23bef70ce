"""The house's rules, proposals to change them, approvals, qualifications and trainings."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Annotated

from fastapi import Depends

from jobs.domain.learning import TrainingWish
from jobs.domain.rules.values import Scope
from web.api.house_json import (
    ApprovalIn,
    ApprovalOut,
    AttendedIn,
    ChangeOut,
    CommentIn,
    CommentOut,
    DecisionIn,
    MadeOut,
    ProposalIn,
    ProposalOut,
    QualificationIn,
    QualificationOut,
    ReviewIn,
    RuleIn,
    RuleOut,
    RulesOut,
    ScopeOut,
    TrainingIn,
    TrainingOut,
)
from web.auth import ApiVisitorDep
from web.context import Web, WebDep
from web.pages.rules import must_share
from web.routing import api_router

router = api_router("house")


def sharing(web: WebDep) -> Web:
    """Return the app's web where the lab shares its machines."""
    must_share(web)
    return web


SharedWebDep = Annotated[Web, Depends(sharing)]


@router.get("/rules")
def rules(web: SharedWebDep, _visitor: ApiVisitorDep, scope: str = "lab") -> RulesOut:
    """Every rule as it holds for `lab`, `kind:<kind>` or `machine:<slug>`."""
    where = Scope.read(scope)
    found = [RuleOut.of(web, one) for one in web.services.house.rules(where)]
    return RulesOut(scope=str(where), rules=found)


@router.get("/rules/scopes")
def scopes(web: SharedWebDep, _visitor: ApiVisitorDep) -> list[ScopeOut]:
    """What rules are set for, and how many values each sets itself."""
    found = web.services.house.scopes()
    return [ScopeOut(scope=str(one.scope), name=one.name, own=one.own) for one in found]


@router.get("/rules/history")
def history(web: SharedWebDep, _visitor: ApiVisitorDep) -> list[ChangeOut]:
    """The newest changes: who, when, from what to what."""
    return [ChangeOut.of(one) for one in web.services.house.history()]


@router.put("/rules/{scope}/{rule}", status_code=204)
def set_rule(
    web: SharedWebDep, visitor: ApiVisitorDep, scope: str, rule: str, wish: RuleIn
) -> None:
    """Decide a value; for admins."""
    where, now = Scope.read(scope), web.clock()
    if wish.unset:
        web.services.house.unset(visitor.actor, where, rule, wish.reason, now)
    else:
        web.services.house.set(visitor.actor, where, rule, wish.value, wish.reason, now)


@router.get("/proposals")
def proposals(web: SharedWebDep, _visitor: ApiVisitorDep) -> list[ProposalOut]:
    """What is proposed, and what was decided."""
    return [ProposalOut.of(one) for one in web.services.proposals.list(web.clock())]


@router.post("/proposals", status_code=201)
def propose(web: SharedWebDep, visitor: ApiVisitorDep, wish: ProposalIn) -> MadeOut:
    """Propose another value."""
    made = web.services.proposals.propose(
        visitor.actor, Scope.read(wish.scope), wish.rule, wish.value, wish.why, web.clock()
    )
    return MadeOut(id=made)


@router.get("/proposals/{proposal_id}")
def proposal(web: SharedWebDep, _visitor: ApiVisitorDep, proposal_id: str) -> ProposalOut:
    """One proposal with what was said to it."""
    one, comments = web.services.proposals.get(proposal_id, web.clock())
    said = [CommentOut.of(comment) for comment in comments]
    return ProposalOut.of(one).model_copy(update={"comments": said})


@router.post("/proposals/{proposal_id}/comments", status_code=204)
def comment(web: SharedWebDep, visitor: ApiVisitorDep, proposal_id: str, wish: CommentIn) -> None:
    """Say something to a proposal."""
    web.services.proposals.comment(visitor.actor, proposal_id, wish.text, web.clock())


@router.post("/proposals/{proposal_id}/decision", status_code=204)
def decide(web: SharedWebDep, visitor: ApiVisitorDep, proposal_id: str, wish: DecisionIn) -> None:
    """Accept or reject it; for admins."""
    web.services.proposals.decide(
        visitor.actor,
        proposal_id,
        accepted=wish.accepted,
        reason=wish.reason,
        review_on=_day(wish.review_on),
        now=web.clock(),
    )


@router.post("/proposals/{proposal_id}/reviewed", status_code=204)
def reviewed(web: SharedWebDep, visitor: ApiVisitorDep, proposal_id: str, wish: ReviewIn) -> None:
    """Say that a decision was looked at again; for admins."""
    day = _day(wish.review_on)
    web.services.proposals.reviewed(visitor.actor, proposal_id, day, web.clock())


@router.delete("/proposals/{proposal_id}", status_code=204)
def withdraw_proposal(web: SharedWebDep, visitor: ApiVisitorDep, proposal_id: str) -> None:
    """Take one's own proposal back."""
    web.services.proposals.withdraw(visitor.actor, proposal_id, web.clock())


@router.get("/approvals")
def approvals(web: SharedWebDep, visitor: ApiVisitorDep) -> list[ApprovalOut]:
    """What waits for a word of staff; for operators."""
    found = web.services.approvals.waiting(visitor.actor, web.clock())
    return [ApprovalOut.of(one) for one in found]


@router.post("/approvals/{approval_id}", status_code=204)
def decide_approval(
    web: SharedWebDep, visitor: ApiVisitorDep, approval_id: str, wish: ApprovalIn
) -> None:
    """Let a booking pass, or not; for operators."""
    web.services.approvals.decide(
        visitor.actor, approval_id, granted=wish.granted, reason=wish.reason, now=web.clock()
    )


@router.get("/qualifications")
def qualifications(
    web: SharedWebDep,
    visitor: ApiVisitorDep,
    person: str = "",
    machine: str = "",
    ended: bool = False,
) -> list[QualificationOut]:
    """Those of a person, or for a machine; without either one's own. `ended`: the earlier ones."""
    service, actor, now = web.services.qualifications, visitor.actor, web.clock()
    if machine:
        found = service.of_machine(actor, machine, now)
    else:
        look = service.ended if ended else service.of_person
        found = look(actor, person or actor.person_id, now)
    return [QualificationOut.of(one) for one in found]


@router.post("/qualifications", status_code=201)
def grant(web: SharedWebDep, visitor: ApiVisitorDep, wish: QualificationIn) -> MadeOut:
    """Qualify a person; for trainers who hold it, and admins."""
    made = web.services.qualifications.grant(
        visitor.actor,
        wish.person,
        slug=wish.machine,
        kind=wish.kind,
        days=wish.days,
        note=wish.note,
        now=web.clock(),
    )
    return MadeOut(id=made)


@router.delete("/qualifications/{qualification_id}", status_code=204)
def withdraw(
    web: SharedWebDep, visitor: ApiVisitorDep, qualification_id: str, why: str = ""
) -> None:
    """Take a qualification away; its person reads why."""
    web.services.qualifications.withdraw(visitor.actor, qualification_id, why, web.clock())


@router.get("/trainings")
def trainings(web: SharedWebDep, visitor: ApiVisitorDep) -> list[TrainingOut]:
    """The trainings to come, and those just over."""
    found = web.services.trainings.list(visitor.actor, web.clock())
    return [TrainingOut.of(one) for one in found]


@router.post("/trainings", status_code=201)
def add_training(web: SharedWebDep, visitor: ApiVisitorDep, wish: TrainingIn) -> MadeOut:
    """Announce one; for trainers who hold what it grants, and admins."""
    made = web.services.trainings.create(
        visitor.actor,
        TrainingWish(
            title=wish.title,
            start=wish.start.astimezone(UTC),
            length=timedelta(minutes=wish.length_min),
            seats=wish.seats,
            grants=[Scope.read(one) for one in wish.grants],
            machines=wish.machines,
            trainers=wish.trainers,
            valid_days=wish.valid_days,
            note=wish.note,
            minimum=wish.minimum,
            decide_before=timedelta(hours=wish.decide_h),
            weeks=wish.weeks,
            skip_conflicts=wish.skip_conflicts,
        ),
        web.clock(),
    )
    return MadeOut(id=made)


@router.get("/trainings/{training_id}")
def training(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str) -> TrainingOut:
    """One training."""
    return TrainingOut.of(web.services.trainings.get(visitor.actor, training_id))


@router.post("/trainings/{training_id}/seat", status_code=204)
def sign_up(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str) -> None:
    """Take a free seat."""
    web.services.trainings.sign_up(visitor.actor, training_id, web.clock())


@router.post("/trainings/{training_id}/line", status_code=204)
def wait_for_seat(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str) -> None:
    """Wait for a seat; one that becomes free is held for a while."""
    web.services.trainings.wait(visitor.actor, training_id, web.clock())


@router.delete("/trainings/{training_id}/seat", status_code=204)
def sign_off(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str) -> None:
    """Give one's seat back, or wait no more."""
    web.services.trainings.sign_off(visitor.actor, training_id, web.clock())


@router.post("/trainings/{training_id}/attended", status_code=204)
def attended(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str, wish: AttendedIn) -> None:
    """Say that a person was there, which qualifies them; for trainers."""
    web.services.trainings.attended(visitor.actor, training_id, wish.person, web.clock())


@router.delete("/trainings/{training_id}", status_code=204)
def cancel_training(web: SharedWebDep, visitor: ApiVisitorDep, training_id: str) -> None:
    """Call a training off."""
    web.services.trainings.cancel(visitor.actor, training_id, web.clock())


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()
