"""How long photographs are kept: the lab says it, and the sweep removes what is older."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.services.photos import photo_folder
from jobs.services.workshop import Workshop
from jobs.store.tables import Setting
from jobs.store.upkeep import Clearing, Contest, Fault, NearMiss

DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 3650
_KEY: Final = "photos.days"
_FRESH: Final = timedelta(days=1)  # a photograph has its file before it has its row


class PhotoKeeping:
    """Use cases about the time for which photographs are kept."""

    def __init__(self, workshop: Workshop) -> None:
        self._database = workshop.database

    def days(self) -> int:
        """Return for how many days they are kept."""
        with self._database.read() as session:
            return days_kept(session)

    def keep(self, actor: Actor, days: float | None) -> None:
        """Keep them for another number of days.

        :raises InvalidError: `photo.days`.
        """
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        if days is None or not 1 <= days <= MOST_DAYS or days != int(days):
            raise InvalidError("photo.days", field="days", most=MOST_DAYS)
        with self._database.write() as session:
            session.merge(Setting(key=_KEY, value=str(int(days))))


def days_kept(session: Session) -> int:
    """Return for how many days the lab keeps photographs; what cannot be read is as by default."""
    row = session.get(Setting, _KEY)
    is_number = row is not None and row.value.isdecimal() and 1 <= int(row.value) <= MOST_DAYS
    return int(row.value) if row is not None and is_number else DEFAULT_DAYS


def forget_photos(session: Session, now: datetime) -> None:
    """Let go of photographs that are older than the lab keeps them.

    That of a fault counts from when it was mended, that of a near miss from when it was told; that
    of a result which is contested stays
    until that is decided.
    """
    before = now - timedelta(days=days_kept(session))
    contested = select(func.substr(Contest.about, len("attempt:") + 1)).where(
        Contest.state == "open", Contest.about.like("attempt:%")
    )
    session.execute(
        update(Clearing)
        .where(
            Clearing.photo_sha256.is_not(None),
            Clearing.at < before,
            func.coalesce(Clearing.attempt_id, "").not_in(contested),
        )
        .values(photo_sha256=None),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(Fault)
        .where(Fault.photo_sha256.is_not(None), Fault.mended_at < before)
        .values(photo_sha256=None),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(NearMiss)
        .where(NearMiss.photo_sha256.is_not(None), NearMiss.at < before)
        .values(photo_sha256=None),
        execution_options={"synchronize_session": False},
    )


def drop_files(session: Session, workshop: Workshop, now: datetime, most: int) -> int:
    """Remove the files of photographs that nothing names any more; return how many.

    :param most: no more at once.
    """
    columns = (Clearing.photo_sha256, Fault.photo_sha256, NearMiss.photo_sha256)
    named = {
        one
        for column in columns
        for one in session.scalars(select(column).where(column.is_not(None)))
    }
    removed = 0
    before = (now - _FRESH).timestamp()
    with os.scandir(photo_folder(workshop)) as entries:
        for entry in entries:
            is_photo = entry.name.endswith(".jpg") and entry.is_file(follow_symlinks=False)
            if removed == most or not is_photo or entry.name.removesuffix(".jpg") in named:
                continue
            if entry.stat(follow_symlinks=False).st_mtime < before:
                Path(entry.path).unlink()
                removed += 1
    return removed
