"""Whose turn it is and why, jobs that belong together, and what a job asks of machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from jobs.domain.loading import Asks
from jobs.services.asking import AskView, AskWish
from jobs.services.batches import LinkedJob
from web.api.jobs_json import JobOut
from web.api.wishes import ByHandIn, ShortText, WishIn
from web.auth import ApiVisitorDep
from web.context import Web, WebDep
from web.rendering import utc
from web.routing import api_router

router = api_router("queue")

Number = Annotated[int, Field(ge=1, le=2**31)]
Length = Annotated[float, Field(ge=0)]


class ToolIn(WishIn):
    """What one tool draws; tools count from 1, and tool *n* draws from slot *n* unless mapped."""

    tool: Annotated[int, Field(ge=1, le=16)]
    material: ShortText = ""
    colour: ShortText = ""


class AsksIn(WishIn):
    """What a job needs; what is left out is left to its program. A laser's material is tool 1."""

    tools: list[ToolIn] = Field(default_factory=list, max_length=16)
    nozzle_mm: float | None = None
    plate: ShortText = ""
    size_mm: tuple[Length, Length, Length] | None = None
    deadline: AwareDatetime | None = None
    match_slots: bool = False

    def wish(self) -> AskWish:
        """Return it as the services take it."""
        return AskWish(
            [(one.tool - 1, one.material, one.colour) for one in self.tools],
            self.nozzle_mm,
            self.plate,
            self.size_mm,
            self.deadline.astimezone(UTC) if self.deadline else None,
            self.match_slots,
        )


class SlotIn(WishIn):
    """One tool and the slot that it draws from, both from 1."""

    tool: Annotated[int, Field(ge=1, le=16)]
    slot: Annotated[int, Field(ge=1, le=16)]


class SlotsIn(WishIn):
    """Where a job's tools draw from on one machine; a tool that is left out: from its own slot."""

    machine: ShortText
    slots: Annotated[list[SlotIn], Field(max_length=16)]


class CountIn(WishIn):
    """How many more of the same."""

    count: int


class NumbersIn(WishIn):
    """Jobs by their numbers; for a group also its title."""

    jobs: Annotated[list[Number], Field(max_length=100)]
    title: ShortText = ""


class AsksOut(BaseModel):
    """What holds, what the program itself says, the size that was found, and each machine's slots.

    Each of `machines` names, for each tool, the slot it draws from, what that holds, `mismatches`,
    and `elsewhere`: another slot that holds what the tool asks for. `may_map` says whether other
    slots can be chosen there; `proposed`, with which all tools would find what they ask for.
    """

    asks: dict[str, Any]
    said: dict[str, Any]
    found_mm: tuple[float, float, float] | None
    deadline: AwareDatetime | None
    machines: list[dict[str, Any]]
    retries: list[dict[str, Any]]

    @classmethod
    def of(cls, view: AskView) -> AsksOut:
        """Return the JSON form."""
        return cls(
            asks=_asks(view.asks),
            said=_asks(view.said),
            found_mm=view.found_mm,
            deadline=view.deadline,
            machines=[
                {
                    "machine": one.slug,
                    "tools": [
                        {
                            "tool": each.ask.tool + 1,
                            "slot": each.number + 1,
                            "material": each.slot.material if each.slot else None,
                            "colour": each.slot.colour if each.slot else None,
                            "left_g": each.slot.left_g if each.slot else None,
                            "mismatches": [what.value for what in each.mismatches],
                            "elsewhere": None if each.elsewhere is None else each.elsewhere + 1,
                        }
                        for each in one.tools
                    ],
                    "mismatches": [fact.what.value for fact in one.facts],
                    "may_map": one.may_map,
                    "proposed": None if one.proposed is None else _pairs(one.proposed),
                }
                for one in view.machines
            ],
            retries=[{"at": utc(one.at), "by": one.by, "cause": one.cause} for one in view.retries],
        )


class LinksOut(BaseModel):
    """What one job has to do with others."""

    group: dict[str, Any] | None
    after: list[dict[str, Any]]
    before: list[dict[str, Any]]


class GroupOut(BaseModel):
    """Jobs that belong together."""

    id: str
    title: str
    done: int
    total: int
    jobs: list[JobOut]


class WeightsOut(BaseModel):
    """What counts how much [points]; a point is worth an hour of waiting."""

    weights: dict[str, Any]
    why: dict[str, str]
    by: str
    at: AwareDatetime | None


def _asks(asks: Asks) -> dict[str, Any]:
    return {
        "tools": [
            {
                "tool": one.tool + 1,
                "material": one.material,
                "colour": one.colour,
                "mass_g": one.mass_g,
            }
            for one in asks.tools
        ],
        "nozzle_mm": asks.nozzle_mm,
        "plate": asks.plate,
        "size_mm": asks.size_mm,
    }


