"""Uses of machines, their power, and the person at a beam, in JSON."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from jobs.services.uses import UseView
from web.api.wishes import ShortText, WishIn
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.errors import reason_json
from web.routing import api_router

router = api_router("power")


class UseOut(BaseModel):
    """An open use. Nothing is cut at `until`: then the time is somebody else's (`why`)."""

    person_name: str
    mine: bool
    since: datetime
    until: datetime | None
    why: str | None
    asked: bool
    material: str

    @classmethod
    def of(cls, use: UseView, viewer_id: str) -> UseOut:
        """Return the JSON form."""
        return cls(
            person_name=use.person_name,
            mine=use.person_id == viewer_id,
            since=use.since,
            until=use.until,
            why=use.why.value if use.why else None,
            asked=use.asked,
            material=use.material,
        )


class UseStateOut(BaseModel):
    """The open use, if there is one, and what speaks against beginning one now."""

    use: UseOut | None
    reasons: list[dict[str, object]]


class UseIn(WishIn):
    """A use that a person begins at the machine; `material`: what a laser is to burn."""

    material: ShortText = ""


class OverrideIn(WishIn):
    """A machine's power, switched past all uses."""

    on: bool
    why: str = Field(min_length=1, max_length=200)


def _state(web: WebDep, visitor: ApiVisitorDep, slug: str, material: str = "") -> UseStateOut:
    now, uses = web.clock(), web.services.uses
    use = uses.view(slug, now)
    found = [] if use else uses.reasons(visitor.actor, slug, now, material)
    shown = UseOut.of(use, visitor.actor.person_id) if use else None
    return UseStateOut(use=shown, reasons=[reason_json(web, one) for one in found])


@router.get("/machines/{slug}/use")
def use(web: WebDep, visitor: ApiVisitorDep, slug: str, material: ShortText = "") -> UseStateOut:
    """Who uses the machine now, and whether you may begin to."""
    return _state(web, visitor, slug, material)


@router.post("/machines/{slug}/use")
def begin(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: UseIn) -> UseStateOut:
    """Begin to use a machine: its power comes on."""
    web.services.uses.start(visitor.actor, slug, web.clock(), wish.material)
    return _state(web, visitor, slug)


@router.post("/machines/{slug}/use/end")
def end(web: WebDep, visitor: ApiVisitorDep, slug: str) -> UseStateOut:
    """End a use; the power goes off once the machine has cooled."""
    web.services.uses.end(visitor.actor, slug, web.clock())
    return _state(web, visitor, slug)


@router.post("/machines/{slug}/use/still")
def still(web: WebDep, visitor: ApiVisitorDep, slug: str) -> UseStateOut:
    """Say that your use goes on."""
    web.services.uses.goes_on(visitor.actor, slug, web.clock())
    return _state(web, visitor, slug)


@router.post("/machines/{slug}/override", status_code=204)
def override(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: OverrideIn) -> None:
    """Switch a machine's power past all uses; operators only, written down with the reason."""
    web.services.uses.override(visitor.actor, slug, wish.why, web.clock(), on=wish.on)


@router.post("/machines/{slug}/present", status_code=204)
def present(web: WebDep, visitor: ApiVisitorDep, slug: str) -> None:
    """Say that you are at the machine while its beam burns; it never lets a held run go on."""
    web.services.lasers.present(visitor.actor, slug, web.clock())


@router.post("/machines/{slug}/no-fire", status_code=204)
def no_fire(web: WebDep, visitor: ApiVisitorDep, slug: str) -> None:
    """Say at the machine that nothing smoulders; only once its fire watch is over."""
    web.services.lasers.nothing_smoulders(visitor.actor, slug, web.clock())
