"""The pictures that slicers put into programs, as preparation kept them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.services.planned import program_path
from jobs.services.views import Thumbnail
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, Preflight

_SHA256 = re.compile(r"[0-9a-f]{64}")


def thumbnails_of(
    session: Session, workshop: Workshop, job_id: str
) -> Iterator[Sequence[Thumbnail]]:
    """Yield the pictures of a job's current programs, one list for each machine that has any."""
    rows = session.scalars(
        select(Preflight.report["thumbnails"])
        .join(Machine, Machine.id == Preflight.machine_id)
        .where(Preflight.job_id == job_id, Preflight.superseded_at.is_(None))
        .order_by(Machine.slug)
    )
    for row in rows:
        found = [one for told in row or () if (one := _read(workshop, told)) is not None]
        if found:
            yield found


def _read(workshop: Workshop, told: object) -> Thumbnail | None:
    sha256 = told.get("sha256") if isinstance(told, Mapping) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return None
    assert isinstance(told, Mapping)
    path = program_path(workshop.work_dir, sha256)
    if not path.is_file():
        return None
    size = int(told.get("width_px", 0)), int(told.get("height_px", 0))
    return Thumbnail(path, "jpg" if told.get("format") == "jpg" else "png", *size)
