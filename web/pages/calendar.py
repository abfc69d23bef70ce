"""A machine's day and week, the free intervals on offer, and booking one in two taps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import HTMLResponse, Response

from jobs.domain.calendar import AllocationKind, Interval
from jobs.domain.errors import InvalidError, RefusedError
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import MOST_WEEKS
from jobs.services.approvals import Plea
from jobs.services.repeating import SeriesReport
from jobs.services.views import CalendarDay, JobDetail, MachineView
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, actor_for
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

_YEARS = range(2000, 2200)  # farther away a date is a mistake, and sums on it overflow
LENGTHS_MIN = (30, 60, 120, 240, 480)
SET_UP = "set-up"  # a kind of block beside those of allocations
STEP_MIN = 15  # of a length that a job asks for


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a day's picture, in minutes from the day's start."""

    kind: str
    mine: bool
    start_min: float
    length_min: float


@dataclass(frozen=True, slots=True)
class DayPicture:
    """A day as a column: a day of 23 or 25 hours is drawn as long as it is."""

    date: str
    length_min: float
    blocks: Sequence[Block]
    now_min: float | None
    taken: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the day's list: something taken, a free stretch, or time to set up."""

    interval: Interval
    allocation: object | None
    bookable: bool
    is_set_up: bool = False


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """What the calendar's part of a page shows."""

    date: str
    today: str
    previous: str
    following: str
    week: Sequence[DayPicture]
    rows: Sequence[Row]
    length_min: int
    lengths_min: Sequence[int]
    proposals: Sequence[Interval]


def length_of(minutes: int) -> timedelta:
    """Return the length that a page asks for, kept within reason."""
    return timedelta(minutes=min(max(minutes, 10), 72 * 60))


