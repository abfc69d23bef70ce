"""Several boards in one process: each makes its moves at a fixed pace and notes when it had none.

A board has an RX ring, four command slots and a planner of 16 moves of equal duration. It answers
a move when the planner takes it. Starved is the time in which the planner was empty between the
first move and the last. Run as a process of its own, on loopback:

    python planners.py FOLDER COUNT LINES --rate 400

A board that is late itself (on a virtual machine, which may stand still for a while, that cannot be
helped) says nothing about its host: the time around it is left out, window by window, for all
boards. Prints one JSON object when each board has made LINES moves, or when told to end.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import time
from collections import deque
from pathlib import Path

PLANNER = 16
HEAT = b"ok T:21.0 /0.0 B:21.0 /0.0 @:0 B@:0\n"
GREETING = (
    b"FIRMWARE_NAME:Neutral 1.0 PROTOCOL_VERSION:1.0 MACHINE_TYPE:Planner EXTRUDER_COUNT:1\nok\n"
)
PRIORITY = -20
LONGEST_S = 120.0
LATE_S = 0.005  # of this process, beyond which a window says nothing
WINDOW_S = 0.5

Interval = tuple[float, float]


class Board:
    """One board at the far end of a connection on loopback.

    No pty: what is written into one is carried on by a thread of the kernel that has no priority,
    and a board would be late with it. A connection is served by whoever writes.

    :param name: file that is to hold its port number.
    :param move_s: duration of a move [s].
    """

    def __init__(self, name: Path, move_s: float) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.wire = self._listener
        beside = name.with_suffix(".new")
        beside.write_text(str(self._listener.getsockname()[1]))
        beside.replace(name)
        self._move_s = move_s
        self._partial = b""
        self._waiting: deque[bytes] = deque()
        self._done_at = 0.0  # when all planned moves are made
        self.moves = 0
        self.starved: list[Interval] = []
        self.ran: Interval = (0.0, 0.0)

    def due(self) -> float | None:
        """Return when the planner takes the next waiting line [s]."""
        return self._done_at - (PLANNER - 1) * self._move_s if self._waiting else None

    def hear(self, now: float) -> None:
        """Read what has come, and go on."""
        if self.wire is self._listener:
            self.wire = self._listener.accept()[0]
            self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        if not (data := self.wire.recv(4096)):
            self.wire = self._listener  # its host has gone
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._waiting.extend(line for line in lines if line.strip())
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """Take waiting lines as long as the planner has room, and answer them."""
        out = []
        while self._waiting and self._done_at - now <= (PLANNER - 1) * self._move_s:
            out.append(self._take(self._waiting.popleft(), now))
        if out:
            self.wire.sendall(b"".join(out))

    def _take(self, line: bytes, now: float) -> bytes:
        if b"M115" in line:
            return GREETING
        if b"M105" in line:
            return HEAT
        if b"G1 X" in line:
            if self.moves and now > self._done_at:
                self.starved.append((self._done_at, now))
            began = self.ran[0] if self.moves else now
            self.moves += 1
            self._done_at = max(self._done_at, now) + self._move_s
            self.ran = began, self._done_at
        return b"ok\n"


def raised() -> bool:
    """Take priority over what is measured; False if that is not allowed.

    A real board waits for no computer: where it may, it goes before all that is no board.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        try:
            os.nice(PRIORITY)
        except OSError:
            return False
    return True


def serve(boards: list[Board], lines: int, is_over: list[bool]) -> list[Interval]:
    """Run until all moves are made; return when the process itself was late."""
    late: list[Interval] = []
    until = time.monotonic() + LONGEST_S
    while not is_over and time.monotonic() < until:
        if all(board.moves >= lines for board in boards) and not any(b.due() for b in boards):
            break
        due = min((at for board in boards if (at := board.due()) is not None), default=None)
        now = time.monotonic()
        wait = 0.1 if due is None else min(max(due - now, 0.0), 0.1)
        wanted = now + wait if due is None else max(due, now)
        ready = select.select([board.wire for board in boards], [], [], wait)[0]
        now = time.monotonic()
        if now - wanted > LATE_S:
            late.append((wanted, now))
        for board in boards:
            if board.wire in ready:
                board.hear(now)
            board.go_on(now)
    return late


def windows(boards: list[Board], late: list[Interval]) -> tuple[list[Interval], int]:
    """Return the windows that say something, and how many do not.

    One in which the process was late does not, nor the one behind: what was missed is made up for.
    """
    begin = min(board.ran[0] for board in boards)
    count = int((max(board.ran[1] for board in boards) - begin) / WINDOW_S) + 1
    spans = [(begin + n * WINDOW_S, begin + (n + 1) * WINDOW_S) for n in range(count)]
    good = [
        span
        for span in spans
        if not any(overlap((span[0] - WINDOW_S, span[1]), interval) for interval in late)
    ]
    return good, count - len(good)


def overlap(one: Interval, other: Interval) -> float:
    """Return how long two intervals have in common [s]."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def share(board: Board, good: list[Interval]) -> float:
    """Return which part of the time in the *good* windows a board had no move."""
    ran = sum(overlap(board.ran, span) for span in good)
    starved = sum(overlap(gap, span) for gap in board.starved for span in good)
    return starved / ran if ran else 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(description="Boards that note when they starve.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("count", type=int)
    arguments.add_argument("lines", type=int)
    arguments.add_argument("--rate", type=float, default=400.0, help="moves a second")
    given = arguments.parse_args()
    is_raised = raised()
    is_over: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: is_over.append(True))
    boards = [Board(given.folder / f"port{n}", 1.0 / given.rate) for n in range(given.count)]
    late = serve(boards, given.lines, is_over)
    good, left_out = windows(boards, late)
    report = {
        "shares": [share(board, good) for board in boards],
        "late_s": max((end - begin for begin, end in late), default=0.0),
        "windows": len(good),
        "windows_left_out": left_out,
        "is_raised": is_raised,
        "whole": all(board.moves == given.lines for board in boards),
    }
    print(json.dumps(report), flush=True)
    while not is_over:  # the hosts end their runs with a last question
        ready = select.select([board.wire for board in boards], [], [], 0.2)[0]
        for board in boards:
            if board.wire in ready:
                board.hear(time.monotonic())


if __name__ == "__main__":
    main()
