"""How far along a run is by time: the planned seconds at the end of each stream line."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

_SIZE = 4  # float32, little-endian


def program_path(work_dir: Path, sha256: str) -> Path:
    """Return where preparation keeps a finished file by its hash."""
    return work_dir / "programs" / sha256


def planned_share(path: Path, acked: int, total: int) -> float:
    """Return the share, 0 to 1, of the planned time that *acked* of *total* lines stand for.

    By lines where the plan is missing: an account must close without it.
    """
    if acked <= 0 or total <= 0:
        return 0.0
    if acked >= total:
        return 1.0
    try:
        with path.open("rb") as file:
            lines = file.seek(0, 2) // _SIZE
            whole = _at(path, lines - 1) if lines else 0.0
            return min(1.0, _at(path, min(acked, lines) - 1) / whole) if whole > 0 else 0.0
    except OSError:
        return acked / total


def _at(path: Path, line: int) -> float:
    with path.open("rb") as file:
        file.seek(line * _SIZE)
        value = array("f", file.read(_SIZE))
    if sys.byteorder == "big":
        value.byteswap()
    return value[0]
