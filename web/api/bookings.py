"""Bookings: one's own, made, moved and given back."""

from __future__ import annotations

from datetime import UTC

from web.api.machines_json import AllocationOut
from web.api.wishes import BookIn, MoveIn, ReasonsOut
from web.auth import ApiVisitorDep, actor_for
from web.context import WebDep
from web.errors import reason_json
from web.routing import api_router

router = api_router("bookings")


@router.get("/bookings")
def mine(web: WebDep, visitor: ApiVisitorDep) -> list[AllocationOut]:
    """One's own bookings."""
    found = web.services.bookings.mine(visitor.actor, web.clock())
    return [AllocationOut.of(one) for one in found]


@router.post("/bookings", status_code=201)
def book(web: WebDep, visitor: ApiVisitorDep, wish: BookIn) -> AllocationOut:
    """Book an interval; refused with every reason at once.

    Staff may do so `for_person`, by id: it is then that person's, and both are recorded.
    """
    made = web.services.bookings.book(
        actor_for(web, visitor, wish.for_person),
        wish.machine,
        wish.start.astimezone(UTC),
        wish.end.astimezone(UTC),
        web.clock(),
        wish.note,
        wish.plea(),
    )
    return AllocationOut.of(made)


@router.post("/bookings/check")
def check(web: WebDep, visitor: ApiVisitorDep, wish: BookIn) -> ReasonsOut:
    """Say every reason that this booking would be refused for now; it books nothing."""
    found = web.services.wondering.booking(
        visitor.actor,
        wish.machine,
        wish.start.astimezone(UTC),
        wish.end.astimezone(UTC),
        web.clock(),
    )
    return ReasonsOut(reasons=[reason_json(web, one) for one in found])


@router.post("/bookings/{allocation_id}/move")
def move(web: WebDep, visitor: ApiVisitorDep, allocation_id: str, wish: MoveIn) -> AllocationOut:
    """Move a booking on its machine."""
    moved = web.services.bookings.move(
        visitor.actor,
        allocation_id,
        wish.start.astimezone(UTC),
        wish.end.astimezone(UTC),
        web.clock(),
        wish.plea(),
    )
    return AllocationOut.of(moved)


@router.delete("/bookings/{allocation_id}", status_code=204)
def cancel(web: WebDep, visitor: ApiVisitorDep, allocation_id: str) -> None:
    """Give a booking back."""
    web.services.bookings.cancel(visitor.actor, allocation_id, web.clock())
