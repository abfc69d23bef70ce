"""For how long the lab keeps what says something of people; the sweep asks here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError
from jobs.domain.people import Actor, Role
from jobs.domain.retention import TERMS, Kept
from jobs.services.authority import must_hold
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice, NoticeDelivery
from jobs.store.tables import Attempt, Machine, Person, PersonAlias, Setting

# That of photographs is older than the others, and is asked where they are taken, too.
_KEYS: Final[Mapping[Kept, str]] = {Kept.PHOTOS: "photos.days"}
_MOST: Final = 200  # runs whose logs are looked for in one sweep
_BACK: Final = timedelta(days=30)  # how far behind the limit: a node that slept catches up

log = logging.getLogger(__name__)


class Retention:
    """Use cases about these times."""

    def __init__(self, workshop: Workshop) -> None:
        self._database = workshop.database

    def days(self) -> Mapping[Kept, int]:
        """Return for how many days each kind is kept."""
        with self._database.read() as session:
            return {kind: days_of(session, kind) for kind in Kept}

    def set(self, actor: Actor, wishes: Mapping[Kept, float | None]) -> None:
        """Keep kinds for another number of days; what is left out stays as it is.

        :raises InvalidError: `kept.days`, naming the kind.
        """
        with self._database.write() as session:
            must_hold(session, actor, Role.ADMIN)
            for kind, days in wishes.items():
                term = TERMS[kind]
                if days is None or days != int(days) or not term.least <= days <= term.most:
                    raise InvalidError(
                        "kept.days", field=kind.value, least=term.least, most=term.most
                    )
                session.merge(Setting(key=_key(kind), value=str(int(days))))


def days_of(session: Session, kind: Kept) -> int:
    """Return for how many days a kind is kept; what cannot be read is as by default."""
    row, term = session.get(Setting, _key(kind)), TERMS[kind]
    if row is None or not row.value.isdecimal():
        return term.days
    return min(max(int(row.value), term.least), term.most)


def before(session: Session, kind: Kept, now: datetime) -> datetime:
    """Return the instant before which a kind is let go."""
    return now - timedelta(days=days_of(session, kind))


def forget_notices(session: Session, now: datetime, most: int) -> int:
    """Let go of notices that are older than the lab keeps them, and of their deliveries."""
    old = session.scalars(
        select(Notice.id)
        .where(Notice.at < before(session, Kept.NOTICES, now))
        .order_by(Notice.at)
        .limit(most)
    ).all()
    session.execute(delete(NoticeDelivery).where(NoticeDelivery.notice_id.in_(old)))
    session.execute(delete(Notice).where(Notice.id.in_(old)))
    return len(old)


def forget_links(session: Session, now: datetime, most: int) -> int:
    """Forget whom the records of people mean who left so long ago; the records stay whole."""
    left = select(Person.id).where(Person.disabled_at < before(session, Kept.RECORD_LINKS, now))
    old = session.scalars(
        select(PersonAlias.alias).where(PersonAlias.person_id.in_(left)).limit(most)
    ).all()
    session.execute(delete(PersonAlias).where(PersonAlias.alias.in_(old)))
    return len(old)


def drop_wire_logs(session: Session, workshop: Workshop, now: datetime) -> int:
    """Remove the wire logs of runs that ended longer ago than the lab keeps them."""
    limit = before(session, Kept.WIRE_LOGS, now)
    runs = session.execute(
        select(Machine.slug, Attempt.id)
        .join(Machine, Machine.id == Attempt.machine_id)
        .where(Attempt.ended_at < limit, Attempt.ended_at > limit - _BACK)
        .order_by(Attempt.ended_at)
        .limit(_MOST)
    ).all()
    dropped = 0
    for slug, run in runs:
        for path in workshop.gateway.wire_log(slug, run):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # its host may hold it otherwise than we may
                log.warning("%s: the wire log of %s stays: %s", slug, run, error)
                continue
            dropped += 1
    return dropped


def _key(kind: Kept) -> str:
    return _KEYS.get(kind, f"kept.{kind.value}")
