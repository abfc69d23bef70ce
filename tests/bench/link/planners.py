"""Several boards in one process: each makes its moves at a fixed pace and notes when it had none.

A board has an RX ring, four command slots and a planner of 16 moves of equal duration. It answers
a move when the planner takes it. Starved is the time in which the planner was empty between the
first move and the last. Run as a process of its own, on loopback to nothing but ptys:

    python planners.py FOLDER COUNT LINES --rate 400

Prints one JSON object when each board has made LINES moves, or when told to end.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import signal
import termios
import time
import tty
from collections import deque
from pathlib import Path

PLANNER = 16
HEAT = b"ok T:21.0 /0.0 B:21.0 /0.0 @:0 B@:0\n"
GREETING = (
    b"FIRMWARE_NAME:Neutral 1.0 PROTOCOL_VERSION:1.0 MACHINE_TYPE:Planner EXTRUDER_COUNT:1\nok\n"
)
PRIORITY = -20
LONGEST_S = 120.0


class Board:
    """One board at the far end of a pty.

    :param move_s: duration of a move [s].
    """

    def __init__(self, link: Path, move_s: float) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        flags = termios.tcgetattr(self._slave)
        flags[2] &= ~termios.HUPCL
        termios.tcsetattr(self._slave, termios.TCSANOW, flags)
        link.symlink_to(os.ttyname(self._slave))
        self._move_s = move_s
        self._partial = b""
        self._waiting: deque[bytes] = deque()
        self._done_at = 0.0  # when all planned moves are made
        self.moves = 0
        self.starved = 0.0
        self.took = 0.0
        self._began = 0.0

    def due(self) -> float | None:
        """Return when the planner takes the next waiting line [s]."""
        return self._done_at - (PLANNER - 1) * self._move_s if self._waiting else None

    def hear(self, now: float) -> None:
        """Read what has come, and go on."""
        *lines, self._partial = (self._partial + os.read(self.master, 4096)).split(b"\n")
        self._waiting.extend(line for line in lines if line.strip())
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """Take waiting lines as long as the planner has room, and answer them."""
        out = []
        while self._waiting and self._done_at - now <= (PLANNER - 1) * self._move_s:
            out.append(self._take(self._waiting.popleft(), now))
        if out:
            os.write(self.master, b"".join(out))

    def _take(self, line: bytes, now: float) -> bytes:
        if b"M115" in line:
            return GREETING
        if b"M105" in line:
            return HEAT
        if b"G1 X" in line:
            if self.moves:
                self.starved += max(0.0, now - self._done_at)
            else:
                self._began = now
            self.moves += 1
            self._done_at = max(self._done_at, now) + self._move_s
            self.took = self._done_at - self._began
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


def serve(boards: list[Board], lines: int, is_over: list[bool]) -> float:
    """Run until all moves are made; return the worst lateness of the process itself [s]."""
    late = 0.0
    by_file = {board.master: board for board in boards}
    until = time.monotonic() + LONGEST_S
    while not is_over and time.monotonic() < until:
        if all(board.moves >= lines for board in boards) and not any(b.due() for b in boards):
            break
        due = min((at for board in boards if (at := board.due()) is not None), default=None)
        now = time.monotonic()
        wait = 0.1 if due is None else min(max(due - now, 0.0), 0.1)
        ready = select.select(list(by_file), [], [], wait)[0]
        now = time.monotonic()
        if due is not None:
            late = max(late, now - due)
        for file in ready:
            by_file[file].hear(now)
        for board in boards:
            board.go_on(now)
    return late


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
    shares = [board.starved / board.took if board.took else 1.0 for board in boards]
    whole = all(board.moves == given.lines for board in boards)
    report = {"shares": shares, "late_s": late, "is_raised": is_raised, "whole": whole}
    print(json.dumps(report), flush=True)
    while not is_over:  # the hosts end their runs with a last question
        ready = select.select([board.master for board in boards], [], [], 0.2)[0]
        for board in boards:
            if board.master in ready:
                board.hear(time.monotonic())


if __name__ == "__main__":
    main()
