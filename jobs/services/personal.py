"""What the node keeps of a person, table by table: the ground of their export and of forgetting.

Every column that names a person is found by its foreign key, so that a table that comes new is in
the export at once. What a row says of others, and what proves anything, is left out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, or_, select
from sqlalchemy.orm import Session

from jobs.domain.errors import NotFoundError
from jobs.domain.events import rfc3339
from jobs.services.photos import photo_path
from jobs.services.workshop import Workshop
from jobs.store.base import Base
from jobs.store.money import MoneyAccount
from jobs.store.tables import Attempt, Job, PersonAlias, Record
from jobs.store.upkeep import Clearing, Fault, NearMiss

_PAGE: Final = 200  # rows that are held at once
_PIECE: Final = 1 << 18  # bytes of a file that are held at once
_MOST_FILES: Final = 20_000
_SECRETS: Final = ("_hash", "_hmac", "_sha256", "csrf", "seat", "sealed")
_FILE_HASHES: Final = frozenset(
    f"{what}_sha256" for what in ("input", "photo", "program", "limits", "stream", "design")
)
_ANOTHER: Final = "another person"


def personal_tables() -> Iterator[tuple[Table, list[str]]]:
    """Yield each table that names people, with the columns that do; `person` itself first."""
    people = Base.metadata.tables["person"]
    yield people, ["id"]
    for table in Base.metadata.sorted_tables:
        columns = [
            column.name
            for column in table.columns
            if any(key.column.table is people for key in column.foreign_keys)
        ]
        if columns:
            yield table, columns


def is_secret(column: str) -> bool:
    """Return whether a column proves something: it helps nobody whose it is.

    A hash that is not known to be one of a file counts as one of a secret.

    >>> is_secret("pin_hash"), is_secret("code_sha256"), is_secret("input_sha256")
    (True, True, False)
    """
    return column.endswith(_SECRETS) and column not in _FILE_HASHES


def export(workshop: Workshop, person_id: str, now: datetime) -> Iterator[bytes]:
    """Yield a zip archive of all that is kept of a person, in pieces; little is held at once.

    Each page of rows is a look of its own, so that a slow reader keeps no transaction open.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        about = {"person": person_id, "made_at": rfc3339(now), "site": workshop.site}
        archive.writestr("about.json", json.dumps(about, indent=1))
        for table, columns in personal_tables():
            mine = or_(*(table.c[name] == person_id for name in columns))
            if "account_id" in table.c:  # what is booked names the account, and that its person
                own = select(MoneyAccount.id).where(MoneyAccount.person_id == person_id)
                mine = or_(mine, table.c.account_id.in_(own))
            yield from _rows(workshop, archive, sink, table, mine, person_id, columns)
        jobs = select(Job.id).where(Job.person_id == person_id)
        attempts = select(Attempt.id).where(Attempt.job_id.in_(jobs))
        of_jobs = Attempt.__table__.c.job_id.in_(jobs)
        records = Record.__table__.c.attempt_id.in_(attempts)
        for name, where in (("attempt", of_jobs), ("record", records)):
            table = Base.metadata.tables[name]
            yield from _rows(workshop, archive, sink, table, where, person_id, [])
        for name, path in _files(workshop, person_id):
            yield from _file(archive, sink, name, path)
    yield sink.take()


def owned_files(session: Session, person_id: str) -> Mapping[str, str]:
    """Return what a person brought in, by hash, with the name they gave it."""
    rows = session.execute(
        select(Job.input_sha256, Job.input_name)
        .where(Job.person_id == person_id, Job.design_id.is_(None))
        .order_by(Job.number)
        .limit(_MOST_FILES)
    )
    return {row.input_sha256: row.input_name for row in rows}


def aliases(session: Session, person_id: str) -> list[str]:
    """Return the random ids that stand for a person in records."""
    return list(
        session.scalars(select(PersonAlias.alias).where(PersonAlias.person_id == person_id))
    )


class _Sink(io.RawIOBase):
    """Takes what the archive writes, until it is handed on."""

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        """Return what has come since the last time."""
        data = bytes(self._data)
        self._data.clear()
        return data


def _rows(
    workshop: Workshop,
    archive: zipfile.ZipFile,
    sink: _Sink,
    table: Table,
    where: ColumnElement[bool],
    person_id: str,
    columns: list[str],
) -> Iterator[bytes]:
    """Write the rows of a table as a JSON list, page by page; nothing where there are none."""
    page = _page(workshop, table, where, 0)
    if not page:
        return
    number = 0
    with archive.open(f"{table.name}.json", "w") as entry:
        while page:
            for row in page:
                text = json.dumps(_row(row, person_id, columns), ensure_ascii=False, default=str)
                entry.write((",\n" if number else "[\n").encode() + text.encode())
                number += 1
            yield sink.take()
            page = _page(workshop, table, where, number) if len(page) == _PAGE else []
        entry.write(b"\n]\n")
    yield sink.take()


def _page(
    workshop: Workshop, table: Table, where: ColumnElement[bool], offset: int
) -> list[Mapping[str, Any]]:
    query = select(table).where(where).order_by(*table.primary_key.columns)
    with workshop.database.read() as session:
        rows = session.execute(query.limit(_PAGE).offset(offset)).mappings()
        return [dict(row) for row in rows]


def _row(row: Mapping[str, Any], person_id: str, columns: list[str]) -> dict[str, Any]:
    """Return a row as it leaves: without secrets, and without who the others are."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if is_secret(name) or isinstance(value, bytes):
            continue
        if name in columns and value is not None and value != person_id:
            found[name] = _ANOTHER
        else:
            found[name] = rfc3339(value) if isinstance(value, datetime) else value
    return found


def _files(workshop: Workshop, person_id: str) -> Iterator[tuple[str, Path]]:
    with workshop.database.read() as session:
        brought = owned_files(session, person_id)
        photos = [
            sha256
            for table in (Clearing, Fault, NearMiss)
            for sha256 in session.scalars(
                select(table.photo_sha256).where(
                    table.person_id == person_id, table.photo_sha256.is_not(None)
                )
            )
            if sha256
        ]
    for sha256, name in brought.items():
        if workshop.library.has(sha256):
            plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[-80:]
            yield f"files/{sha256[:12]}-{plain}", workshop.library.path(sha256)
    for sha256 in dict.fromkeys(photos):
        try:
            yield f"photos/{sha256}.jpg", photo_path(workshop, sha256)
        except NotFoundError:
            continue


def _file(archive: zipfile.ZipFile, sink: _Sink, name: str, path: Path) -> Iterator[bytes]:
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return  # let go of meanwhile
    with source, archive.open(name, "w", force_zip64=True) as entry:
        while data := source.read(_PIECE):
            entry.write(data)
            yield sink.take()
    yield sink.take()
