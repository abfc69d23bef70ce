"""Reading calendars: the rows in a stretch of time, as far as a viewer may see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval, free_intervals
from jobs.domain.people import Actor, Role
from jobs.services.views import AllocationView
from jobs.store.tables import Allocation, Machine, Person

APPROVAL = "approval"  # the purpose of a hold that keeps the time until staff decide
_FOR_ALL = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)  # whose note all may read


def free_of(taken: Sequence[Interval], span: Interval, now: datetime) -> Sequence[Interval]:
    """Return what may still be booked of *span*."""
    start = max(span.start, now)
    return list(free_intervals(taken, Interval(start, span.end))) if start < span.end else []


def rows_where(
    session: Session, *where: ColumnElement[bool]
) -> Sequence[tuple[Allocation, str, str]]:
    """Return allocations with their machine's slug and person's name, in order of time."""
    found = session.execute(
        select(Allocation, Machine.slug, func.coalesce(Person.name, ""))
        .join(Machine, Machine.id == Allocation.machine_id)
        .outerjoin(Person, Person.id == Allocation.person_id)
        .where(*where)
        .order_by(Allocation.start_at, Allocation.id)
    )
    return [(row, slug, name) for row, slug, name in found]


def taken_in(session: Session, machine_id: str, within: Interval) -> Sequence[Interval]:
    """Return what is taken of a machine's time, not cut to *within*."""
    found = session.execute(
        select(Allocation.start_at, Allocation.end_at).where(
            Allocation.machine_id == machine_id,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.start_at < within.end,
            Allocation.end_at > within.start,
        )
    )
    return [Interval(start, end) for start, end in found]


def allocation_view(row: Allocation, slug: str, name: str, viewer: Actor | None) -> AllocationView:
    """Return an entry of the calendar as *viewer* may see it."""
    is_mine = viewer is not None and row.person_id == viewer.person_id
    return AllocationView(
        id=row.id,
        machine_slug=slug,
        kind=AllocationKind(row.kind),
        state=AllocationState(row.state),
        interval=Interval(row.start_at, row.end_at),
        mine=is_mine,
        label=_label(row, name, viewer, is_mine),
        job_id=None,
        displaced_reason=row.displaced_reason,
        asked_until=row.expires_at if row.purpose == APPROVAL else None,
    )


def _label(row: Allocation, name: str, viewer: Actor | None, is_mine: bool) -> str:
    """Members see each other's names, so that they can talk; a guest sees that it is taken."""
    if viewer is None:
        return ""
    if row.kind in _FOR_ALL or is_mine:
        return row.note or name
    if viewer.is_at_least(Role.OPERATOR):
        return f"{name}: {row.note}" if row.note else name
    return name if viewer.is_at_least(Role.MEMBER) else ""
