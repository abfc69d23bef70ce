"""What happened to each run, on disk: facts until they are acknowledged, and how far it came.

Two files in one folder. `journal.jsonl` is append-only between compactions; each line is
guarded by a checksum and the first bad line ends the file, so a torn tail costs only itself.
How far a run is, is noted in memory that outlives the process (`drivers.mark`) and written into
`progress.bin` at each sync: two fixed slots, of which what the last sync has made safe is never
written over before the next one, so one of them is always whole. After a power cut that memory
is gone and both slots are as of that sync or later: a lower bound. Where there is no such memory,
`progress.bin` is written at each note.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.disk import Disk, RealDisk
from drivers.errors import WireError
from drivers.mark import MAX_RUN_BYTES, SIZE, Mark, Progress, Step, Word
from drivers.wire import HostEvent, object_of, text_of, whole_of

MAX_FACTS = 1000  # not acknowledged, of all runs
MAX_RUN_FACTS = 200  # of one run, its end not counted
MAX_FACT_BYTES = 4096
COMPACT_BYTES = 128 * 1024
SYNC_EVERY_S = 1.0
QUICK_S = 0.020  # a stop may wait for the disk so long; p99 of it is 50 ms
SYNC_SHARE = 200  # a slower disk may hold the loop for 1/200 of the time, or that p99 is lost

_SLOT_BYTES = 512  # one sector: a slot is torn alone
_SLOT = struct.Struct("<4sQB64sIIIIQ")
_MAGIC = b"fnP2"
_OWNER_AT, _OWNER_BYTES = 2 * _SLOT_BYTES, 8  # says which memory belongs to these slots


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has begun and not ended.

    :param seq: number of its last fact.
    :param fields: those of its first fact, such as the hash of its program.
    """

    run: str
    seq: int
    fields: Mapping[str, object]


