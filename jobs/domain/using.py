"""A use of a machine without a job: how it ends, when it is forgotten, when its power goes off."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

ASK_AFTER: Final = timedelta(hours=4)  # of a use whose end nobody knows
ANSWER_WITHIN: Final = timedelta(minutes=30)  # after one was asked; nothing is cut before
LONGEST: Final = timedelta(hours=24)  # of a use that nobody ends and no closing does
BUSY_W: Final = 15.0  # that a machine draws more of while it works, where nobody said otherwise
# Nobody's fan is cut off under a hot nozzle, where nobody said otherwise.
SERIAL_COOL: Final = timedelta(minutes=10)
SERIAL_COOL_C: Final = 50.0
STALE: Final = timedelta(seconds=60)  # a figure that is older says nothing of now


class Ended(StrEnum):
    """Why a use is over."""

    PERSON = "person"  # its own person said so
    STAFF = "staff"
    JOB = "job"  # a run of the same person took its place; the power stays on
    FORGOTTEN = "forgotten"
    NO_POWER = "no-power"  # it never came on


class Until(StrEnum):
    """Why a use has an end."""

    BOOKING = "booking"  # somebody else's time begins
    CLOSING = "closing"


def is_due_to_ask(
    started: datetime, until: datetime | None, said: datetime | None, now: datetime
) -> bool:
    """Tell whether a person is to be asked if their use goes on.

    :param until: what they were told at its begin.
    :param said: when they last said that it goes on.
    """
    since = said or started
    if until is not None and since < until <= now:
        return True
    return now - since >= ASK_AFTER


def is_forgotten(asked: datetime | None, closes: datetime | None, now: datetime) -> bool:
    """Tell whether a use is to be ended that nobody speaks for.

    It needs both: that one was asked in vain, and that the house closes, or a whole day has gone.
    """
    if asked is None or now - asked < ANSWER_WITHIN:
        return False
    return now - asked >= LONGEST or (closes is not None and closes <= now)


def works(watts: float | None, at: datetime | None, busy_w: float, now: datetime) -> bool:
    """Tell whether a machine's own plug says that it works: then nothing is cut.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    >>> works(400.0, noon, 0.0, noon), works(3.0, noon, 0.0, noon), works(None, None, 0.0, noon)
    (True, False, False)
    """
    if watts is None or at is None or now - at > STALE:
        return False
    return watts > (busy_w or BUSY_W)
