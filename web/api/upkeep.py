"""Clearing, contests, faults, service and checklists."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jobs.domain.care import Moment, Outcome, Severity
from jobs.services.checklists import AnswerView, ChecklistView
from jobs.services.clearing import ToClear
from jobs.services.contests import ContestView
from jobs.services.faults import FaultView, NearMissView
from jobs.services.history import Past
from jobs.services.servicing import CounterView
from web.api.wishes import Instant, ShortText
from web.auth import ApiVisitorDep, actor_for
from web.context import WebDep
from web.routing import api_router

router = api_router("upkeep")

LongText = Annotated[str, Field(max_length=2000)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClearingIn(_In):
    """How what lay on a machine had become; a photo is added on the page."""

    outcome: Outcome
    cause: ShortText = ""
    shelf: ShortText = ""
    note: ShortText = ""
    list_id: ShortText = ""  # of the machine's list after use, as it was shown
    ticked: Annotated[list[int], Field(max_length=100)] = []
    for_person: ShortText = ""  # by id; for staff


class ContestIn(_In):
    """The one note, about `attempt:<id>` (its result), `use:<id>` or `booking:<id>`.

    Or `charge:<number>`, of an entry.
    """

    about: ShortText
    note: LongText


class DecisionIn(_In):
    """What was decided of a note; of contested use also what counts instead.

    `amount` is what a contested charge should have been; without it nothing.
    """

    upheld: bool
    reason: LongText
    minutes: float | None = None
    mass_g: float | None = None
    amount: ShortText = ""


class FaultIn(_In):
    """What is wrong with a machine."""

    severity: Severity
    text: LongText


class OutageIn(_In):
    """When a machine, or without one the whole lab, is out of service."""

    machine: ShortText | None = None
    start: Instant
    end: Instant
    note: ShortText = ""


class TextIn(_In):
    """Some words."""

    text: LongText


class NearMissIn(_In):
    """What nearly went wrong, and whether the teller's name is kept."""

    text: LongText
    machine: ShortText | None = None
    unnamed: bool = False


class CounterIn(_In):
    """Work that is needed after so many hours, metres of filament, or metres that the axes go."""

    machine: ShortText
    name: ShortText
    every_h: float | None = None
    every_m: float | None = None
    every_travel_m: float | None = None


class ChecklistIn(_In):
    """A new version of a list; without items there is none any more."""

    machine: ShortText | None = None
    moment: Moment
    items: Annotated[list[ShortText], Field(max_length=100)]


class AnswerIn(_In):
    """The numbers, from 0, of the items that were found as they should be."""

    ticked: Annotated[list[int], Field(max_length=100)]
    note: LongText = ""


class MadeOut(BaseModel):
    """The id of what was made."""

    id: str


@router.get("/machines/{slug}/clearing")
def to_clear(web: WebDep, visitor: ApiVisitorDep, slug: str) -> ToClear:
    """What there is to say about a machine now."""
    return web.services.clearing.look(visitor.actor, slug)


@router.post("/machines/{slug}/clearing", status_code=201)
def clear(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: ClearingIn) -> MadeOut:
    """A person's word that a machine is cleared, and how it went."""
    made = web.services.clearing.clear(
        actor_for(web, visitor, wish.for_person),
        slug,
        wish.outcome,
        web.clock(),
        cause=wish.cause,
        shelf=wish.shelf,
        note=wish.note,
        list_id=wish.list_id,
        ticked=wish.ticked,
    )
    return MadeOut(id=made)


@router.get("/contests")
def contests(web: WebDep, visitor: ApiVisitorDep) -> list[ContestView]:
    """One's own notes against results and no-shows; for staff all of them."""
    return list(web.services.contests.list(visitor.actor, web.clock()))


@router.post("/contests", status_code=201)
def contest(web: WebDep, visitor: ApiVisitorDep, wish: ContestIn) -> MadeOut:
    """A note against a result or a no-show of one's own."""
    made = web.services.contests.open(visitor.actor, wish.about, wish.note, web.clock())
    return MadeOut(id=made)


@router.post("/contests/{contest_id}/decision", status_code=204)
def decide(web: WebDep, visitor: ApiVisitorDep, contest_id: str, wish: DecisionIn) -> None:
    """Decide a note; for staff who had no hand in it."""
    web.services.contests.decide(
        visitor.actor,
        contest_id,
        wish.reason,
        web.clock(),
        upheld=wish.upheld,
        minutes=wish.minutes,
        mass_g=wish.mass_g,
        amount=wish.amount,
    )


@router.get("/faults")
def faults(web: WebDep, visitor: ApiVisitorDep, *, mended: bool = False) -> list[FaultView]:
    """What is wrong with machines; with `mended` also what was."""
    return list(web.services.faults.list(visitor.actor, mended=mended))


