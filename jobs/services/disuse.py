"""When a qualification ends because its person has not used the machine for so long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from jobs.domain.rules import Values
from jobs.domain.rules.values import Level, Scope
from jobs.services.clock import down_within
from jobs.services.house_rules import values_in, values_of
from jobs.store.base import Instant
from jobs.store.house import Qualification
from jobs.store.tables import Machine, UsageEvent


def rules_for(session: Session, row: Qualification) -> Values:
    """Return the values of the house that a qualification goes by: of its machine or its kind."""
    if row.machine_id is not None:
        return values_of(session, session.get_one(Machine, row.machine_id))
    return values_in(session, Scope(Level.KIND, row.kind or ""))


def disuse_ends(
    session: Session, rows: Collection[Qualification], now: datetime
) -> Mapping[str, datetime]:
    """Return when each qualification ends if its person does not use the machine before.

    What never ends so is left out. Time in which the node was down counts against nobody.
    """
    found: dict[str, datetime] = {}
    scopes = {(row.machine_id, row.kind) for row in rows}
    for machine_id, kind in scopes:
        own = [row for row in rows if (row.machine_id, row.kind) == (machine_id, kind)]
        values = rules_for(session, own[0])
        if values.disuse_days is None and values.unused_days is None:
            continue
        used = _last_uses(session, own, machine_id, kind, now)
        for row in own:
            last = used.get(row.person_id)
            has_used = last is not None and last > row.granted_at
            days = values.disuse_days if has_used else values.unused_days or values.disuse_days
            if days is None:
                continue
            since = last if has_used and last is not None else row.granted_at
            until = since + timedelta(days=days)
            # Looked up only where it could matter: an absence makes it later, never sooner.
            if until - timedelta(days=values.qualification_remind_days or 0) <= now:
                until += down_within(session, since, now)
            found[row.id] = until
    return found


def _last_uses(
    session: Session,
    rows: Iterable[Qualification],
    machine_id: str | None,
    kind: str | None,
    now: datetime,
) -> Mapping[str, datetime]:
    """Return when each person used the machine, or one of the kind, last; who does so now, now."""
    where = UsageEvent.machine_id == machine_id
    if machine_id is None:
        where = UsageEvent.machine_id.in_(select(Machine.id).where(Machine.kind == kind))
    query = (
        select(
            UsageEvent.person_id, func.max(func.coalesce(UsageEvent.end_at, literal(now, Instant)))
        )
        .where(where, UsageEvent.person_id.in_({row.person_id for row in rows}))
        .group_by(UsageEvent.person_id)
    )
    return dict(session.execute(query).all())
