"""What the house's rules look at: facts about one wish, gathered once, changed by nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval
from jobs.domain.people import Role
from jobs.domain.prices import Drawn, Tariff, Use, quote

FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)  # of a qualification that does not expire


class Act(StrEnum):
    """What a person, or the queue for a person, wants of a machine."""

    BOOK = "book"
    START = "start"  # a job, now


@dataclass(frozen=True, slots=True, order=True)
class OwnBooking:
    """Another booking of the same person, anywhere in the lab."""

    interval: Interval
    id: str = ""
    machine: str = ""  # slug
    kind: str = ""


@dataclass(frozen=True, slots=True)
class TrainingOffer:
    """A training that would qualify, with seats that nobody has taken."""

    id: str
    title: str
    start: datetime
    free_seats: int


@dataclass(frozen=True, slots=True)
class ToAccept:
    """A text that the person has not accepted as it stands now.

    :param ref: where its page is: `<scope>/<sort>`.
    :param sort: `rules` or `risks`.
    :param of: what it is for: a machine's name, a kind, `lab`.
    """

    ref: str
    sort: str
    of: str


@dataclass(frozen=True, slots=True)
class Purse:
    """What a person may still spend, and what a wish costs by its length.

    :param minor: in minor units; what is kept for other things is taken off.
    :param drawn: material that the wish takes however long it is.
    """

    minor: int
    tariff: Tariff
    drawn: Sequence[Drawn] = ()

    def needed(self, length: timedelta) -> int:
        """Return what so long a wish costs."""
        machine_ms = round(length / timedelta(milliseconds=1))
        return quote(self.tariff, Use(machine_ms, 1, self.drawn)).minor


@dataclass(frozen=True, slots=True)
class Facts:
    """One wish and everything that speaks for or against it. All instants are aware UTC.

    :param taken: what lies in the way on this machine, claims and others' runs alike, in order.
    :param neighbours: other people's claims on it, in order; those before *now* too, whose buffer
        may last.
    :param out: outages and closures of this machine, in order.
    :param own: the person's other bookings: those to come, and those of the weeks wished for.
    :param known_until: how far ahead *taken*, *out* and *holidays* were looked up.
    :param qualified_until: `FOR_EVER` without an expiry; None: not qualified.
    :param holidays: the public holidays, by local day.
    :param purse: of the person; None where nothing is asked of it.
    :param stay_ends: when the person's time in the house is over; None: it has no end.
    :param named: whether the machine is on the person's list; None: they need none.
    :param is_supervised: a trainer or operator, or who vouches for them, is in the house now.
    :param moved: the interval that a booking has now and is to leave.
    """

    start: datetime
    end: datetime
    now: datetime
    role: Role
    zone: ZoneInfo
    known_until: datetime
    act: Act = Act.BOOK
    machine: str = ""  # slug
    machine_name: str = ""
    kind: str = ""
    machine_retired: bool = False
    booking_hidden: bool = False
    taken: tuple[Interval, ...] = ()
    neighbours: tuple[Interval, ...] = ()
    out: tuple[Interval, ...] = ()
    own: tuple[OwnBooking, ...] = ()
    qualified_until: datetime | None = None
    trainings: tuple[TrainingOffer, ...] = ()
    to_accept: tuple[ToAccept, ...] = ()
    holidays: Mapping[date, str] = field(default_factory=dict)
    people_here: int = 0
    purse: Purse | None = None
    moved: Interval | None = None
    stay_ends: datetime | None = None
    named: bool | None = None
    is_minor: bool = False
    has_consent: bool = True
    is_supervised: bool = False

    @property
    def interval(self) -> Interval:
        """Return the time that is wished for."""
        return Interval(self.start, self.end)

    @property
    def length(self) -> timedelta:
        """Return how long it is; elapsed time, since both ends are UTC."""
        return self.end - self.start

    def at(self, start: datetime, end: datetime) -> Facts:
        """Return the same wish for another time."""
        return replace(self, start=start, end=end)
