"""Who is in the house, and what is accepted by name before a machine is used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from jobs.domain.instructions import LONGEST
from jobs.domain.rules.values import Scope
from jobs.services.house_attendance import Present
from web.api.house import SharedWebDep
from web.api.house_json import MadeOut, Reason
from web.api.wishes import ShortText, WishIn
from web.auth import ApiVisitorDep
from web.pages.instructions import sort_of
from web.routing import api_router

router = api_router("house")


class ComeIn(WishIn):
    """Who comes or goes: oneself without a word, as a trainer another person."""

    person: ShortText = ""


class VisitorIn(WishIn):
    """A visitor, whom the asker answers for."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    is_minor: bool = False


class PresentOut(BaseModel):
    """Somebody in the house; without `person` a visitor."""

    visit: str
    person: str
    name: str
    since: datetime
    ends_at: datetime
    is_minor: bool
    host: str

    @classmethod
    def of(cls, one: Present) -> PresentOut:
        """Return the JSON form."""
        return cls(
            visit=one.visit_id,
            person=one.person_id,
            name=one.name,
            since=one.since,
            ends_at=one.ends_at,
            is_minor=one.is_minor,
            host=one.host,
        )


class InHouseOut(BaseModel):
    """Who is in; `unsaid`: whose stay ended by itself lately, so that nobody knows."""

    count: int
    visitors: int
    minors: int
    changed_at: datetime | None
    as_of: datetime
    present: list[PresentOut]
    unsaid: list[PresentOut]


class InstructionOut(BaseModel):
    """One text; in a list without its words."""

    scope: str
    sort: str
    version: int
    at: datetime
    accepted: bool | None
    text: str = ""
    sha256: str = ""
    must_accept: bool | None = None


class TextIn(WishIn):
    """A new version; an empty text takes it back."""

    text: Annotated[str, StringConstraints(max_length=LONGEST)]
    must_accept: bool
    note: Reason = ""


class AcceptIn(WishIn):
    """The hash of exactly the text that was read."""

    sha256: Annotated[str, Field(min_length=64, max_length=64)]


@router.get("/house/in")
def who_is_in(web: SharedWebDep, visitor: ApiVisitorDep) -> InHouseOut:
    """Who is in the house, as far as the asker may know names."""
    now = web.clock()
    seen = web.services.visits.look(visitor.actor, now)
    return InHouseOut(
        count=seen.count,
        visitors=seen.visitors,
        minors=seen.minors,
        changed_at=seen.changed_at,
        as_of=now,
        present=[PresentOut.of(one) for one in seen.present],
        unsaid=[PresentOut.of(one) for one in seen.unsaid],
    )


@router.post("/house/in", status_code=201)
def come(web: SharedWebDep, visitor: ApiVisitorDep, wish: ComeIn) -> MadeOut:
    """Check in; for trainers also others."""
    return MadeOut(id=web.services.visits.check_in(visitor.actor, web.clock(), wish.person))


@router.delete("/house/in", status_code=204)
def leave(web: SharedWebDep, visitor: ApiVisitorDep, person: ShortText = "") -> None:
    """Check out; for trainers also others."""
    web.services.visits.check_out(visitor.actor, web.clock(), person)


@router.post("/house/visitors", status_code=201)
def bring(web: SharedWebDep, visitor: ApiVisitorDep, wish: VisitorIn) -> MadeOut:
    """Write a visitor down."""
    made = web.services.visits.visitor_in(
        visitor.actor, wish.name, web.clock(), is_minor=wish.is_minor
    )
    return MadeOut(id=made)


@router.delete("/house/visitors/{visit_id}", status_code=204)
def visitor_left(web: SharedWebDep, visitor: ApiVisitorDep, visit_id: str) -> None:
    """Say that a visitor has left."""
    web.services.visits.visitor_out(visitor.actor, visit_id, web.clock())


@router.get("/instructions")
def instructions(
    web: SharedWebDep, visitor: ApiVisitorDep, machine: str = ""
) -> list[InstructionOut]:
    """House rules and risk sheets: all, or those for one machine."""
    return [
        InstructionOut(
            scope=str(one.scope),
            sort=one.sort,
            version=one.version,
            at=one.at,
            accepted=one.accepted,
        )
        for one in web.services.instructions.list(visitor.actor, machine)
    ]


@router.get("/instructions/{scope}/{sort}")
def instruction(
    web: SharedWebDep, visitor: ApiVisitorDep, scope: str, sort: str, version: int | None = None
) -> InstructionOut:
    """One of them with its text; `scope`: `lab`, `kind:<kind>` or `machine:<slug>`."""
    where, kind = Scope.read(scope), sort_of(sort)
    one = web.services.instructions.get(visitor.actor, where, kind, version)
    return InstructionOut(
        scope=str(where),
        sort=kind,
        version=one.version,
        at=one.at,
        accepted=one.accepted_at is not None,
        text=one.text,
        sha256=one.sha256,
        must_accept=one.must_accept,
    )


@router.put("/instructions/{scope}/{sort}", status_code=204)
def write(web: SharedWebDep, visitor: ApiVisitorDep, scope: str, sort: str, wish: TextIn) -> None:
    """Keep a new version; for operators."""
    web.services.instructions.write(
        visitor.actor,
        Scope.read(scope),
        sort_of(sort),
        wish.text,
        wish.note,
        web.clock(),
        must_accept=wish.must_accept,
    )


@router.post("/instructions/{scope}/{sort}/accepted", status_code=204)
def accept(
    web: SharedWebDep, visitor: ApiVisitorDep, scope: str, sort: str, wish: AcceptIn
) -> None:
    """Say that one has read it and keeps to it."""
    where, kind = Scope.read(scope), sort_of(sort)
    web.services.instructions.accept(visitor.actor, where, kind, wish.sha256, web.clock())
