"""Files of designs, kept by the hash of their bytes: the same file twice is one file.

    <root>/files/ab/abcdef…    read-only, complete, named by its SHA-256
    <root>/incoming/           what is being written; swept at start

A file appears under its name only when all of it is on disk, and is never written again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from jobs.domain.errors import InvalidError, NotFoundError

_CHUNK_BYTES: Final = 1024 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the library."""

    sha256: str
    size_bytes: int


class Library:
    """The store of one node.

    :param root: is made if it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"
        for folder in (self._files, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> int:
        """Delete what a crash left half written; return how many. Only while nobody writes."""
        left = list(self._incoming.iterdir())
        for path in left:
            path.unlink()
        return len(left)

    def put_stream(self, source: BinaryIO, limit_bytes: int) -> StoredFile:
        """Store what *source* still holds.

        :raises InvalidError: `file.too_large` once more than *limit_bytes* have come.
        """
        digest = hashlib.sha256()
        size = 0
        handle, name = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    size += len(chunk)
                    if size > limit_bytes:
                        raise InvalidError("file.too_large", field="file", limit_bytes=limit_bytes)
                    digest.update(chunk)
                    target.write(chunk)
                os.fchmod(target.fileno(), 0o444)
                target.flush()
                os.fsync(target.fileno())
            self._keep(Path(name), digest.hexdigest())
        finally:
            Path(name).unlink(missing_ok=True)
        return StoredFile(digest.hexdigest(), size)

    def put_bytes(self, data: bytes) -> StoredFile:
        """Store *data*."""
        return self.put_stream(io.BytesIO(data), len(data))

    def path(self, sha256: str) -> Path:
        """Return where the file lies; for reading only.

        :raises NotFoundError: `file.unknown` if the library does not have it.
        """
        path = self._place(sha256)
        if not path.is_file():
            raise NotFoundError("file.unknown", sha256=sha256)
        return path

    def has(self, sha256: str) -> bool:
        """Tell whether the file is here."""
        return self._place(sha256).is_file()

    def drop(self, sha256: str) -> bool:
        """Remove a file that nobody needs; return whether it was here."""
        try:
            self._place(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def _place(self, sha256: str) -> Path:
        # The hash may come from an address or a message: it must not become a path elsewhere.
        if not _SHA256.fullmatch(sha256):
            raise NotFoundError("file.unknown", sha256=sha256[:64])
        return self._files / sha256[:2] / sha256

    def _keep(self, written: Path, sha256: str) -> None:
        place = self._place(sha256)
        place.parent.mkdir(exist_ok=True)
        # link, not rename: it refuses to overwrite, and who came first wins.
        with contextlib.suppress(FileExistsError):
            place.hardlink_to(written)
        _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def release_hash(manifest_sha256: str, files: Iterable[tuple[str, str]]) -> str:
    """Return the name of a release: its manifest and every file, by path and hash.

    :param files: (path, sha256) of each file; their order does not matter.

    >>> a = release_hash("00", [("b.stl", "22"), ("a.stl", "11")])
    >>> a == release_hash("00", [("a.stl", "11"), ("b.stl", "22")])
    True
    """
    digest = hashlib.sha256(b"fabnode release 1\n")
    digest.update(f"{manifest_sha256}\n".encode())
    for path, sha256 in sorted(files):
        digest.update(f"{sha256} {len(path.encode())} {path}\n".encode())
    return digest.hexdigest()
