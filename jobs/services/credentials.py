"""What happened to a person's ways to prove who they are: written down, and the person told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.credentials import Happened
from jobs.services.workshop import Workshop
from jobs.store.signing import CredentialEvent
from jobs.store.tables import Person

_LONGEST: Final = 80
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class CredentialEventView:
    """One thing that happened, and by whom; "" at the node's console."""

    at: datetime
    what: Happened
    detail: str
    by_name: str
    by_self: bool


def note(
    session: Session,
    workshop: Workshop,
    person_id: str,
    what: Happened,
    now: datetime,
    *,
    by_id: str | None,
    detail: str = "",
) -> None:
    """Write down what happened, in the caller's transaction.

    :param by_id: who did it; None at the console.
    """
    session.add(
        CredentialEvent(
            id=workshop.new_id(),
            person_id=person_id,
            by_id=by_id,
            at=now,
            what=what.value,
            detail=detail[:_LONGEST],
        )
    )


def happened(
    session: Session, person_id: str, limit: int = _SHOWN
) -> Sequence[CredentialEventView]:
    """Return what happened to a person's ways, the newest first."""
    rows = session.execute(
        select(CredentialEvent, Person.name)
        .outerjoin(Person, Person.id == CredentialEvent.by_id)
        .where(CredentialEvent.person_id == person_id)
        .order_by(CredentialEvent.at.desc(), CredentialEvent.id.desc())
        .limit(limit)
    )
    return [
        CredentialEventView(
            row.at, Happened(row.what), row.detail, name or "", row.by_id == person_id
        )
        for row, name in rows
    ]
