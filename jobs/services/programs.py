"""Finished programs on disk, each under its hash: streams, indexes, plans and their sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from jobs.services.planned import program_path


class Programs:
    """Keeps files that preparation made, and lets go of those nobody needs any more."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._folder = work_dir / "programs"
        self._folder.mkdir(parents=True, exist_ok=True)
        # A file must not go between the moment it is found to be there and its new date.
        self._lock = threading.Lock()

    def keep(self, path: Path) -> str:
        """Copy a file to its hash and return that; it appears there whole or not at all."""
        sha256 = sha256_of(path)
        place = program_path(self._work_dir, sha256)
        with self._lock:
            if place.exists():
                os.utime(place)  # as good as new: see `forget`
                return sha256
            beside = place.with_suffix(".new")
            shutil.copyfile(path, beside)
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(place)
        return sha256

    def forget(self, needed: Callable[[], Collection[str]], before_s: float, most: int) -> int:
        """Remove files that nobody needs; return how many.

        :param needed: asked once no file can come in.
        :param before_s: only what is older [s since 1970]: a job that is being prepared has
            files before it has rows.
        :param most: removes no more at once.
        """
        removed = 0
        with self._lock:
            kept = needed()
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if removed == most:
                        break
                    if entry.name in kept or not entry.is_file(follow_symlinks=False):
                        continue
                    if entry.stat(follow_symlinks=False).st_mtime < before_s:
                        Path(entry.path).unlink()
                        removed += 1
        return removed


def sha256_of(path: Path) -> str:
    """Return a file's hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
