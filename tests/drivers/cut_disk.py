"""A disk in memory whose power may be cut: it gives every image that may then be found.

What was synced is safe. What was written since may be there or not, each write on its own, whole
or torn at any byte, in any order; a file may have grown without its content, which then reads as
zeros. Names since the last `sync_folder` may be the old ones or the new, in the order they were
given.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Pick = Callable[[int, int], int]  # a whole number from a range, both ends included


@dataclass
class Node:
    """One file: what is safe, what is seen, and what was done since it was safe."""

    safe: bytes = b""
    seen: bytearray = field(default_factory=bytearray)
    # Each: where, and what; None for a cut to that length.
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def put(self, offset: int, data: bytes) -> None:
        _put(self.seen, offset, data)
        self.since.append((offset, bytes(data)))

    def cut(self, size: int) -> None:
        del self.seen[size:]
        self.since.append((size, None))

    def sync(self) -> None:
        self.safe = bytes(self.seen)
        self.since.clear()

    def found(self, pick: Pick) -> bytes:
        """Return what may be found of it after a power cut."""
        content = bytearray(self.safe)
        for offset, data in self.since:
            how = pick(0, 3)  # lost, whole, torn, or only the length of the file
            if data is None:
                if how:
                    del content[offset:]
            elif how == 1:
                _put(content, offset, data)
            elif how == 2:
                begin = pick(0, len(data))
                end = pick(begin, len(data))
                _put(content, offset + begin, data[begin:end])
            elif how == 3:
                _put(content, len(content), b"\0" * max(0, offset + len(data) - len(content)))
        return bytes(content)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(b"\0" * (offset - len(content)))
    content[offset : offset + len(data)] = data


class CutDisk:
    """Files by descriptor, in memory; see `drivers.disk.Disk`."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._names: dict[str, Node] = {
            name: Node(data, bytearray(data)) for name, data in (files or {}).items()
        }
        self._safe_names = dict(self._names)
        self._renames: list[dict[str, Node]] = []  # the names after each change since
        self._open: dict[int, tuple[Node, bool]] = {}
        self._next = 3
        self.synced = 0  # files, so far
        self.has_lasting = True
        self._lasting: dict[Path, bytearray] = {}  # the memory of folders

    def open(self, path: Path, flags: int) -> int:
        node = self._names.get(path.name)
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(path.name)
            node = Node()
            self._rename({**self._names, path.name: node})
        elif flags & os.O_TRUNC:
            node.cut(0)
        self._next += 1
        self._open[self._next] = (node, bool(flags & os.O_APPEND))
        return self._next

    def close(self, file: int) -> None:
        del self._open[file]

    def write(self, file: int, data: bytes | memoryview) -> int:
        node, appends = self._open[file]
        assert appends, "nothing here writes where a file stands"
        node.put(len(node.seen), bytes(data))
        return len(data)

    def write_at(self, file: int, data: bytes, offset: int) -> None:
        self._open[file][0].put(offset, data)

    def read_at(self, file: int, size: int, offset: int) -> bytes:
        return bytes(self._open[file][0].seen[offset : offset + size])

    def read_all(self, path: Path) -> bytes:
        return bytes(self._names[path.name].seen)

    def truncate(self, file: int, size: int) -> None:
        self._open[file][0].cut(size)

    def sync(self, file: int) -> None:
        self._open[file][0].sync()
        self.synced += 1

    def replace(self, old: Path, new: Path) -> None:
        names = dict(self._names)
        names[new.name] = names.pop(old.name)
        self._rename(names)

    def sync_folder(self, folder: Path) -> None:
        self._safe_names = dict(self._names)
        self._renames.clear()

    def lasting(self, folder: Path, size: int) -> memoryview | None:
        if not self.has_lasting:
            return None
        return memoryview(self._lasting.setdefault(folder, bytearray(size)))

    def forget(self, folder: Path) -> None:
        self._lasting.pop(folder, None)

    def cut(self, pick: Pick) -> CutDisk:
        """Return the disk as it may be found after a power cut now."""
        names = [self._safe_names, *self._renames][pick(0, len(self._renames))]
        disk = CutDisk({name: node.found(pick) for name, node in names.items()})
        disk.has_lasting = self.has_lasting
        return disk

    def killed(self) -> CutDisk:
        """Return the disk as the next process finds it if this one is killed now."""
        disk = CutDisk()
        for name, node in self._names.items():
            disk._names[name] = node
        disk._safe_names, disk._renames = self._safe_names, list(self._renames)
        disk.has_lasting, disk._lasting = self.has_lasting, self._lasting
        return disk

    def _rename(self, names: dict[str, Node]) -> None:
        self._names = names
        self._renames.append(names)
