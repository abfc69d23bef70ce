"""Designs from the commons: what they say of themselves, what may be done with them, their files.

`describe` reads a manifest in a worker; `Library` keeps files by their hash; `SOURCES` lists the
kinds of commons that designs can come from.
"""

from jobs.designs.describe import describe, example_folder
from jobs.designs.library import Library, StoredFile, release_hash

__all__ = ["Library", "StoredFile", "describe", "example_folder", "release_hash"]
