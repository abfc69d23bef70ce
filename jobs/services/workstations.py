"""Shared computers whose slicer sends files: each is nobody's until a member claims it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services import passwords
from jobs.services.asked import must_be
from jobs.services.intake import clean_name
from jobs.services.queue import Queue
from jobs.services.views import JobView
from jobs.services.workshop import Workshop
from jobs.store.signing import UnclaimedUpload, Workstation

KEPT: Final = timedelta(days=3)  # until nobody seems to want it
_MOST: Final = 200  # files that nobody has claimed
_MOST_BYTES: Final = 4 * 2**30  # of them together
_LONGEST_NAME: Final = 80
_CHUNK: Final = 2**20
_TOUCH: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WorkstationView:
    """A shared computer, without its key."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnclaimedView:
    """A file that waits for whoever has sent it."""

    id: str
    name: str
    machine_slug: str
    workstation: str
    size_bytes: int
    at: datetime
    expires_at: datetime


class Workstations:
    """Use cases about shared computers and what they send."""

    def __init__(self, workshop: Workshop, queue: Queue) -> None:
        self._workshop = workshop
        self._queue = queue
        self._database = workshop.database
        self._folder = workshop.work_dir / "unclaimed"

    def make(self, actor: Actor, name: str, now: datetime) -> tuple[str, str]:
        """Return the id and the key of a shared computer; the key only once.

        :raises NotAllowedError: below operator.
        """
        must_be(actor, Role.OPERATOR)
        name = " ".join(name.split())
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise InvalidError("workstation.name", field="name", characters=_LONGEST_NAME)
        key = f"fabw_{self._workshop.new_token()}"
        row = Workstation(
            id=self._workshop.new_id(),
            name=name,
            key_sha256=passwords.fingerprint(key),
            person_id=actor.person_id,
            created_at=now,
        )
        with self._database.write() as session:
            session.add(row)
        return row.id, key

    def list(self, actor: Actor) -> Sequence[WorkstationView]:
        """Return the shared computers that may send, by name."""
        must_be(actor, Role.OPERATOR)
        with self._database.read() as session:
            rows = session.scalars(
                select(Workstation)
                .where(Workstation.revoked_at.is_(None))
                .order_by(Workstation.name)
            )
            return [WorkstationView(row.id, row.name, row.created_at, row.used_at) for row in rows]

    def revoke(self, actor: Actor, workstation_id: str, now: datetime) -> None:
        """End a shared computer's key at once; what it has sent stays to be claimed."""
        must_be(actor, Role.OPERATOR)
        with self._database.write() as session:
            row = session.get(Workstation, workstation_id)
            if row is None:
                raise NotFoundError("workstation.unknown")
            row.revoked_at = row.revoked_at or now

    def known(self, key: str, now: datetime) -> str | None:
        """Return the id of the shared computer whose key that is."""
        with self._database.read() as session:
            row = session.scalar(
                select(Workstation).where(
                    Workstation.key_sha256 == passwords.fingerprint(key),
                    Workstation.revoked_at.is_(None),
                )
            )
        if row is None:
            return None
        if row.used_at is None or now - row.used_at >= _TOUCH:
            with self._database.write() as session:
                session.execute(
                    update(Workstation).where(Workstation.id == row.id).values(used_at=now)
                )
        return row.id

    def bring(
        self, workstation_id: str, name: str, data: BinaryIO, machine_slug: str, now: datetime
    ) -> str:
        """Keep a file that a shared computer sent, and return its id. It is looked at when claimed.

        :param machine_slug: for which machine; "" if it did not say.
        :raises InvalidError: `upload.too-large`, `upload.empty` or `unclaimed.full`.
        """
        self._check_room()
        clean = clean_name(PurePosixPath(name.replace("\\", "/")).name) or "upload"
        upload_id = self._workshop.new_id()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(upload_id)
        try:
            size = _copy(data, path, self._workshop.upload_limit_bytes)
            row = UnclaimedUpload(
                id=upload_id,
                workstation_id=workstation_id,
                name=clean,
                machine_slug=machine_slug[:32],
                size_bytes=size,
                at=now,
                expires_at=now + KEPT,
            )
            with self._database.write() as session:
                session.add(row)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._workshop.live.touch()
        return upload_id

    def unclaimed(self, actor: Actor, now: datetime) -> Sequence[UnclaimedView]:
        """Return what waits to be claimed, the newest first; guests see nothing."""
        if not actor.is_at_least(Role.MEMBER):
            return []
        with self._database.read() as session:
            rows = session.execute(
                select(UnclaimedUpload, Workstation.name)
                .join(Workstation, Workstation.id == UnclaimedUpload.workstation_id)
                .where(UnclaimedUpload.expires_at > now)
                .order_by(UnclaimedUpload.at.desc(), UnclaimedUpload.id.desc())
            )
            return [
                UnclaimedView(
                    row.id, row.name, row.machine_slug, name, row.size_bytes, row.at, row.expires_at
                )
                for row, name in rows
            ]

    def claim(self, actor: Actor, upload_id: str, now: datetime) -> JobView:
        """Make a file one's own job. Of two who claim it at once, one gets it.

        :raises NotFoundError: `unclaimed.unknown`, if it is gone or somebody else's now.
        :raises InvalidError: about the file; it stays to be claimed or thrown away.
        """
        must_be(actor, Role.MEMBER)
        row = self._take(upload_id, now)
        if not self._path(upload_id).is_file():  # a folder that somebody has tidied up
            raise NotFoundError("unclaimed.unknown")
        try:
            job = self._queue.submit(
                actor,
                name=row.name,
                data=self._path(upload_id),
                machine_slug=row.machine_slug or None,
                now=now,
            )
        except BaseException:
            with self._database.write() as session:
                session.merge(row)
            raise
        self._path(upload_id).unlink(missing_ok=True)
        return job

    def throw_away(self, actor: Actor, upload_id: str, now: datetime) -> None:
        """Drop a file that nobody wants; members may, for it is nobody's."""
        must_be(actor, Role.MEMBER)
        self._take(upload_id, now)
        self._path(upload_id).unlink(missing_ok=True)

    def _take(self, upload_id: str, now: datetime) -> UnclaimedUpload:
        with self._database.write() as session:
            row = session.get(UnclaimedUpload, upload_id)
            if row is None or row.expires_at <= now:
                raise NotFoundError("unclaimed.unknown")
            taken = session.execute(
                delete(UnclaimedUpload)
                .where(UnclaimedUpload.id == upload_id)
                .returning(UnclaimedUpload.id)
            ).first()
            if taken is None:
                raise NotFoundError("unclaimed.unknown")
            session.expunge(row)
        self._workshop.live.touch()
        return UnclaimedUpload(
            id=row.id,
            workstation_id=row.workstation_id,
            name=row.name,
            machine_slug=row.machine_slug,
            size_bytes=row.size_bytes,
            at=row.at,
            expires_at=row.expires_at,
        )

    def _check_room(self) -> None:
        with self._database.read() as session:
            count, size = session.execute(
                select(func.count(), func.coalesce(func.sum(UnclaimedUpload.size_bytes), 0))
            ).one()
        if count >= _MOST or size >= _MOST_BYTES:
            raise InvalidError("unclaimed.full", field="file")

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id


def drop_unclaimed(session: Session, workshop: Workshop, now: datetime, most: int) -> int:
    """Drop files that nobody has claimed in time; return how many."""
    ids = session.scalars(
        delete(UnclaimedUpload)
        .where(
            UnclaimedUpload.id.in_(
                select(UnclaimedUpload.id).where(UnclaimedUpload.expires_at <= now).limit(most)
            )
        )
        .returning(UnclaimedUpload.id)
    ).all()
    for one in ids:
        (workshop.work_dir / "unclaimed" / one).unlink(missing_ok=True)
    return len(ids)


def _copy(data: BinaryIO, path: Path, limit: int) -> int:
    """Copy up to *limit* bytes and return how many there were."""
    size = 0
    with path.open("xb") as file:
        while chunk := data.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise InvalidError("upload.too-large", field="file", limit_bytes=limit)
            file.write(chunk)
    if size == 0:
        raise InvalidError("upload.empty", field="file")
    return size