def lengths_with(length: timedelta) -> Sequence[int]:
    """Return the lengths to choose from, that of a job among them [min].

    >>> lengths_with(timedelta(minutes=75))
    [30, 60, 75, 120, 240, 480]
    """
    return sorted({*LENGTHS_MIN, int(length.total_seconds() // 60)})


def booking_min(detail: JobDetail, slug: str) -> int | None:
    """Return how long to book a machine for a job: its P90, in whole steps; None if unknown."""
    for one in detail.preflights:
        if one.machine_slug == slug and one.promise is not None:
            return math.ceil(one.promise.p90_s / 60.0 / STEP_MIN) * STEP_MIN
    return None


def day_of(web: Web, text: str) -> date:
    """Return the local day that an address names; today if it names none."""
    if not text:
        return web.renderer.clockwork.day_of(web.clock())
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in _YEARS:
        raise InvalidError("time.date", field="date", date=text[:32])
    return day


def calendar_part(
    web: Web, visitor: Visitor, machine: MachineView, day_text: str, length: timedelta
) -> CalendarPart:
    """Look at one day and its week."""
    now = web.clock()
    day = day_of(web, day_text)
    monday = day - timedelta(days=day.weekday())
    week = web.services.bookings.week(machine.slug, monday, visitor.actor, now)
    shown = next((one for one in week if one.date == day.isoformat()), week[0])
    books = web.books()
    return CalendarPart(
        date=day.isoformat(),
        today=web.renderer.clockwork.day_of(now).isoformat(),
        previous=(day - timedelta(days=7)).isoformat(),
        following=(day + timedelta(days=7)).isoformat(),
        week=[picture(one, now) for one in week],
        rows=rows(shown, now, books),
        length_min=int(length.total_seconds() // 60),
        lengths_min=lengths_with(length),
        proposals=web.services.bookings.proposals(machine.slug, length, now, visitor.actor)
        if books
        else [],
    )


def picture(day: CalendarDay, now: datetime) -> DayPicture:
    """Return a day's column."""
    blocks = [_block(day, SET_UP, one) for one in day.set_up]
    blocks += [_block(day, one.kind.value, one.interval, one.mine) for one in day.allocations]
    is_today = day.day.start <= now < day.day.end
    return DayPicture(
        day.date,
        day.day.length.total_seconds() / 60,
        blocks,
        _minutes(day, now) if is_today else None,
        len(day.allocations),
    )


def _block(day: CalendarDay, kind: str, one: Interval, mine: bool = False) -> Block:
    start = _minutes(day, max(one.start, day.day.start))
    return Block(kind, mine, start, _minutes(day, min(one.end, day.day.end)) - start)


def _minutes(day: CalendarDay, at: datetime) -> float:
    return (at - day.day.start).total_seconds() / 60


def rows(day: CalendarDay, now: datetime, books: bool) -> list[Row]:
    """Return the day as a list in order; what is over cannot be booked."""
    taken = [Row(one.interval, one, False) for one in day.allocations]
    free = [
        Row(Interval(max(one.start, _quarter(now)), one.end), None, books)
        for one in day.free
        if one.end > _quarter(now)
    ]
    kept = [Row(one, None, False, is_set_up=True) for one in day.set_up]
    return sorted([*taken, *free, *kept], key=lambda row: row.interval)


def _quarter(now: datetime) -> datetime:
    """Return the beginning of this quarter of an hour: a booking may start now."""
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)


@router.get("/machines/{slug}/calendar")
def show(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, date: str = "", length: int = 60
) -> HTMLResponse:
    """Show a machine's calendar alone."""
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    part = calendar_part(web, visitor, machine, date, length_of(length))
    return page(request, web, visitor, "calendar.html", machine=machine, calendar=part)


@router.get("/machines/{slug}/book")
def confirm(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    slug: str,
    start: str = "",
    length: int = 60,
    of: Annotated[str, Query(alias="for")] = "",
) -> HTMLResponse:
    """Show the interval once more; the second tap books it."""
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    begin = instant(web, start)
    return _confirm(
        request, web, visitor, machine, Interval(begin, begin + length_of(length)), (), of
    )


@router.post("/machines/{slug}/book")
def book(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Book it, or say every reason why not and what is free instead."""
    begin = instant(web, form.text("start"))
    try:
        length = length_of(int(form.text("length", "60")))
    except ValueError:
        raise InvalidError("form.number", field="length", key="length") from None
    now = web.clock()
    shows = form.text("show") == "1" if form.text("asks-name") else None
    if weeks := 0 if form.text("for") else weeks_of(form):
        report = web.services.repeating.repeat(
            visitor.actor,
            slug,
            begin,
            begin + length,
            weeks,
            now,
            form.text("note")[:200],
            shows,
            skip_conflicts=bool(form.text("skip")),
        )
        if report.series_id is not None:
            return go("/bookings", "booked")
        return _series(request, web, visitor, slug, form, report)
    try:
        made = web.services.bookings.book(
            actor_for(web, visitor, form.text("for")),
            slug,
            begin,
            begin + length,
            now,
            form.text("note")[:200],
            plea_of(form),
            shows,
        )
    except RefusedError as error:
        machine = web.services.machines.get(slug, now, visitor.actor)
        interval = Interval(begin, begin + length)
        of = form.text("for")
        return _confirm(request, web, visitor, machine, interval, error.refusals, of)
    if form.text("for"):
        return go(f"/people/{form.text('for')}", "booked")
    return go("/bookings", "asked" if made.kind is AllocationKind.HOLD else "booked")


def weeks_of(form: Form) -> int:
    """Return for how many weeks a booking shall come again; 0: it does not."""
    text = form.text("weeks", "1")
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise InvalidError("form.number", field="weeks", key="weeks")
    return int(text) if int(text) != 1 else 0


def _series(
    request: Request, web: Web, visitor: Visitor, slug: str, form: Form, report: SeriesReport
) -> HTMLResponse:
    """Say which weeks cannot be had, and offer the others."""
    fields = ("start", "length", "note", "weeks", "show", "asks-name")
    return page(
        request,
        web,
        visitor,
        "series.html",
        status=409,
        machine=web.services.machines.get(slug, web.clock(), visitor.actor),
        occurrences=report.occurrences,
        some=len(report.conflicts) < len(report.occurrences),
        kept={name: form.text(name) for name in fields if form.text(name)},
    )


def plea_of(form: Form) -> Plea:
    """Return what a person says for their wish where a rule is against it."""
    return Plea(bool(form.text("ask")), form.text("why")[:500])


def _confirm(
    request: Request,
    web: Web,
    visitor: Visitor,
    machine: MachineView,
    interval: Interval,
    refusals: Sequence[Refusal],
    of: str = "",
) -> HTMLResponse:
    local = interval.start.astimezone(web.settings.zone)
    return page(
        request,
        web,
        visitor,
        "book_confirm.html",
        behalf=actor_for(web, visitor, of) if of else None,
        status=409 if refusals else 200,
        cost=web.services.money.cost_of_booking(visitor.actor, machine.slug, interval, web.clock()),
        machine=machine,
        interval=interval,
        start=interval.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        start_local=local.strftime("%Y-%m-%dT%H:%M"),
        length_min=int(interval.length.total_seconds() // 60),
        lengths_min=lengths_with(interval.length),
        refusals=refusals,
        shows_name=web.services.bookings.shows_names(visitor.actor),
        most_weeks=MOST_WEEKS,
        is_taken=any(one.reason is Reason.TAKEN for one in refusals),
        proposals=web.services.bookings.proposals(
            machine.slug, interval.length, web.clock(), visitor.actor
        )
        if refusals
        else [],
    )


def instant(web: Web, text: str, field: str = "start") -> datetime:
    """Return the instant of an address or a form; without an offset it is the lab's wall clock.

    :raises InvalidError: if it is no time, or one that the clocks skip.
    """
    if not text:
        return _quarter(web.clock())
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError("time.unreadable", field=field, time=text[:40]) from None
    if at.year not in _YEARS:
        raise InvalidError("time.unreadable", field=field, time=text[:40])
    if at.tzinfo is None:
        at = at.replace(tzinfo=web.settings.zone)
        back = at.astimezone(UTC).astimezone(web.settings.zone)
        if back.replace(tzinfo=None) != at.replace(tzinfo=None):
            raise InvalidError("time.skipped", field=field, time=text[:40])
    return at.astimezone(UTC).replace(microsecond=0)
