"""What machines have loaded, and what may run on them alone. Slots and tools count from 1."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from jobs.domain.errors import InvalidError
from jobs.domain.loading import MOST_SLOTS, Doubt
from jobs.domain.unattended import Terms, Unattended
from web.api.wishes import ShortText, WishIn
from web.auth import ApiVisitorDep
from web.context import Web, WebDep
from web.routing import api_router

router = api_router("loading")

Place = Literal["slot", "tool", "plate"]
Number = Annotated[int, Path(ge=1, le=MOST_SLOTS)]


class LoadedOut(BaseModel):
    """What lies in one place, by whose word; an empty `material` is an empty slot.

    `until` is when another word took its place, in a history.
    """

    place: Place
    number: int
    text: str = ""
    material: str = ""
    colour: str = ""
    lot: str = ""
    left_g: float | None = None
    nozzle_mm: float | None = None
    plate: str = ""
    doubt: Doubt | None = None
    by: str
    at: datetime | None
    until: datetime | None = None


class LoadedIn(WishIn):
    """What lies there now; which keys count depends on the place."""

    material: ShortText = ""
    colour: ShortText = ""
    lot: ShortText = ""
    left_g: float | None = None
    nozzle_mm: float | None = None
    plate: ShortText = ""


class TermsOut(BaseModel):
    """What may run on a machine with nobody there, and who agreed on it."""

    unattended: Unattended
    longest_min: float | None
    materials: list[str]
    must_fit: bool
    by: str | None
    at: AwareDatetime | None


class TermsIn(WishIn):
    """The same, as an operator agrees on it; without `longest_min` a run of any length."""

    unattended: Unattended
    longest_min: float | None = None
    materials: list[Annotated[str, StringConstraints(max_length=40)]] = Field(
        default_factory=list, max_length=40
    )
    must_fit: bool = False


def _all(web: Web, slug: str) -> list[LoadedOut]:
    loads = web.services.loading.view(slug)
    found = [
        LoadedOut(
            place="slot",
            number=one.number + 1,
            material=one.material,
            colour=one.colour,
            lot=one.lot,
            left_g=one.left_g,
            doubt=one.doubt,
            by=one.by,
            at=one.at,
        )
        for one in loads.slots
    ]
    found += [
        LoadedOut(place="tool", number=one.tool + 1, nozzle_mm=one.nozzle_mm, by=one.by, at=one.at)
        for one in loads.nozzles
    ]
    if loads.plate_at is not None:
        by, at = loads.plate_by, loads.plate_at
        found.append(LoadedOut(place="plate", number=1, plate=loads.plate, by=by, at=at))
    return found


@router.get("/machines/{slug}/loaded")
def loaded(web: WebDep, _visitor: ApiVisitorDep, slug: str) -> list[LoadedOut]:
    """Every place that somebody spoke of."""
    return _all(web, slug)


@router.get("/machines/{slug}/loaded/history")
def history(web: WebDep, _visitor: ApiVisitorDep, slug: str) -> list[LoadedOut]:
    """What was said lately, the newest first."""
    places: dict[str, Place] = {"slot": "slot", "tool": "tool", "plate": "plate"}
    return [
        LoadedOut(
            place=places[one.place],
            number=one.number + 1,
            text=one.text,
            by=one.by,
            at=one.at,
            until=one.until,
        )
        for one in web.services.loading.history(slug)
    ]


@router.put("/machines/{slug}/loaded/{place}/{number}")
def say(
    web: WebDep, visitor: ApiVisitorDep, slug: str, place: Place, number: Number, wish: LoadedIn
) -> list[LoadedOut]:
    """Say what lies in one place now; the asker's name stands beside it."""
    loading, actor, now = web.services.loading, visitor.actor, web.clock()
    if place == "slot":
        loading.say_slot(
            actor,
            slug,
            number - 1,
            now,
            material=wish.material,
            colour=wish.colour,
            lot=wish.lot,
            left_g=wish.left_g,
        )
    elif place == "plate":
        loading.say_plate(actor, slug, wish.plate, now)
    elif wish.nozzle_mm is None:
        raise InvalidError("form.number", field="nozzle_mm", key="nozzle_mm")
    else:
        loading.say_nozzle(actor, slug, number - 1, wish.nozzle_mm, now)
    return _all(web, slug)


@router.post("/machines/{slug}/loaded/confirm")
def confirm(web: WebDep, visitor: ApiVisitorDep, slug: str) -> list[LoadedOut]:
    """Say that all is as it is written; every doubt ends."""
    web.services.loading.confirm(visitor.actor, slug, web.clock())
    return _all(web, slug)


@router.get("/machines/{slug}/terms")
def terms(web: WebDep, _visitor: ApiVisitorDep, slug: str) -> TermsOut:
    """What may run alone on a machine."""
    found, said = web.services.terms.get(slug), web.services.terms.said(slug)
    return TermsOut(
        unattended=found.unattended,
        longest_min=None if found.longest is None else found.longest / 60,
        materials=list(found.materials),
        must_fit=found.must_fit,
        by=said[0] if said else None,
        at=said[1] if said else None,
    )


@router.put("/machines/{slug}/terms")
def agree(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: TermsIn) -> TermsOut:
    """Agree on what may run alone; for operators. What runs already is not touched by it."""
    longest = None if wish.longest_min is None else 60 * wish.longest_min
    agreed = Terms(wish.unattended, longest, tuple(wish.materials), wish.must_fit)
    web.services.terms.agree(visitor.actor, slug, agreed, web.clock())
    return terms(web, visitor, slug)
