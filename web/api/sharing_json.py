"""The JSON of shared time: offers, waiting, series, swaps, choices."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from jobs.domain.calendar import Interval
from jobs.domain.sharing import OfferKind, WaitState
from jobs.services.offering import OfferView
from jobs.services.repeating import SeriesReport
from jobs.services.swapping import Side, SwapView
from jobs.services.waiting import WaitView
from web.api.machines_json import IntervalOut
from web.api.wishes import Instant, ShortText, WishIn
from web.context import Web
from web.errors import reason_json


class OfferOut(BaseModel):
    """Something kept instead of lost time; a refund has no interval."""

    id: str
    instead_of: str
    kind: OfferKind
    machine: str
    interval: IntervalOut | None
    expires_at: datetime

    @classmethod
    def of(cls, one: OfferView) -> OfferOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            instead_of=one.allocation_id,
            kind=one.kind,
            machine=one.machine_slug,
            interval=_interval(one.interval),
            expires_at=one.expires_at,
        )


class WaitIn(WishIn):
    """For which time on a machine somebody waits."""

    machine: ShortText
    start: Instant
    until: Instant
    length_min: Annotated[int, Field(ge=10, le=72 * 60)]


class WaitOut(BaseModel):
    """A place in a machine's line; `held` is what is kept, until `expires_at`."""

    id: str
    machine: str
    start: datetime
    until: datetime
    length_min: int
    state: WaitState
    ahead: int
    held: IntervalOut | None
    expires_at: datetime | None

    @classmethod
    def of(cls, one: WaitView) -> WaitOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            machine=one.machine_slug,
            start=one.window.start,
            until=one.window.end,
            length_min=one.length_min,
            state=one.state,
            ahead=one.ahead,
            held=_interval(one.held),
            expires_at=one.expires_at,
        )


class SeriesIn(WishIn):
    """A weekly series: its first interval, and how many weeks.

    Without `skip_conflicts` all weeks are booked or none is.
    """

    machine: ShortText
    start: Instant
    end: Instant
    weeks: Annotated[int, Field(ge=1, le=52)]
    note: ShortText = ""
    show_name: bool | None = None
    skip_conflicts: bool = False


class OccurrenceOut(BaseModel):
    """One week of a series, and why it cannot be had."""

    day: date
    interval: IntervalOut | None
    reasons: list[dict[str, object]]


class SeriesOut(BaseModel):
    """What became of a series; without an id nothing was booked."""

    id: str | None
    occurrences: list[OccurrenceOut]

    @classmethod
    def of(cls, web: Web, one: SeriesReport) -> SeriesOut:
        """Return the JSON form."""
        return cls(
            id=one.series_id,
            occurrences=[
                OccurrenceOut(
                    day=each.day,
                    interval=_interval(each.interval),
                    reasons=[reason_json(web, refusal) for refusal in each.refusals],
                )
                for each in one.occurrences
            ],
        )


class SwapIn(WishIn):
    """Which own booking is offered, for which other."""

    give: ShortText
    take: ShortText


class SideOut(BaseModel):
    """One booking of a swap."""

    allocation: str
    machine: str
    interval: IntervalOut
    mine: bool
    person: str

    @classmethod
    def of(cls, one: Side) -> SideOut:
        """Return the JSON form."""
        return cls(
            allocation=one.allocation_id,
            machine=one.machine_slug,
            interval=IntervalOut(start=one.interval.start, end=one.interval.end),
            mine=one.mine,
            person=one.person_name,
        )


class SwapOut(BaseModel):
    """An open wish to swap; `asked` is whether the reader is to agree."""

    id: str
    give: SideOut
    take: SideOut
    asked: bool

    @classmethod
    def of(cls, one: SwapView) -> SwapOut:
        """Return the JSON form."""
        return cls(id=one.id, give=SideOut.of(one.give), take=SideOut.of(one.take), asked=one.asked)


class NameIn(WishIn):
    """Whether others see whose a booking is."""

    show: bool


class ChoicesIn(WishIn):
    """Whether others see the name where a booking says nothing, and when to be reminded."""

    show_name: bool
    remind_min: int
    end_min: int | None = None  # before the end; 0: not at all


class ChoicesOut(BaseModel):
    """The same as it is kept."""

    show_name: bool
    remind_min: int
    end_min: int


class LinkOut(BaseModel):
    """The secret address of the calendars, told this once."""

    bookings: str
    machines: dict[str, str]


class LinkStateOut(BaseModel):
    """When the link was made; null without one."""

    made_at: datetime | None


class FreeOut(BaseModel):
    """What is free next on a machine for a length."""

    machine: str
    length_min: int
    proposals: list[IntervalOut]


class SharingIn(WishIn):
    """The lab's own numbers; what is left out stays."""

    grace_min: Annotated[int, Field(ge=0, le=10080)] | None = None
    wait_hold_min: Annotated[int, Field(ge=1, le=10080)] | None = None
    offer_min: Annotated[int, Field(ge=1, le=10080)] | None = None


def _interval(one: Interval | None) -> IntervalOut | None:
    return None if one is None else IntervalOut(start=one.start, end=one.end)
