"""What is asked of every wish about machines' time: a stretch that grows, a short note, a role."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role

LONGEST_NOTE: Final = 200


def checked_interval(start: datetime, end: datetime) -> Interval:
    """Return the stretch of time that a person named."""
    if start.tzinfo is None or end.tzinfo is None:
        raise InvalidError("booking.no-zone", field="start")
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        raise InvalidError("booking.ends-before-start", field="end")
    return Interval(start, end)


def checked_note(note: str) -> str:
    """Return a note as it is kept: one line, bounded."""
    note = " ".join(note.split())
    if len(note) > LONGEST_NOTE:
        raise InvalidError("booking.note", field="note", characters=LONGEST_NOTE)
    return note


def must_be_operator(actor: Actor) -> None:
    """Refuse whoever may not decide for everybody."""
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