def _pairs(slots: Mapping[int, int]) -> list[dict[str, int]]:
    return [{"tool": tool + 1, "slot": slot + 1} for tool, slot in sorted(slots.items())]


def _linked(job: LinkedJob) -> dict[str, Any]:
    return {"id": job.id, "number": job.number, "title": job.title, "state": job.state.value}


def _links(web: Web, job_id: str) -> LinksOut:
    found = web.services.batches.view(job_id)
    group = found.group
    return LinksOut(
        group={
            "id": group.id,
            "title": group.title,
            "done": group.done,
            "total": len(group.jobs),
        }
        if group
        else None,
        after=[_linked(one) for one in found.after],
        before=[_linked(one) for one in found.before],
    )


@router.get("/jobs/{job_id}/asks")
def asks(web: WebDep, _visitor: ApiVisitorDep, job_id: str) -> AsksOut:
    """What a job asks for, and how its tools map to slots on each machine that may take it."""
    return AsksOut.of(web.services.asking.view(job_id))


@router.put("/jobs/{job_id}/asks")
def say(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: AsksIn) -> AsksOut:
    """Say what a job asks for; the whole of it, in place of what was said before."""
    web.services.asking.say(visitor.actor, job_id, wish.wish(), web.clock())
    return AsksOut.of(web.services.asking.view(job_id))


@router.put("/jobs/{job_id}/slots")
def slots(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: SlotsIn) -> AsksOut:
    """Choose from which slots its tools draw on one machine; the program is checked again."""
    pairs = [(one.tool - 1, one.slot - 1) for one in wish.slots]
    web.services.slots.choose(visitor.actor, job_id, wish.machine, pairs, web.clock())
    return AsksOut.of(web.services.asking.view(job_id))


@router.put("/jobs/{job_id}/machine", status_code=204)
def move(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ByHandIn) -> None:
    """Let it go to another machine of its kind; null lets any take it. It is checked again."""
    web.services.queue.move(visitor.actor, job_id, wish.machine, web.clock())


@router.get("/jobs/{job_id}/links")
def links(web: WebDep, _visitor: ApiVisitorDep, job_id: str) -> LinksOut:
    """Its group, what it has to wait for, and what waits for it."""
    return _links(web, job_id)


@router.post("/jobs/{job_id}/copies", status_code=201)
def copies(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: CountIn) -> LinksOut:
    """Queue the same thing some more times; all form a group."""
    web.services.batches.copies(visitor.actor, job_id, wish.count, web.clock())
    return _links(web, job_id)


@router.put("/jobs/{job_id}/after")
def after(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: NumbersIn) -> LinksOut:
    """Let it wait until these jobs are done; none lets it wait for none."""
    web.services.batches.after(visitor.actor, job_id, wish.jobs)
    return _links(web, job_id)


@router.delete("/jobs/{job_id}/group", status_code=204)
def leave(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> None:
    """Take it out of its group."""
    web.services.batches.leave(visitor.actor, job_id)


@router.post("/queue/groups", status_code=201)
def gather(web: WebDep, visitor: ApiVisitorDep, wish: NumbersIn) -> GroupOut:
    """Make one group of several jobs."""
    made = web.services.batches.gather(visitor.actor, wish.title, wish.jobs, web.clock())
    return group(web, visitor, made)


@router.get("/queue/groups/{group_id}")
def group(web: WebDep, visitor: ApiVisitorDep, group_id: str) -> GroupOut:
    """A group with its progress."""
    found = web.services.batches.group(group_id)
    jobs = web.services.queue.of_group(group_id, web.clock(), visitor.actor)
    return GroupOut(
        id=found.id,
        title=found.title,
        done=found.done,
        total=len(found.jobs),
        jobs=[JobOut.of(one) for one in jobs],
    )


@router.post("/queue/groups/{group_id}/{act}")
def steer(
    web: WebDep, visitor: ApiVisitorDep, group_id: str, act: Literal["hold", "release"]
) -> GroupOut:
    """Hold what waits of a group, or release what a person holds."""
    queue = web.services.queue
    do = queue.hold_group if act == "hold" else queue.release_group
    do(visitor.actor, group_id, web.clock())
    return group(web, visitor, group_id)


@router.get("/queue/weights")
def weights(web: WebDep, _visitor: ApiVisitorDep) -> WeightsOut:
    """What counts how much for a place in the queue, and why."""
    found = web.services.weighing.get()
    values = found.weights.to_json()
    text = web.renderer.sentences.text
    why = {key: text(f"weight.why.{key}") for key in values}
    return WeightsOut(weights=values, why=why, by=found.by, at=found.at)


@router.put("/queue/weights")
def decide(web: WebDep, visitor: ApiVisitorDep, wish: dict[str, Any]) -> WeightsOut:
    """Decide what counts how much; what is left out is as usual. For admins."""
    web.services.weighing.decide(visitor.actor, wish, web.clock())
    return weights(web, visitor)