@router.post("/machines/{slug}/faults", status_code=201)
def report(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: FaultIn) -> MadeOut:
    """Report a fault; `unusable` and `danger` take the machine out of service."""
    made = web.services.faults.report(visitor.actor, slug, wish.severity, wish.text, web.clock())
    return MadeOut(id=made)


@router.post("/faults/{fault_id}/mended", status_code=204)
def mend(web: WebDep, visitor: ApiVisitorDep, fault_id: str, wish: TextIn) -> None:
    """Say how a fault was mended."""
    web.services.faults.mend(visitor.actor, fault_id, wish.text, web.clock())


@router.post("/outages", status_code=201)
def plan_outage(web: WebDep, visitor: ApiVisitorDep, wish: OutageIn) -> list[str]:
    """Take a machine, or the whole lab, out of service for a while; the ids; for staff."""
    bookings, actor, now = web.services.bookings, visitor.actor, web.clock()
    if wish.machine is None:
        return list(bookings.closure(actor, wish.start, wish.end, wish.note, now))
    return [bookings.outage(actor, wish.machine, wish.start, wish.end, wish.note, now)]


@router.get("/near-misses")
def near_misses(web: WebDep, visitor: ApiVisitorDep) -> list[NearMissView]:
    """What nearly went wrong; for admins."""
    return list(web.services.faults.near_misses(visitor.actor, web.clock()))


@router.post("/near-misses", status_code=204)
def nearly(web: WebDep, visitor: ApiVisitorDep, wish: NearMissIn) -> None:
    """Tell of a near miss."""
    web.services.faults.nearly(
        visitor.actor, wish.text, wish.machine, web.clock(), unnamed=wish.unnamed
    )


@router.post("/near-misses/{near_miss_id}/answer", status_code=204)
def answer_near_miss(web: WebDep, visitor: ApiVisitorDep, near_miss_id: str, wish: TextIn) -> None:
    """Write down what was done about a near miss."""
    web.services.faults.answer(visitor.actor, near_miss_id, wish.text, web.clock())


@router.get("/machines/{slug}/history")
def history(web: WebDep, visitor: ApiVisitorDep, slug: str) -> list[Past]:
    """What a machine has been through, newest first."""
    return list(web.services.history.of(visitor.actor, slug))


@router.get("/service")
def service(web: WebDep, visitor: ApiVisitorDep) -> list[CounterView]:
    """How far each service counter has come."""
    return list(web.services.servicing.list(visitor.actor))


@router.post("/service", status_code=201)
def add_counter(web: WebDep, visitor: ApiVisitorDep, wish: CounterIn) -> MadeOut:
    """Begin to count for some work; for staff."""
    made = web.services.servicing.add(
        visitor.actor,
        wish.machine,
        wish.name,
        web.clock(),
        every_h=wish.every_h,
        every_m=wish.every_m,
        every_travel_m=wish.every_travel_m,
    )
    return MadeOut(id=made)


@router.post("/service/{counter_id}/done", status_code=204)
def service_done(web: WebDep, visitor: ApiVisitorDep, counter_id: str, wish: TextIn) -> None:
    """The work was done; the counter begins anew."""
    web.services.servicing.done(visitor.actor, counter_id, wish.text, web.clock())


@router.delete("/service/{counter_id}", status_code=204)
def service_retire(web: WebDep, visitor: ApiVisitorDep, counter_id: str) -> None:
    """Count for some work no more."""
    web.services.servicing.retire(visitor.actor, counter_id, web.clock())


@router.get("/checklists")
def checklists(
    web: WebDep, visitor: ApiVisitorDep, machine: ShortText | None = None
) -> list[ChecklistView]:
    """The lists that hold, each in its newest version, and who went through them for what is next.

    Nothing starts on a machine whose `before-use` list has no `done_at`.
    """
    return list(web.services.checklists.list(visitor.actor, web.clock(), machine))


@router.put("/checklists", status_code=204)
def write_checklist(web: WebDep, visitor: ApiVisitorDep, wish: ChecklistIn) -> None:
    """Keep a new version of a list; for staff."""
    web.services.checklists.write(
        visitor.actor, wish.machine, wish.moment, "\n".join(wish.items), web.clock()
    )


@router.post("/checklists/{checklist_id}/answers", status_code=204)
def answer(web: WebDep, visitor: ApiVisitorDep, checklist_id: str, wish: AnswerIn) -> None:
    """Keep what a person found."""
    web.services.checklists.answer(visitor.actor, checklist_id, wish.ticked, wish.note, web.clock())


@router.get("/checklists/answers")
def answers(web: WebDep, visitor: ApiVisitorDep) -> list[AnswerView]:
    """What people answered lately; for staff."""
    return list(web.services.checklists.answers(visitor.actor))
