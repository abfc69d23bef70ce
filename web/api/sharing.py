"""Time between people: offers for what was lost, waiting, series, swaps, coming, one's choices."""

from __future__ import annotations

from datetime import UTC, timedelta

from fastapi import Request

from jobs.domain.sharing import SeriesPart
from web.api.machines_json import AllocationOut, DayOut, IntervalOut
from web.api.sharing_json import (
    ChoicesIn,
    ChoicesOut,
    FreeOut,
    LinkOut,
    LinkStateOut,
    NameIn,
    OfferOut,
    SeriesIn,
    SeriesOut,
    SharingIn,
    SwapIn,
    SwapOut,
    WaitIn,
    WaitOut,
)
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.pages.book import lengths_for
from web.pages.calendar import day_of
from web.routing import api_router

router = api_router("bookings")


@router.get("/bookings/free")
def free(
    web: WebDep, visitor: ApiVisitorDep, length_min: int = 60, job: str = "", count: int = 3
) -> list[FreeOut]:
    """What is free next on every machine, for a length, or for a job by its P90 there."""
    machines = web.services.bookings.machines()
    lengths = lengths_for(web, visitor, machines, job, length_min)
    found = web.services.bookings.all_proposals(
        lengths, web.clock(), visitor.actor, min(max(count, 1), 24)
    )
    return [
        FreeOut(
            machine=slug,
            length_min=length // timedelta(minutes=1),
            proposals=[IntervalOut(start=one.start, end=one.end) for one in found.get(slug, ())],
        )
        for slug, length in lengths.items()
    ]


@router.get("/bookings/calendar")
def calendar(
    web: WebDep, visitor: ApiVisitorDep, date: str = "", days: int = 1
) -> dict[str, list[DayOut]]:
    """Some local days of every machine, at most a week."""
    found = web.services.bookings.all_days(day_of(web, date), days, visitor.actor, web.clock())
    return {slug: [DayOut.of(day) for day in each] for slug, each in found.items()}


@router.get("/bookings/offers")
def offers(web: WebDep, visitor: ApiVisitorDep) -> list[OfferOut]:
    """What is kept instead of time that one lost."""
    return [OfferOut.of(one) for one in web.services.offers.mine(visitor.actor, web.clock())]


@router.post("/bookings/offers/{offer_id}/take")
def take_offer(web: WebDep, visitor: ApiVisitorDep, offer_id: str) -> AllocationOut | None:
    """Take it; null after a refund."""
    made = web.services.offers.take(visitor.actor, offer_id, web.clock())
    return (
        None if made is None else AllocationOut.of(web.services.bookings.one(visitor.actor, made))
    )


@router.get("/bookings/waits")
def waits(web: WebDep, visitor: ApiVisitorDep) -> list[WaitOut]:
    """Where one waits."""
    return [WaitOut.of(one) for one in web.services.waiting.mine(visitor.actor)]


@router.post("/bookings/waits", status_code=201)
def wait(web: WebDep, visitor: ApiVisitorDep, wish: WaitIn) -> WaitOut:
    """Stand in a machine's line; what is free already is kept at once."""
    made = web.services.waiting.join(
        visitor.actor,
        wish.machine,
        wish.start.astimezone(UTC),
        wish.until.astimezone(UTC),
        wish.length_min,
        web.clock(),
    )
    return WaitOut.of(made)


@router.post("/bookings/waits/{wait_id}/take")
def take_wait(web: WebDep, visitor: ApiVisitorDep, wait_id: str) -> AllocationOut:
    """Take the time that is kept."""
    made = web.services.waiting.take(visitor.actor, wait_id, web.clock())
    return AllocationOut.of(web.services.bookings.one(visitor.actor, made))


@router.delete("/bookings/waits/{wait_id}", status_code=204)
def leave(web: WebDep, visitor: ApiVisitorDep, wait_id: str) -> None:
    """Wait no more."""
    web.services.waiting.leave(visitor.actor, wait_id, web.clock())


@router.post("/bookings/series")
def repeat(web: WebDep, visitor: ApiVisitorDep, wish: SeriesIn) -> SeriesOut:
    """Book every week at the same time of the wall clock, or say which weeks cannot be had."""
    made = web.services.repeating.repeat(
        visitor.actor,
        wish.machine,
        wish.start.astimezone(UTC),
        wish.end.astimezone(UTC),
        wish.weeks,
        web.clock(),
        wish.note,
        wish.show_name,
        skip_conflicts=wish.skip_conflicts,
    )
    return SeriesOut.of(web, made)


@router.delete("/bookings/{allocation_id}/series", status_code=204)
def cancel_series(
    web: WebDep, visitor: ApiVisitorDep, allocation_id: str, part: SeriesPart
) -> None:
    """Give back one, the rest or all of a series."""
    web.services.repeating.cancel(visitor.actor, allocation_id, part, web.clock())


