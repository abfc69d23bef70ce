"""Kinds of commons that designs can come from; one module and one line in `SOURCES` each."""

from collections.abc import Callable, Mapping
from typing import Final

from jobs.designs.sources.folder import FolderSource
from jobs.designs.sources.source import Listed, Release, ReleaseFile, Source

SOURCES: Final[Mapping[str, Callable[[str], Source]]] = {
    "folder": FolderSource.open,
}

__all__ = ["SOURCES", "FolderSource", "Listed", "Release", "ReleaseFile", "Source"]
