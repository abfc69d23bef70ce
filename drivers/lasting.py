"""Memory that outlives the process: a file in the kernel's memory, gone with the power.

A store into it is no call of the kernel and cannot fail, whatever becomes of the disk: all its
pages are there from the beginning.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from pathlib import Path

PLACE = Path("/dev/shm")
_HEAD = 4096  # bytes that name the folder whose memory it is


def lasting(folder: Path, size: int, place: Path = PLACE) -> memoryview | None:
    """Return the memory that belongs to a folder, zeros at first; None if none is to be had.

    :param size: always the same for one folder [bytes].
    :param place: where such memory has its names.
    """
    try:
        if not _is_memory(place):
            return None
        _sweep(place)
        file = _open(_path(folder, place), _HEAD + size)
        try:
            os.pwrite(file, os.fsencode(folder.resolve())[:_HEAD].ljust(_HEAD, b"\0"), 0)
            return memoryview(mmap.mmap(file, _HEAD + size))[_HEAD:]
        finally:
            os.close(file)
    except OSError:
        return None


def forget(folder: Path, place: Path = PLACE) -> None:
    """Give the memory of a folder back; whoever still uses it keeps it."""
    _path(folder, place).unlink(missing_ok=True)


def _is_memory(place: Path) -> bool:
    # On a disk that fails or is full a store kills the process.
    mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    return any(line.split()[1:3] == [str(place), "tmpfs"] for line in mounts.splitlines())


def _path(folder: Path, place: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return place / f"fabnode-{os.geteuid()}-{name}"


def _open(path: Path, size: int) -> int:
    """Return the file, ours alone and with all its pages.

    :raises OSError: if it is somebody else's, or memory is short.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(path)
        if found.st_size != size:
            os.ftruncate(file, 0)
        os.posix_fallocate(file, 0, size)
    except OSError:
        os.close(file)
        raise
    return file


def _sweep(place: Path) -> None:
    """Give back what belongs to folders that are no more."""
    for path in place.glob(f"fabnode-{os.geteuid()}-*"):
        with path.open("rb") as file:
            folder = os.fsdecode(file.read(_HEAD).rstrip(b"\0"))
        if folder and not Path(folder).is_dir():
            path.unlink(missing_ok=True)