@router.get("/bookings/swaps")
def swaps(web: WebDep, visitor: ApiVisitorDep) -> list[SwapOut]:
    """Open wishes to swap, one's own and those one is asked for."""
    return [SwapOut.of(one) for one in web.services.swapping.open(visitor.actor, web.clock())]


@router.post("/bookings/swaps", status_code=201)
def swap(web: WebDep, visitor: ApiVisitorDep, wish: SwapIn) -> SwapOut:
    """Ask whoever has a booking to swap."""
    made = web.services.swapping.offer(visitor.actor, wish.give, wish.take, web.clock())
    found = web.services.swapping.open(visitor.actor, web.clock())
    return next(SwapOut.of(one) for one in found if one.id == made)


@router.post("/bookings/swaps/{swap_id}/accept", status_code=204)
def accept(web: WebDep, visitor: ApiVisitorDep, swap_id: str) -> None:
    """Agree: both bookings change places."""
    web.services.swapping.accept(visitor.actor, swap_id, web.clock())


@router.post("/bookings/swaps/{swap_id}/decline", status_code=204)
def decline(web: WebDep, visitor: ApiVisitorDep, swap_id: str) -> None:
    """Say no, or take one's own wish back."""
    web.services.swapping.decline(visitor.actor, swap_id, web.clock())


@router.post("/bookings/{allocation_id}/check-in")
def check_in(web: WebDep, visitor: ApiVisitorDep, allocation_id: str) -> dict[str, str | None]:
    """Say that one is there; `checklist` is what the machine asks for before its use."""
    asked = web.services.there.check_in(visitor.actor, allocation_id, web.clock())
    return {"checklist": asked or None}


@router.post("/bookings/{allocation_id}/end", status_code=204)
def end_early(web: WebDep, visitor: ApiVisitorDep, allocation_id: str) -> None:
    """Give the rest of one's time back."""
    web.services.there.end_early(visitor.actor, allocation_id, web.clock())


@router.put("/bookings/{allocation_id}/name", status_code=204)
def show_name(web: WebDep, visitor: ApiVisitorDep, allocation_id: str, wish: NameIn) -> None:
    """Let others see whose it is, or not."""
    web.services.bookings.show_name(visitor.actor, allocation_id, shows=wish.show, now=web.clock())


@router.get("/bookings/choices")
def choices(web: WebDep, visitor: ApiVisitorDep) -> ChoicesOut:
    """What one chose for all one's bookings."""
    return ChoicesOut(
        show_name=web.services.bookings.shows_names(visitor.actor),
        remind_min=web.services.lapsing.reminds_before(visitor.actor),
        end_min=web.services.lapsing.reminds_of_end(visitor.actor),
    )


@router.put("/bookings/choices")
def choose(web: WebDep, visitor: ApiVisitorDep, wish: ChoicesIn) -> ChoicesOut:
    """Choose for all one's bookings."""
    web.services.lapsing.remind_before(visitor.actor, wish.remind_min)
    if wish.end_min is not None:
        web.services.lapsing.remind_of_end(visitor.actor, wish.end_min)
    web.services.bookings.show_names(visitor.actor, shows=wish.show_name)
    return choices(web, visitor)


@router.get("/bookings/link")
def link(web: WebDep, visitor: ApiVisitorDep) -> LinkStateOut:
    """When the secret link to one's calendars was made."""
    return LinkStateOut(made_at=web.services.feeds.made_at(visitor.actor))


@router.post("/bookings/link", status_code=201)
def make_link(request: Request, web: WebDep, visitor: ApiVisitorDep) -> LinkOut:
    """Make it anew; the one before stops working, and this one is told only now."""
    token = web.services.feeds.make(visitor.actor, web.clock())
    base = f"{request.base_url}feeds/{token}"
    machines = web.services.bookings.machines()
    return LinkOut(
        bookings=f"{base}/bookings.ics",
        machines={one.slug: f"{base}/machines/{one.slug}.ics" for one in machines},
    )


@router.delete("/bookings/link", status_code=204)
def end_link(web: WebDep, visitor: ApiVisitorDep) -> None:
    """Have the link work no more."""
    web.services.feeds.end(visitor.actor)


@router.get("/bookings/rules")
def rules(web: WebDep, _visitor: ApiVisitorDep) -> dict[str, int]:
    """The lab's own numbers for sharing time [min]."""
    return web.services.sharing.get().to_json()


@router.put("/bookings/rules")
def decide(web: WebDep, visitor: ApiVisitorDep, wish: SharingIn) -> dict[str, int]:
    """Decide them."""
    values = wish.model_dump(exclude_none=True)
    return web.services.sharing.set(visitor.actor, values).to_json()
