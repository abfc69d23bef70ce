"""Who is in the house: the one look that the buddy rule, the pages and a fire alarm share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session, aliased

from jobs.domain.attending import HouseTimes
from jobs.services.clock import is_trusted
from jobs.store.persons import Standing
from jobs.store.tables import Person, Setting
from jobs.store.visits import HouseVisit

TIMES: Final = "house.times"
_MOST: Final = 2000  # people whom a house holds


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody who is in the house.

    :param person_id: "" of a visitor, who has no account.
    :param host: of a visitor: who answers for them.
    :param is_minor: counted and never named on a display.
    :param ends_at: when their stay ends by itself.
    """

    visit_id: str
    person_id: str
    name: str
    since: datetime
    ends_at: datetime
    is_minor: bool = False
    host_id: str = ""
    host: str = ""


def who_is_in(session: Session, now: datetime) -> Sequence[Present]:
    """Return everybody who has checked in and is not out, visitors and minors too, by name.

    By a clock that nobody vouches for, no stay has ended by itself.
    """
    query = stays()
    if is_trusted(session, now):
        query = query.where(HouseVisit.ends_at > now)
    query = query.where(HouseVisit.out_at.is_(None), HouseVisit.in_at <= now)
    return seen(session.execute(query))


def buddies(session: Session, now: datetime) -> frozenset[str]:
    """Return the ids of those in the house who count as company: adults with an account."""
    return frozenset(
        one.person_id for one in who_is_in(session, now) if one.person_id and not one.is_minor
    )


def is_in(session: Session, person_id: str, now: datetime) -> bool:
    """Return whether a person has checked in at the house and is not out."""
    ends = session.scalar(
        select(HouseVisit.ends_at).where(
            HouseVisit.person_id == person_id, HouseVisit.out_at.is_(None)
        )
    )
    return ends is not None and (ends > now or not is_trusted(session, now))


def times_of(session: Session) -> HouseTimes:
    """Return what the lab chose."""
    row = session.get(Setting, TIMES)
    return HouseTimes() if row is None else HouseTimes.from_json(json.loads(row.value))


def stays() -> Select[HouseVisit, str, str, bool]:
    """Return the query of stays with their person's and host's names, and minors, by name."""
    host = aliased(Person)
    return (
        select(
            HouseVisit,
            # A minor's own name: who reads it here must find them in a fire.
            func.coalesce(func.nullif(Standing.full_name, ""), Person.name, ""),
            func.coalesce(host.name, ""),
            func.coalesce(Standing.is_minor, False),
        )
        .outerjoin(Person, Person.id == HouseVisit.person_id)
        .outerjoin(host, host.id == HouseVisit.host_id)
        .outerjoin(Standing, Standing.person_id == HouseVisit.person_id)
        .order_by(func.lower(func.coalesce(Person.name, HouseVisit.visitor)), HouseVisit.id)
        .limit(_MOST)
    )


def seen(rows: Iterable[Row[HouseVisit, str, str, bool]]) -> Sequence[Present]:
    """Return stays as people see them."""
    return [
        Present(
            visit_id=row.id,
            person_id=row.person_id or "",
            name=name or row.visitor,
            since=row.in_at,
            ends_at=row.ends_at,
            is_minor=row.is_minor or is_minor,
            host_id=row.host_id or "",
            host=host,
        )
        for row, name, host, is_minor in rows
    ]
