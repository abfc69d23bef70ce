"""A neutral link: a pty with a cable of given speed and delay, and a board that costs no time.

The board knows only what every line protocol of this family shares: it checks number and
checksum, takes lines from an RX ring into a few command slots, and answers each with `ok`. It is
nobody's firmware, so no host is at home here. Run as a process of its own:

    python model.py LINK --baud 250000 --latency-ms 1 [--advanced]

It prints one JSON object when told to end: how many program lines came, in which time, and whether
each came once, in order and whole. The clock begins with the first move and ends with the last.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import signal
import sys
import termios
import time
import tty
from collections import deque
from pathlib import Path

RING_BYTES = 127  # of a ring of 128
SLOTS = 4
SPIN_S = 0.0002  # what is due sooner is waited for without sleeping: timers are coarser than a line
LOOK_S = 0.5  # between two looks whether it is over
CLAIM = re.compile(rb"N(-?\d+) ?(.*)\*(\d+)$")
HEAT = b"ok T:21.0 /0.0 B:21.0 /0.0 @:0 B@:0\n"
GREETING = b"FIRMWARE_NAME:Neutral 1.0 PROTOCOL_VERSION:1.0 MACHINE_TYPE:Link EXTRUDER_COUNT:1\n"


class Board:
    """What stands at the far end of the cable."""

    def __init__(self, *, advanced: bool) -> None:
        self._advanced = advanced
        self._last = 0
        self.moves: list[float] = []  # when each program line was taken [s]
        self.sizes: list[int] = []  # its bytes on the wire
        self.seen: list[bytes] = []
        self.resends = 0

    def take(self, wire: bytes, at: float) -> bytes:
        """Return the answer to one line."""
        text = wire.strip()
        number = -1
        if text[:1] == b"N":
            claim = CLAIM.match(text)
            if claim is None or _checksum(text) != int(claim[3]):
                return self._refuse()
            number, body = int(claim[1]), claim[2].strip()
            if body.startswith(b"M110"):
                self._last = number
                return b"ok\n"
            if number != self._last + 1:
                return self._refuse()
            self._last, text = number, body
        if not text:
            return b""
        if text.startswith(b"G1"):
            self.moves.append(at)
            self.sizes.append(len(wire))
            self.seen.append(text)
        if text.startswith(b"M105"):
            return HEAT
        if text.startswith(b"M115"):
            # A board that tells its free places also sees a stop behind a full queue.
            return GREETING + b"Cap:EMERGENCY_PARSER:%d\nok\n" % self._advanced
        if self._advanced:
            named = b" N%d" % number if number >= 0 else b""
            return b"ok%s P15 B%d\n" % (named, SLOTS - 1)
        return b"ok\n"

    def _refuse(self) -> bytes:
        self.resends += 1
        last = self._last
        return b"Error:checksum mismatch, Last Line: %d\nResend: %d\nok\n" % (last, last + 1)


class Cable:
    """Bytes under way in both directions, each with the instant at which it arrives."""

    def __init__(self, master: int, baud: int, latency_s: float, board: Board) -> None:
        self._master = master
        self._byte_s = 10.0 / baud if baud else 0.0
        self._latency_s = latency_s
        self._board = board
        self._out_free = self._back_free = 0.0
        self._partial = b""
        self._coming: deque[tuple[float, bytes]] = deque()  # lines towards the board
        self._going: deque[tuple[float, bytes]] = deque()  # answers towards the host
        self.overflowed = 0

    def run(self, is_over: list[bool]) -> None:
        """Carry bytes until told to end."""
        master = self._master
        while not is_over:
            now = time.monotonic()
            if said := self.arrived(now):
                os.write(master, said)
            soonest = self.deadline()
            wait = LOOK_S if soonest is None else min(soonest - time.monotonic(), LOOK_S)
            if select.select([master], [], [], wait if wait > SPIN_S else 0.0)[0]:
                self.carry(os.read(master, 4096), time.monotonic())

    def deadline(self) -> float | None:
        """Return when the next thing happens [s]."""
        return min((queue[0][0] for queue in (self._coming, self._going) if queue), default=None)

    def arrived(self, now: float) -> bytes:
        """Return what has reached the host by *now*, for a host that lives in virtual time."""
        while self._coming and self._coming[0][0] <= now:
            at, line = self._coming.popleft()
            self._answer(line, at)
        due = []
        while self._going and self._going[0][0] <= now:
            due.append(self._going.popleft()[1])
        return b"".join(due)

    def carry(self, data: bytes, now: float) -> None:
        """Take bytes that the host has put on the wire at *now*."""
        start = max(now, self._out_free)
        *lines, rest = data.split(b"\n")
        at = start
        for line in lines:
            at += (len(line) + 1) * self._byte_s
            whole = self._partial + line + b"\n"
            self._partial = b""
            if len(whole) > RING_BYTES:
                self.overflowed += len(whole) - RING_BYTES
            self._coming.append((at + self._latency_s, whole))
        self._partial += rest
        self._out_free = at + len(rest) * self._byte_s

    def _answer(self, line: bytes, at: float) -> None:
        if not (answer := self._board.take(line, at)):
            return
        start = max(at, self._back_free)
        self._back_free = start + len(answer) * self._byte_s
        self._going.append((self._back_free + self._latency_s, answer))


def _checksum(line: bytes) -> int:
    total = 0
    for byte in line.rpartition(b"*")[0]:
        total ^= byte
    return total


def report(board: Board, cable: Cable) -> dict[str, object]:
    """Return what came, for the bench to judge."""
    count = len(board.moves)
    took = board.moves[-1] - board.moves[0] if count > 1 else 0.0
    return {
        "lines": count,
        "lines_per_s": (count - 1) / took if took else 0.0,
        "line_bytes": sum(board.sizes) / count if count else 0.0,
        # A host may leave out the blanks that no firmware needs.
        "each_line_once": [text.replace(b" ", b"") for text in board.seen]
        == [move(index).replace(b" ", b"") for index in range(count)],
        "blanks_left_out": len(move(0)) - sum(map(len, board.seen)) / count if count else 0.0,
        "resends": board.resends,
        "overflowed_bytes": cable.overflowed,
    }


def move(index: int) -> bytes:
    """Return program line *index*: a move as slicers write them, always 29 bytes."""
    return b"G1 X%07.3f Y%07.3f E%.5f" % (
        100.0 + index * 0.001 % 90.0,
        100.0 + index * 0.0005 % 90.0,
        index * 0.00001 % 9.0,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description="A cable with a board that costs no time.")
    arguments.add_argument("link", type=Path)
    arguments.add_argument("--baud", type=int, default=0, help="0: no limit")
    arguments.add_argument("--latency-ms", type=float, default=0.0, help="one way")
    arguments.add_argument("--advanced", action="store_true", help="answer with ADVANCED_OK")
    given = arguments.parse_args()
    master, slave = pty.openpty()
    tty.setraw(slave)
    flags = termios.tcgetattr(slave)
    flags[2] &= ~termios.HUPCL
    termios.tcsetattr(slave, termios.TCSANOW, flags)
    given.link.unlink(missing_ok=True)
    given.link.symlink_to(os.ttyname(slave))
    is_over: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.append(True))
    board = Board(advanced=given.advanced)
    cable = Cable(master, given.baud, given.latency_ms / 1000.0, board)
    cable.run(is_over)
    given.link.unlink(missing_ok=True)
    json.dump(report(board, cable), sys.stdout)


if __name__ == "__main__":
    main()
