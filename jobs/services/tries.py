"""How often something may be tried: counted before each try, so that none is "the first"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from jobs.domain.credentials import Tried
from jobs.domain.errors import InvalidError
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import SignInFailure


@dataclass(frozen=True, slots=True)
class Limit:
    """So many wrong tries in so long a time."""

    most: int
    within: timedelta


def count_try(
    workshop: Workshop,
    kind: Tried,
    who: str,
    limits: tuple[Limit, ...],
    now: datetime,
    code: str,
) -> None:
    """Count a try before it is made, in a transaction of its own.

    :param who: a login, or the id of a person or a device; 64 characters at most.
    :raises InvalidError: *code* with the minutes until the next try, where there were too many.
    """
    longest = max(one.within for one in limits)
    with workshop.database.write() as session:
        take_turn(session, f"try {kind} {who}")
        session.execute(delete(SignInFailure).where(SignInFailure.forget_at <= now))
        ats = session.scalars(
            select(SignInFailure.at)
            .where(
                SignInFailure.login == who,
                SignInFailure.kind == kind.value,
                SignInFailure.at > now - longest,
            )
            .order_by(SignInFailure.at)
        ).all()
        waits = [
            recent[-one.most] + one.within - now
            for one in limits
            if len(recent := [at for at in ats if at > now - one.within]) >= one.most
        ]
        if not waits:
            session.add(
                SignInFailure(
                    id=workshop.new_id(),
                    kind=kind.value,
                    login=who,
                    at=now,
                    forget_at=now + longest,
                )
            )
            return
    minutes = max(1, -int(-max(waits).total_seconds() // 60))
    raise InvalidError(code, minutes=minutes)


def tries(session: Session, kind: Tried, who: str, since: datetime) -> int:
    """Return how many tries are counted since then."""
    query = select(func.count()).where(
        SignInFailure.login == who, SignInFailure.kind == kind.value, SignInFailure.at > since
    )
    return session.scalar(query) or 0


def forget_tries(session: Session, kind: Tried, who: str, since: datetime | None = None) -> None:
    """Forget what was tried: it was right; with *since*, only the tries from then on."""
    where = [SignInFailure.login == who, SignInFailure.kind == kind.value]
    if since is not None:
        where.append(SignInFailure.at >= since)
    session.execute(delete(SignInFailure).where(*where))
