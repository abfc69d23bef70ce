"""How people learn to use machines: trainings with seats, and how qualifications end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from jobs.domain.errors import InvalidError
from jobs.domain.rules.values import Level, Scope

MOST_DAYS: Final = 3660  # that a qualification is good for, if not for good
MOST_SEATS: Final = 200
MOST_LINE: Final = 200  # people who wait for a seat of one training
MOST_GRANTS: Final = 20
MOST_TRAINERS: Final = 10
LONGEST: Final = timedelta(days=7)
LONGEST_BEFORE: Final = timedelta(days=60)  # of the deadline, before the start
_LONGEST_TITLE: Final = 120
_LONGEST_NOTE: Final = 500


class SeatState(StrEnum):
    """Of a person's place in a training."""

    TAKEN = "taken"
    HELD = "held"  # one became free and is kept for this person for a while
    WAITING = "waiting"


class CalledOff(StrEnum):
    """Why a training does not take place."""

    TRAINER = "trainer"
    MINIMUM = "minimum"  # too few had a seat by the deadline


class Ended(StrEnum):
    """How a qualification ended (`page.learn.ended-<word>`)."""

    WITHDRAWN = "withdrawn"  # a person took it away, with a reason
    RENEWED = "renewed"  # a newer one took its place
    DATE = "date"  # it was good until then
    DISUSE = "disuse"  # it was not used for so long


@dataclass(frozen=True, slots=True)
class TrainingWish:
    """What a trainer writes down of a new training.

    :param grants: the machines and kinds that whoever was there is qualified for.
    :param machines: slugs of those whose time is kept for it: all of them, or it is not announced.
    :param trainers: ids of people who teach beside whoever announces it.
    :param minimum: of people with a seat, *decide_before* the start; else it is called off.
    :param weeks: how many times it is held, each week at the same time of the wall clock.
    :param skip_conflicts: leave out the weeks in which a machine is taken.
    """

    title: str
    start: datetime
    length: timedelta
    seats: int
    grants: Sequence[Scope]
    machines: Sequence[str] = ()
    trainers: Sequence[str] = ()
    valid_days: int | None = None
    note: str = ""
    minimum: int | None = None
    decide_before: timedelta = timedelta(days=1)
    weeks: int = 1
    skip_conflicts: bool = False


def checked_wish(wish: TrainingWish, now: datetime) -> tuple[str, str]:
    """Return a training's title and note as they are kept.

    :raises InvalidError: naming the field that cannot be.
    """
    title, note = " ".join(wish.title.split()), " ".join(wish.note.split())
    if not 1 <= len(title) <= _LONGEST_TITLE:
        raise InvalidError("training.title", field="title", characters=_LONGEST_TITLE)
    if len(note) > _LONGEST_NOTE:
        raise InvalidError("training.note", field="note", characters=_LONGEST_NOTE)
    if not 1 <= wish.seats <= MOST_SEATS:
        raise InvalidError("training.seats", field="seats", high=MOST_SEATS)
    if not timedelta(0) < wish.length <= LONGEST:
        raise InvalidError("training.length", field="length")
    if wish.start < now:
        raise InvalidError("training.past", field="start")
    grants = set(wish.grants)
    if not 1 <= len(grants) <= MOST_GRANTS or any(one.level is Level.LAB for one in grants):
        raise InvalidError("training.grants", field="grants", high=MOST_GRANTS)
    if len(set(wish.machines)) > MOST_GRANTS:
        raise InvalidError("training.machines", field="machines", high=MOST_GRANTS)
    if len(set(wish.trainers)) > MOST_TRAINERS:
        raise InvalidError("training.trainers", field="trainers", high=MOST_TRAINERS)
    if wish.valid_days is not None and not 1 <= wish.valid_days <= MOST_DAYS:
        raise InvalidError("qualification.days", field="days", high=MOST_DAYS)
    if wish.minimum is not None:
        if not 1 <= wish.minimum <= wish.seats:
            raise InvalidError("training.minimum", field="minimum", high=wish.seats)
        if not timedelta(0) <= wish.decide_before <= LONGEST_BEFORE:
            raise InvalidError("training.decide", field="decide_h")
        if wish.start - wish.decide_before <= now:
            raise InvalidError("training.decide-past", field="decide_h")
    return title, note
