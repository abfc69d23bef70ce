"""What people chose for themselves, by key."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.store.sharing import Preference


def preferences_of(session: Session, person_id: str, prefix: str = "") -> Mapping[str, str]:
    """Return a person's choices whose keys begin so."""
    rows = session.execute(
        select(Preference.key, Preference.value).where(
            Preference.person_id == person_id, Preference.key.startswith(prefix, autoescape=True)
        )
    )
    return {row.key: row.value for row in rows}


def chosen_by(session: Session, people: Collection[str], key: str) -> Mapping[str, str]:
    """Return what each of these people chose of one thing; who chose nothing is left out."""
    rows = session.execute(
        select(Preference.person_id, Preference.value).where(
            Preference.key == key, Preference.person_id.in_(people)
        )
    )
    return {row.person_id: row.value for row in rows}


def choose(session: Session, person_id: str, key: str, value: str) -> None:
    """Keep a choice."""
    session.merge(Preference(person_id=person_id, key=key, value=value))
