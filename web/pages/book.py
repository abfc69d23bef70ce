"""All machines at once: what is free next, for a length or for one's own job; the day; the week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date as date_type
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import HTMLResponse

from jobs.domain.calendar import Interval
from jobs.services.bookings import MachineName
from jobs.services.views import CalendarDay
from web.auth import Visitor, VisitorDep, actor_for
from web.context import Web, WebDep
from web.pages.calendar import (
    LENGTHS_MIN,
    DayPicture,
    booking_min,
    day_of,
    length_of,
    picture,
)
from web.pages.page import page
from web.routing import page_router

router = page_router()

VIEWS: Final = ("free", "day", "week")
_SOON: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class FreeNext:
    """What is free next on one machine, for a length [min]."""

    machine: MachineName
    length_min: int
    proposals: Sequence[Interval]
    soon: bool  # nobody has to wait for something sooner


@dataclass(frozen=True, slots=True)
class MachineDays:
    """Some days of one machine as pictures, and the first of them in full."""

    machine: MachineName
    days: Sequence[CalendarDay]
    pictures: Sequence[DayPicture]


@router.get("/book")
def everything(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    length: int = 60,
    job: str = "",
    view: str = "free",
    date: str = "",
    of: Annotated[str, Query(alias="for")] = "",
) -> HTMLResponse:
    """Show what is free next on every machine, or all of them through a day or a week."""
    shown = view if view in VIEWS else VIEWS[0]
    now, books = web.clock(), web.books()
    day = day_of(web, date)
    first = day - timedelta(days=day.weekday()) if shown == "week" else day
    step = timedelta(days=7 if shown == "week" else 1)
    machines = web.services.bookings.machines() if books else []
    is_free = shown == "free"
    lanes = [] if is_free or not books else _days(web, visitor, machines, first, step.days)
    lengths = lengths_for(web, visitor, machines, job, length) if is_free else {}
    return page(
        request,
        web,
        visitor,
        "book.html",
        view=shown,
        behalf=actor_for(web, visitor, of) if of else None,
        views=VIEWS,
        date=day.isoformat(),
        first=first.isoformat(),
        today=web.renderer.clockwork.day_of(now).isoformat(),
        previous=(first - step).isoformat(),
        following=(first + step).isoformat(),
        offers=_free(web, visitor, machines, lengths),
        machines=lanes,
        sets_up=any(day.set_up for one in lanes for day in one.days),
        costs=web.services.money.cost_of_lengths(visitor.actor, lengths, now),
        currency=web.services.money.currency(),
        jobs=web.services.bookings.jobs(visitor.actor) if is_free and books else [],
        job=job,
        length_min=int(length_of(length).total_seconds() // 60),
        lengths_min=LENGTHS_MIN,
    )


def lengths_for(
    web: Web, visitor: Visitor, machines: Sequence[MachineName], job: str, length: int
) -> Mapping[str, timedelta]:
    """Return how long to book each machine: as long as nine runs in ten of a job take there.

    A machine on which the job was not examined, or may not run, is left out.
    """
    if not job:
        return {one.slug: length_of(length) for one in machines}
    detail = web.services.queue.get(job, web.clock(), visitor.actor)
    minutes = {one.slug: booking_min(detail, one.slug) for one in machines}
    return {slug: length_of(found) for slug, found in minutes.items() if found is not None}


def _free(
    web: Web,
    visitor: Visitor,
    machines: Sequence[MachineName],
    lengths: Mapping[str, timedelta],
) -> Sequence[FreeNext]:
    now = web.clock()
    found = web.services.bookings.all_proposals(lengths, now, visitor.actor)
    result = []
    for one in machines:
        if one.slug in lengths:
            free, length_min = found.get(one.slug, ()), lengths[one.slug] // timedelta(minutes=1)
            soon = bool(free) and free[0].start <= now + _SOON
            result.append(FreeNext(one, length_min, free, soon))
    return result


def _days(
    web: Web, visitor: Visitor, machines: Sequence[MachineName], first: date_type, count: int
) -> Sequence[MachineDays]:
    now = web.clock()
    days = web.services.bookings.all_days(first, count, visitor.actor, now)
    return [
        MachineDays(one, days[one.slug], [picture(day, now) for day in days[one.slug]])
        for one in machines
        if one.slug in days
    ]
