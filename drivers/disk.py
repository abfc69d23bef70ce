"""What a journal asks of disk and memory, so that tests may cut the power between any two words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from drivers.lasting import forget, lasting


class Disk(Protocol):
    """Files by descriptor. Nothing is safe before `sync`, and no name before `sync_folder`."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file, made anew for us alone with O_CREAT."""

    def close(self, file: int) -> None:
        """Let go of a file."""

    def write(self, file: int, data: bytes | memoryview) -> int:
        """Write at the end or where it stands; return how many bytes were taken."""

    def write_at(self, file: int, data: bytes, offset: int) -> None:
        """Write in place."""

    def read_at(self, file: int, size: int, offset: int) -> bytes:
        """Read in place; less than *size* at the end of the file."""

    def read_all(self, path: Path) -> bytes:
        """Read a whole file."""

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""

    def sync(self, file: int) -> None:
        """Return when the content of a file is safe."""

    def replace(self, old: Path, new: Path) -> None:
        """Give a file another name, whoever had that before."""

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are safe."""

    def lasting(self, folder: Path, size: int) -> memoryview | None:
        """Return the folder's memory, which outlives the process and not a power cut.

        None if there is none to be had.
        """

    def forget(self, folder: Path) -> None:
        """Give the folder's memory back."""


class RealDisk:
    """The disk of this machine."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def close(self, file: int) -> None:
        os.close(file)

    def write(self, file: int, data: bytes | memoryview) -> int:
        return os.write(file, data)

    def write_at(self, file: int, data: bytes, offset: int) -> None:
        os.pwrite(file, data, offset)

    def read_at(self, file: int, size: int, offset: int) -> bytes:
        return os.pread(file, size, offset)

    def read_all(self, path: Path) -> bytes:
        return path.read_bytes()

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def replace(self, old: Path, new: Path) -> None:
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def lasting(self, folder: Path, size: int) -> memoryview | None:
        return lasting(folder, size)

    def forget(self, folder: Path) -> None:
        forget(folder)
