"""Keep the node small: what was freed goes back to the computer.

The C library keeps freed memory for later. After templates were compiled, or a large answer was
built, that is a tenth of the whole node, on a computer that may have half a gigabyte.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# Of `mallopt(3)`: threads share one heap. They take turns for the interpreter's lock anyhow.
_M_ARENA_MAX: Final = -8


def share_one_heap() -> None:
    """Have threads share one heap; call it before the first of them starts."""
    if (mallopt := _call("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return freed memory to the computer; takes a few milliseconds."""
    if (trim := _call("malloc_trim")) is not None:
        trim(0)


def set_aside() -> None:
    """Take what is there once the node has started out of every later search for garbage.

    It stays for ever, and to look through all of it stops every page for a tenth of a second.
    """
    gc.collect()
    gc.freeze()


def _call(name: str) -> ctypes._NamedFuncPointer | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)  # another C library has none of them
    except OSError:
        return None
