"""The wire log of one run: every byte both ways with its time, bounded, as it replays.

Text in JSON lines, packed. The first line says what the engine knew when the log began. Then
one group of lines for each call of the session: its first line has `t` [s, monotonic] and
perhaps `do`, what was asked of it; `rx` and `tx` are bytes as latin-1 text, in their order.
A group without bytes is a call in which only time passed, but something came of it.

What is noted stays in memory until `flush`: a disk never stands between a stop and the wire.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path

FLUSH_S = 1.0
FLUSH_CHARACTERS = 32 * 1024
PIECE_BYTES = 2 << 20  # of one file
PIECES = 5  # of one run: its first and its last ones
RUNS = 20  # kept
SUFFIX = ".jsonl.gz"
_AROUND = 24  # characters around the bytes of a note, about
_GZIP = 31  # zlib's word for a file that gunzip reads


class WireLog:
    """Writes the log of one run.

    :param folder: of the machine's logs; made if it is not there.
    :raises OSError: if the disk refuses, here only: later the log ends where it is.
    """

    def __init__(self, folder: Path, run: str, piece_bytes: int = PIECE_BYTES) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._run = run
        self._piece_bytes = piece_bytes
        self._number = 0
        self._size = 0
        # Bytes become text when they are written: many at once cost a fraction of one by one.
        self._notes: list[str | tuple[float | None, str, bytes]] = []
        self._characters = 0  # that the notes will be, about
        self._stamp: float | None = None  # of a call that has noted nothing yet
        self._flush_at = 0.0
        self._file = -1
        forget_old(folder, RUNS - 1)
        self._open()

    def head(self, values: Mapping[str, object]) -> None:
        """Note what was known before the first byte."""
        self._add(json.dumps(values, separators=(",", ":")))

    def at(self, now: float) -> None:
        """Begin a call of the session."""
        self._stamp = now

    def do(self, now: float, word: str, fields: Mapping[str, object] | None = None) -> None:
        """Note what is asked of the session."""
        more = "".join(f",{quoted(k)}:{json.dumps(v)}" for k, v in (fields or {}).items())
        self._add(f'{{"t":{now!r},"do":{quoted(word)}{more}}}')
        self._stamp = None

    def rx(self, data: bytes) -> None:
        """Note what was received."""
        self._note("rx", data)

    def tx(self, data: bytes) -> None:
        """Note what was sent."""
        self._note("tx", data)

    def passed(self) -> None:
        """Note that time passed, and something came of it."""
        if self._stamp is not None:
            self._add(f'{{"t":{self._stamp!r}}}')
            self._stamp = None

    def flush(self, now: float, *, is_last: bool = False) -> None:
        """Write what is due, about once a second; the kernel takes it, nobody waits for a disk."""
        if self._file < 0 or not self._notes:
            return
        if not is_last and self._characters < FLUSH_CHARACTERS and now < self._flush_at:
            return
        self._flush_at = now + FLUSH_S
        text = "".join(f"{_text(note)}\n" for note in self._notes)
        self._notes.clear()
        self._characters = 0
        # Ended on a byte, so that what is on the disk can be read whatever happens next.
        packed = self._packer.compress(text.encode("ascii")) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        try:
            os.write(self._file, packed)
        except OSError:
            self._shut()
            return
        self._size += len(packed)
        if self._size >= self._piece_bytes:
            self._next_piece()

    def close(self) -> None:
        """Write the rest and let go of the file."""
        self.flush(0.0, is_last=True)
        if self._file >= 0:
            os.write(self._file, self._packer.flush())
        self._shut()

    def _note(self, word: str, data: bytes) -> None:
        if self._file >= 0:
            self._notes.append((self._stamp, word, data))
            self._characters += len(data) + _AROUND
        self._stamp = None

    def _add(self, line: str) -> None:
        if self._file >= 0:
            self._notes.append(line)
            self._characters += len(line)

    def _next_piece(self) -> None:
        os.write(self._file, self._packer.flush())
        self._shut()
        self._number += 1
        if self._number >= PIECES:
            # The beginning replays, the end tells what went wrong: the middle may go.
            self._path(self._number - PIECES + 1).unlink(missing_ok=True)
        self._open()
        if self._number >= PIECES:
            self._add('{"gap":true}')

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path(self._number), flags, 0o640)
        self._size = 0
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)

    def _shut(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._run}.{number:04d}{SUFFIX}"


def _text(note: str | tuple[float | None, str, bytes]) -> str:
    if isinstance(note, str):
        return note
    at, word, data = note
    stamp = "" if at is None else f'"t":{at!r},'
    return f'{{{stamp}"{word}":{quoted(data.decode("latin-1"))}}}'


def pieces(folder: Path, run: str) -> list[Path]:
    """Return the files of a run's log in their order; one after the other they are one file."""
    return sorted(folder.glob(f"{run}.[0-9][0-9][0-9][0-9]{SUFFIX}"))


def forget_old(folder: Path, runs: int) -> None:
    """Delete the logs of all but the newest *runs* runs."""
    newest: dict[str, float] = {}
    for path in folder.glob(f"*{SUFFIX}"):
        run = path.name.partition(".")[0]
        newest[run] = max(newest.get(run, 0.0), path.stat().st_mtime)
    for run in sorted(newest, key=lambda name: newest[name])[: max(len(newest) - runs, 0)]:
        for path in pieces(folder, run):
            path.unlink(missing_ok=True)