class Journal:
    """The journal of one machine; one process holds it at a time.

    :param folder: must exist; the files are made in it.
    :param disk: another one in tests.
    :param compact_bytes: written anew without what is acknowledged, when it is longer by that.
    :raises OSError: if the disk refuses.
    """

    def __init__(
        self, folder: Path, disk: Disk | None = None, compact_bytes: int = COMPACT_BYTES
    ) -> None:
        self._compact_bytes = compact_bytes
        self._disk = disk or RealDisk()
        self._folder = folder
        self._path = folder / "journal.jsonl"
        self._kept: list[tuple[HostEvent, bytes]] = []  # each with its line
        self._open: OpenRun | None = None
        self._wrote_slot = False  # since the last sync
        self.discarded_bytes = 0  # of a torn or damaged tail, found at the start
        self._file = self._disk.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._slots = self._disk.open(folder / "progress.bin", os.O_RDWR | os.O_CREAT)
        # A file is safe only when its name is.
        self._disk.sync_folder(folder)
        self._size = self._read()
        self._turn, found, self._safe = _read_slots(self._disk, self._slots)
        self._mark = self._remember()
        if self._mark is not None:
            turn, noted = self._mark.found()
            if turn >= self._turn and noted is not None:
                self._turn, found = turn, noted
        # How far the run is: as it was found, or the step that the word of the mark says.
        self._found = found
        self._steps: Sequence[Step] = []
        self._word: Word = [0] if self._mark is None else self._mark.word
        self._base = self._word[0]
        # What was read may be in memory only, left there by a process that was killed.
        self._dirty = self._size > 0
        self._sync_after = 0.0

    def close(self) -> None:
        """Sync and let go of the files."""
        if self._file >= 0:
            self._sync()
            self._disk.close(self._file)
            self._disk.close(self._slots)
            self._file = -1
            if self._mark is not None:
                self._disk.forget(self._folder)

    @property
    def open_run(self) -> OpenRun | None:
        """The run that has begun and not ended."""
        return self._open

    @property
    def progress(self) -> Progress | None:
        """How far the open run has come; None outside a run."""
        if self._open is None:
            return None
        if (noted := self._noted) is None or noted.run != self._open.run:
            return Progress(self._open.run)
        return noted

    @property
    def last_run(self) -> str:
        """The run that was begun last, open or over; "" if there never was one."""
        return noted.run if (noted := self._noted) is not None else ""

    @property
    def _noted(self) -> Progress | None:
        if self._found is None or not self._steps:
            return self._found
        acked, sent, line, offset = self._steps[self._word[0] - self._base]
        return Progress(self._found.run, acked, sent, self._found.total, line, offset)

    @property
    def is_full(self) -> bool:
        """Nobody has acknowledged for so long that no new run may begin."""
        return len(self._kept) >= MAX_FACTS // 2

    def facts(self, run: str = "", after: int = 0) -> list[HostEvent]:
        """Return what is not acknowledged, oldest first, without *run*'s up to *after*."""
        return [fact for fact, _ in self._kept if fact.run != run or fact.seq > after]

    def begin(self, run: str, kind: str, fields: Mapping[str, object], at_us: int) -> HostEvent:
        """Open a run with its first fact, on disk before this returns.

        :raises ValueError: if a run is open or the name is unfit; the caller asks first.
        """
        if self._open is not None or not 0 < len(run.encode()) <= MAX_RUN_BYTES:
            raise ValueError(run)
        kept, before = len(self._kept), self._noted
        self._open = OpenRun(run, 0, dict(fields))
        try:
            fact = self._append(kind, fields, at_us, ends=False)
            self.advance(Progress(run))
            self._sync()
        except OSError:
            # A run that cannot be written down does not begin.
            del self._kept[kept:]
            self._open = None
            self._found, self._steps = before, []
            raise
        return fact

    def record(
        self, kind: str, fields: Mapping[str, object], at_us: int, *, ends: bool = False
    ) -> HostEvent | None:
        """Keep a fact of the open run; None if none is open or too many are kept.

        The end of a run is always kept, and is on disk before this returns.
        """
        if self._open is None:
            return None
        if not ends and (self._open.seq >= MAX_RUN_FACTS or self.is_full):
            return None
        fact = self._append(kind, fields, at_us, ends=ends)
        if ends:
            self._open = None
            self._sync()
        return fact

    def advance(self, progress: Progress) -> None:
        """Note how far the open run has come; survives SIGKILL from here on."""
        run, acked, sent, total, line, offset = progress
        if self.expect(run, total, [(acked, sent, line, offset)]) is None:
            self._turn += 1
            self._write_slot(progress)
            self._found = progress
            self._dirty = True

    def expect(self, run: str, total: int, steps: Sequence[Step]) -> tuple[Word, int] | None:
        """Note the first of *steps*, and have the others at hand, until anything is noted anew.

        :param steps: of the open run, at most `drivers.mark.ROWS`.
        :returns: a word and a base: base + n, stored in its first place, notes the nth of them,
            which survives SIGKILL from there on. None, and nothing is noted, if each note needs
            the disk here.
        """
        if self._mark is None:
            return None
        self._turn += 1
        self._base = self._mark.expect(self._turn, run, total, steps)
        self._found, self._steps = Progress(run, total=total), steps
        self._dirty = True
        return self._word, self._base

    def ack(self, run: str, seq: int) -> bool:
        """Forget the facts of *run* up to *seq*; False if there were none."""
        if not self._forget(run, seq):
            return False
        # Not synced: an acknowledgement lost in a power cut costs one repetition,
        # which the node knows by its (run, seq).
        self._write(_line({"ack": {"run": run, "seq": seq}}))
        self._compact_if_long()
        return True

    def sync(self, now: float) -> None:
        """Bring progress to the disk, at most once a second and as seldom as a slow disk needs.

        :param now: monotonic time [s].
        """
        if not self._dirty or now < self._sync_after:
            return
        self._sync_after = now + SYNC_EVERY_S  # also if the disk refuses
        began = time.monotonic()
        self._sync()
        took = time.monotonic() - began
        self._sync_after = now + max(SYNC_EVERY_S, SYNC_SHARE * took if took > QUICK_S else 0.0)

    def deadline(self) -> float | None:
        """Return when `sync` should be called [s]; None while all is on the disk."""
        return self._sync_after if self._dirty else None

    def _sync(self) -> None:
        # Facts first: progress of a run that nobody has heard of would say nothing.
        self._disk.sync(self._file)
        if self._mark is not None and (noted := self._noted) is not None:
            self._write_slot(noted)
        self._disk.sync(self._slots)
        if self._wrote_slot:
            self._safe, self._wrote_slot = 1 - self._safe, False
        self._dirty = False

    def _write_slot(self, progress: Progress) -> None:
        run, *numbers = progress
        name = run.encode()
        packed = _SLOT.pack(_MAGIC, self._turn, len(name), name, *numbers)
        packed += zlib.crc32(packed).to_bytes(4, "little")
        self._disk.write_at(self._slots, packed, _SLOT_BYTES * (1 - self._safe))
        self._wrote_slot = True

    def _remember(self) -> Mark | None:
        """Return the mark in lasting memory, if there is such memory."""
        memory = self._disk.lasting(self._folder, SIZE)
        owner = self._disk.read_at(self._slots, _OWNER_BYTES, _OWNER_AT)
        if memory is not None and (len(owner) < _OWNER_BYTES or not any(owner)):
            # What lies there is of an earlier folder of that name.
            owner = os.urandom(_OWNER_BYTES)
            try:
                self._disk.write_at(self._slots, owner, _OWNER_AT)
            except OSError:
                return None  # a full disk: no run begins, but the machine is watched
        return Mark(memory, owner) if memory is not None else None

    def _append(
        self, kind: str, fields: Mapping[str, object], at_us: int, *, ends: bool
    ) -> HostEvent:
        assert self._open is not None
        self._open = replace(self._open, seq=self._open.seq + 1)
        fact = HostEvent(self._open.run, self._open.seq, at_us, kind, dict(fields))
        line = _line({"fact": fact.to_json(), "ends": ends})
        if len(line) > MAX_FACT_BYTES:
            fact = replace(fact, fields={"shortened": True})
            line = _line({"fact": fact.to_json(), "ends": ends})
        self._kept.append((fact, line))
        self._dirty = True
        self._write(line)
        return fact

    def _forget(self, run: str, seq: int) -> bool:
        before = len(self._kept)
        self._kept = [(f, line) for f, line in self._kept if f.run != run or f.seq > seq]
        return len(self._kept) < before

    def _write(self, line: bytes) -> None:
        try:
            self._size += _write_all(self._disk, self._file, line)
        except OSError:
            # Half a line on a full disk would hide every later one from the reader.
            self._disk.truncate(self._file, self._size)
            raise

    def _compact_if_long(self) -> None:
        lines = [line for _, line in self._kept]
        if self._size <= self._compact_bytes + 2 * sum(map(len, lines)):
            return
        if self._open is not None:
            opened = {"run": self._open.run, "seq": self._open.seq, "fields": self._open.fields}
            lines.append(_line({"open": opened}))
        beside = self._path.with_suffix(".new")
        disk = self._disk
        file = disk.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        try:
            size = _write_all(disk, file, b"".join(lines))
            disk.sync(file)
            disk.replace(beside, self._path)
        except OSError:
            # The long file is as good as the short one; only the next try costs again.
            disk.close(file)
            raise
        disk.close(self._file)
        self._file, self._size = file, size
        disk.sync_folder(self._path.parent)

    def _read(self) -> int:
        """Take in the valid prefix, cut off the rest; return its size [bytes]."""
        data = self._disk.read_all(self._path)
        good = 0
        while (end := data.find(b"\n", good)) >= 0:
            try:
                self._take(_checked(data[good:end]))
            except (WireError, ValueError):
                break
            good = end + 1
        self.discarded_bytes = len(data) - good
        if self.discarded_bytes:
            self._disk.truncate(self._file, good)
            # Else what is written next could come to lie before a whole line of that tail.
            self._disk.sync(self._file)
        return good

    def _take(self, entry: dict[str, object]) -> None:
        if "ack" in entry:
            ack = object_of(entry, "ack")
            run, seq = text_of(ack, "run"), whole_of(ack, "seq")
            self._forget(run, seq)
        elif "open" in entry:
            opened = object_of(entry, "open")
            self._open = OpenRun(
                text_of(opened, "run"), whole_of(opened, "seq"), object_of(opened, "fields")
            )
        else:
            fact = HostEvent.from_json(object_of(entry, "fact"))
            if self._open is None or self._open.run != fact.run:
                self._open = OpenRun(fact.run, 0, fact.fields)
            if fact.seq <= self._open.seq:
                raise ValueError("a fact comes twice")
            self._open = replace(self._open, seq=fact.seq)
            self._kept.append((fact, _line(entry)))
            if entry.get("ends") is True:
                self._open = None


