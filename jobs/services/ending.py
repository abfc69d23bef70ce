"""The reminder that a booking ends soon: whoever has the machine next finds it free.

Who has it next themselves is told nothing. What has been told is known by the instant of the
end, so a booking that was made longer is reminded of again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import InvalidError
from jobs.domain.sharing import END_DEFAULT, END_MIN
from jobs.services import claims
from jobs.services.notices import tell
from jobs.services.preferences import choose, chosen_by
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice
from jobs.store.tables import Allocation

_CHOICE: Final = "reminders.end"  # a person's choice [min]
_LONGEST: Final = timedelta(days=31)  # of a booking that goes on
_AT_ONCE: Final = timedelta(minutes=1)  # from one's end to the next one's beginning
_MOST: Final = 200  # in one sweep: it comes again


def chosen_end(session: Session, person_ids: Collection[str]) -> Mapping[str, int]:
    """Return how long before the end each person is reminded [min]; 0: not at all."""
    chosen = chosen_by(session, person_ids, _CHOICE)
    return {one: int(chosen.get(one, END_DEFAULT)) for one in person_ids}


def choose_end(session: Session, person_id: str, minutes: int) -> None:
    """Keep how long before the end a person is reminded.

    :raises InvalidError: if it is none of the choices.
    """
    if minutes not in END_MIN:
        raise InvalidError("sharing.remind", field="end_min")
    choose(session, person_id, _CHOICE, str(minutes))


def ending(session: Session, now: datetime) -> Sequence[str]:
    """Return bookings whose person is to be reminded of the end now and was not."""
    rows = session.execute(
        select(Allocation.id, Allocation.person_id, Allocation.end_at, Allocation.created_at)
        .where(
            Allocation.kind == AllocationKind.RESERVATION.value,
            Allocation.state == AllocationState.ACTIVE.value,
            # Both ends bounded, or ten years of history would be read each time.
            Allocation.start_at > now - _LONGEST,
            Allocation.start_at <= now,
            Allocation.end_at > now,
            Allocation.end_at <= now + timedelta(minutes=max(END_MIN)),
        )
        .order_by(Allocation.end_at)
    ).all()
    chosen = chosen_end(session, {row.person_id for row in rows if row.person_id})
    due: dict[str, str] = {}
    for row in rows:
        minutes = chosen.get(row.person_id or "", 0)
        if minutes and row.created_at < row.end_at - timedelta(minutes=minutes) <= now:
            due[_key(row.id, row.end_at)] = row.id
    told = set(session.scalars(select(Notice.key).where(Notice.key.in_(due))))
    return [found for key, found in due.items() if key not in told][:_MOST]


def remind_of_end(session: Session, workshop: Workshop, allocation_id: str, now: datetime) -> bool:
    """Tell a person that their time ends soon, and whether somebody comes next."""
    row = session.get_one(Allocation, allocation_id)
    if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
        return False
    following = session.scalars(
        select(Allocation.person_id).where(
            Allocation.machine_id == row.machine_id,
            Allocation.kind == AllocationKind.RESERVATION.value,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.start_at >= row.end_at,
            Allocation.start_at <= row.end_at + _AT_ONCE,
        )
    ).all()
    if row.person_id in following:
        return False
    code = "reminder-end-next" if following else "reminder-end"
    fields, about = claims.times_of(session, row), f"booking:{row.id}"
    key = _key(row.id, row.end_at)
    return tell(session, workshop, row.person_id, code, fields, now, about, key) is not None


def _key(allocation_id: str, end: datetime) -> str:
    return f"reminder-end:{allocation_id}:{end.timestamp():.0f}"
