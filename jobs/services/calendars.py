"""Reading calendars: the rows in a stretch of time, as far as a viewer may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval, free_intervals
from jobs.domain.people import Actor, Role
from jobs.domain.sharing import HoldFor
from jobs.services.views import AllocationView
from jobs.store.sharing import Preference
from jobs.store.tables import Allocation, Machine, Person

APPROVAL = "approval"  # the purpose of a hold that keeps the time until staff decide
SHOW_NAME: Final = "calendar.show-name"  # a person's choice for all that is theirs
YES: Final = "yes"
_FOR_ALL = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)  # whose note all may read


def free_of(taken: Sequence[Interval], span: Interval, now: datetime) -> Sequence[Interval]:
    """Return what may still be booked of *span*."""
    start = max(span.start, now)
    return list(free_intervals(taken, Interval(start, span.end))) if start < span.end else []


class Entry(NamedTuple):
    """An allocation with what a calendar says of it."""

    row: Allocation
    slug: str
    name: str  # of its person, "" for nobody
    is_open: bool  # its person lets others see the name


def rows_where(session: Session, *where: ColumnElement[bool]) -> Sequence[Entry]:
    """Return allocations with their machine's slug and person's name, in order of time."""
    shows = and_(Preference.person_id == Allocation.person_id, Preference.key == SHOW_NAME)
    found = session.execute(
        select(Allocation, Machine.slug, func.coalesce(Person.name, ""), Preference.value)
        .join(Machine, Machine.id == Allocation.machine_id)
        .outerjoin(Person, Person.id == Allocation.person_id)
        .outerjoin(Preference, shows)
        .where(*where)
        .order_by(Allocation.start_at, Allocation.id)
    )
    return [
        Entry(row, slug, name, chosen == YES if row.shows_name is None else row.shows_name)
        for row, slug, name, chosen in found
    ]


def taken_in(session: Session, machine_id: str, within: Interval) -> Sequence[Interval]:
    """Return what is taken of a machine's time, not cut to *within*."""
    return taken_of(session, [machine_id], within)[machine_id]


def taken_of(
    session: Session, machine_ids: Sequence[str], within: Interval
) -> Mapping[str, Sequence[Interval]]:
    """Return what is taken of each machine's time, not cut to *within*."""
    found = session.execute(
        select(Allocation.machine_id, Allocation.start_at, Allocation.end_at).where(
            Allocation.machine_id.in_(machine_ids),
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.start_at < within.end,
            Allocation.end_at > within.start,
        )
    )
    taken: dict[str, list[Interval]] = {machine_id: [] for machine_id in machine_ids}
    for machine_id, start, end in found:
        taken[machine_id].append(Interval(start, end))
    return taken


def view_of(session: Session, row: Allocation, viewer: Actor) -> AllocationView:
    """Return one allocation as *viewer* may see it."""
    session.flush()
    (entry,) = rows_where(session, Allocation.id == row.id)
    return allocation_view(entry, viewer)


def allocation_view(entry: Entry, viewer: Actor | None) -> AllocationView:
    """Return an entry of the calendar as *viewer* may see it."""
    row = entry.row
    is_mine = viewer is not None and row.person_id == viewer.person_id
    return AllocationView(
        id=row.id,
        machine_slug=entry.slug,
        kind=AllocationKind(row.kind),
        state=AllocationState(row.state),
        interval=Interval(row.start_at, row.end_at),
        mine=is_mine,
        label=_label(entry, viewer, is_mine),
        job_id=None,
        displaced_reason=row.displaced_reason,
        asked_until=row.expires_at if row.purpose == APPROVAL else None,
        series_id=row.series_id if is_mine else None,
        checked_in=row.checked_in_at is not None,
        missed=row.missed_at is not None,
        shows_name=entry.is_open,
    )


def _label(entry: Entry, viewer: Actor | None, is_mine: bool) -> str:
    """Others see that it is taken; by whom only where that person lets them."""
    row, name = entry.row, entry.name
    if viewer is None:
        return ""
    if row.purpose == HoldFor.TRAINING:
        return row.note  # announced to everybody
    if row.kind in _FOR_ALL or is_mine:
        return row.note or name
    if viewer.is_at_least(Role.OPERATOR):
        return f"{name}: {row.note}" if row.note else name
    return name if entry.is_open and viewer.is_at_least(Role.MEMBER) else ""