def _line(entry: Mapping[str, object]) -> bytes:
    body = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _checked(line: bytes) -> dict[str, object]:
    """Return the entry of a line.

    :raises ValueError: if its checksum does not hold.
    """
    if line[8:9] != b" " or b"%08x" % zlib.crc32(line[9:]) != line[:8]:
        raise ValueError("checksum")
    entry = json.loads(line[9:])
    if not isinstance(entry, dict):
        raise ValueError("not an object")  # noqa: TRY004  one kind of damage for the reader
    return entry


def _write_all(disk: Disk, file: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[disk.write(file, view) :]
    return len(data)


def _read_slots(disk: Disk, file: int) -> tuple[int, Progress | None, int]:
    """Return the newest whole slot with its turn and place; (0, None, 1) if there is none."""
    newest: tuple[int, Progress | None, int] = (0, None, 1)
    for place in (0, 1):
        packed = disk.read_at(file, _SLOT.size + 4, _SLOT_BYTES * place)
        body, check = packed[: _SLOT.size], packed[_SLOT.size :]
        if len(check) < 4 or zlib.crc32(body).to_bytes(4, "little") != check:
            continue
        magic, turn, length, run, *numbers = _SLOT.unpack(body)
        if magic == _MAGIC and turn > newest[0]:
            newest = (turn, Progress(run[:length].decode(errors="replace"), *numbers), place)
    return newest
