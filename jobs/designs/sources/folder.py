"""A commons that is a folder: a disk, a USB stick, a clone; each design holds a manifest."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from jobs.designs.library import Library
from jobs.designs.sources.source import Listed, Release, ReleaseFile, is_manifest
from jobs.domain.errors import InvalidError, NotFoundError

MIB: Final = 1024 * 1024
_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class FolderLimits:
    """How much of a folder is looked at; a stick may hold anything."""

    depth: int = 8  # folders below the root
    entries: int = 20_000  # looked at
    files: int = 2_000  # of one design
    file_bytes: int = 256 * MIB
    design_bytes: int = 1024 * MIB


class FolderSource:
    """Designs below one folder. Links are never followed, hidden names never read."""

    def __init__(self, root: Path, limits: FolderLimits | None = None) -> None:
        self._root = root
        self._limits = limits or FolderLimits()

    @classmethod
    def open(cls, address: str) -> FolderSource:
        """Return the source for a path.

        :raises NotFoundError: `source.not_found` if it is no folder.
        """
        root = Path(address).expanduser()
        if not root.is_dir():
            raise NotFoundError("source.not_found", source=address)
        return cls(root)

    def list(self) -> list[Listed]:
        """Return the designs; a manifest inside a design belongs to a part, not to another."""
        found: list[Listed] = []
        budget = self._limits.entries
        todo = [self._root]
        while todo and budget > 0:
            folder = todo.pop()
            entries = sorted(_entries(folder), key=lambda entry: entry.name)
            budget -= len(entries)
            manifest = _manifest_of([e.name for e in entries if e.is_file(follow_symlinks=False)])
            where = folder.relative_to(self._root)
            if manifest:
                found.append(Listed(where.as_posix(), manifest))
            elif len(where.parts) < self._limits.depth:
                todo += [Path(e) for e in entries if e.is_dir(follow_symlinks=False)]
        return sorted(found, key=lambda listed: listed.id)

    def fetch(self, design_id: str, library: Library) -> Release:
        """Copy every plain file of a design into *library*."""
        folder = self._folder_of(design_id)
        manifest_name = _manifest_of(
            [e.name for e in _entries(folder) if e.is_file(follow_symlinks=False)]
        )
        if manifest_name is None:
            raise InvalidError("design.no_manifest", field="design", design=design_id)
        files: list[ReleaseFile] = []
        skipped: list[str] = []
        room = self._limits.design_bytes
        for path in sorted(itertools.islice(self._walk(folder), self._limits.entries)):
            name = path.relative_to(folder).as_posix()
            handle = _open_plain(path)
            if handle is None:
                skipped.append(name)
                continue
            with os.fdopen(handle, "rb") as file:
                size = os.fstat(handle).st_size
                if len(files) >= self._limits.files or size > min(self._limits.file_bytes, room):
                    raise InvalidError("design.too_large", field="design", design=design_id)
                stored = library.put_stream(file, min(self._limits.file_bytes, room))
            room -= stored.size_bytes
            files.append(ReleaseFile(name, stored))
        manifest = next((file for file in files if file.path == manifest_name), None)
        if manifest is None:
            raise InvalidError("design.no_manifest", field="design", design=design_id)
        return Release(design_id, str(folder), manifest, tuple(files), tuple(skipped))

    def _folder_of(self, design_id: str) -> Path:
        steps = PurePosixPath(design_id)
        folder = self._root / steps
        # Each step is checked, so that no link on the way leads out of the root.
        inside = not steps.is_absolute() and ".." not in steps.parts
        on_the_way = [self._root.joinpath(*steps.parts[:n]) for n in range(1, len(steps.parts) + 1)]
        if not inside or any(p.is_symlink() for p in on_the_way) or not folder.is_dir():
            raise NotFoundError("design.unknown", design=design_id)
        return folder

    def _walk(self, folder: Path) -> Iterator[Path]:
        """Yield what is no folder below *folder*."""
        todo = [(folder, 0)]
        while todo:
            at, depth = todo.pop()
            for entry in _entries(at):
                if entry.is_dir(follow_symlinks=False):
                    if depth < self._limits.depth:
                        todo.append((Path(entry), depth + 1))
                else:
                    yield Path(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [
                entry
                for entry in found
                if not entry.name.startswith(".") and entry.name not in _SKIPPED_FOLDERS
            ]
    except OSError:
        return []  # a folder that we may not read offers nothing


def _manifest_of(names: list[str]) -> str | None:
    """Return the manifest among *names*: the plain `okh.*` before `okh-part.*`."""
    found = sorted((name for name in names if is_manifest(name)), key=lambda n: (len(n), n))
    return found[0] if found else None


def _open_plain(path: Path) -> int | None:
    """Open a plain file without following a link or waiting for a pipe; None for the rest."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None
