"""What every commons can do: list its designs and bring one into the library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from jobs.designs.library import Library, StoredFile, release_hash

# The names that the specifications and the IoP Alliance's crawler know.
_MANIFEST: Final = re.compile(
    r"(.+\.)?okh([_\-:.][^/]*)?\.(toml|ya?ml|json)|okh-manifest\.json", re.IGNORECASE
)


def is_manifest(name: str) -> bool:
    """Tell whether a file of this name is an Open Know-How manifest.

    >>> [is_manifest(name) for name in ("okh.toml", "okh-Ring.toml", "hook.okh.yml", "book.toml")]
    [True, True, True, False]
    """
    return _MANIFEST.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """A design that a commons offers; `id` is the commons' own name of it."""

    id: str
    manifest: str  # the manifest's path in the design


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release: its path in the design, relative, with `/`, and what is stored."""

    path: str
    stored: StoredFile


@dataclass(frozen=True, slots=True)
class Release:
    """One state of a design, all its files in the library. Nothing of it has been read yet.

    :param origin: where it came from, for the record.
    :param skipped: paths that were left out: links, unreadable, too many or too large.
    """

    id: str
    origin: str
    manifest: ReleaseFile
    files: tuple[ReleaseFile, ...]  # the manifest among them
    skipped: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Return the name of this very state."""
        return release_hash(
            self.manifest.stored.sha256, [(file.path, file.stored.sha256) for file in self.files]
        )

    @property
    def paths(self) -> list[str]:
        """Return the paths of all files."""
        return [file.path for file in self.files]


class Source(Protocol):
    """A commons."""

    def list(self) -> list[Listed]:
        """Return what it offers, in the order of the ids."""
        ...

    def fetch(self, design_id: str, library: Library) -> Release:
        """Bring a design into *library*.

        :raises NotFoundError: `design.unknown`.
        :raises InvalidError: `design.no_manifest`, `design.too_large`.
        """
        ...
