"""Photographs that people add: a worker writes each anew, and only that copy is kept."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.services.workers import Failure, Task, run_worker
from jobs.services.workshop import Workshop

LARGEST_BYTES: Final = 15 * 1024 * 1024  # as it comes from a telephone
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = 256 * 1024


def keep_photo(workshop: Workshop, photo: BinaryIO | None) -> str | None:
    """Return the hash of a photograph's kept copy; None without one.

    Takes as long as a worker does: never inside a transaction.

    :raises InvalidError: `photo.too-large` or `photo.unreadable`.
    """
    if photo is None:
        return None
    with tempfile.TemporaryDirectory(dir=_room(workshop.work_dir)) as name:
        folder = Path(name)
        _copy(photo, folder / "photo")
        result = run_worker(Task.PHOTO, {}, {"photo": folder / "photo"}, outputs=folder / "out")
        made = result.outputs.get("photo.jpg")
        if not result.ok or made is None:
            code = "photo.failed" if result.failure is not Failure.UNREADABLE else ""
            raise InvalidError(code or "photo.unreadable", field="photo")
        with made.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        made.replace(_path(workshop, sha256))
    return sha256


def photo_path(workshop: Workshop, sha256: str | None) -> Path:
    """Return where a photograph lies.

    :raises NotFoundError: if there is none.
    """
    if sha256 is None or not _SHA256.fullmatch(sha256) or not _path(workshop, sha256).is_file():
        raise NotFoundError("photo.unknown")
    return _path(workshop, sha256)


def photo_folder(workshop: Workshop) -> Path:
    """Return where photographs lie."""
    return _room(workshop.work_dir)


def _room(work_dir: Path) -> Path:
    folder = work_dir / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _path(workshop: Workshop, sha256: str) -> Path:
    return _room(workshop.work_dir) / f"{sha256}.jpg"


def _copy(photo: BinaryIO, target: Path) -> None:
    room = LARGEST_BYTES
    with target.open("wb") as file:
        while chunk := photo.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise InvalidError("photo.too-large", field="photo", limit_mb=LARGEST_BYTES >> 20)
            file.write(chunk)
