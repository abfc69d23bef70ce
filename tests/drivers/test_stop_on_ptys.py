"""*Stop now* on a real pty: for every profile, in every situation, its bytes come next.

Bytes are real, time is not: the simulated board and the session live in the test's own time.
"""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Callable
from dataclasses import replace

import pytest

from drivers.acts import Act, Order
from drivers.profile import load_profile, profile_names
from drivers.session import QUEUE_TIME, Session
from drivers.simulators import SIMULATORS, Wishes, build
from drivers.snapshot import Phase
from drivers.transport import open_transport

PROFILES = [name for name in SIMULATORS if name in profile_names()]
BAUD = 115_200
MOVES = {
    "marlin": lambda n: f"G1 X{n % 100} F3000",
    "grbl": lambda n: f"G1X{n % 100}F3000",
    "farmbot": lambda n: f"G00 X{n % 100} Y0 Z0",
}
# What a board says over and over when its line or its ring is in trouble.
STORMS = {
    "marlin": b"Error:Line Number is not Last Line Number+1, Last Line: 4\nResend: 5\nok\n",
    "grbl": b"<Run|MPos:1.000,2.000,3.000|FS:500,0>\n[MSG:INFO: storm]\nok\n",
    "farmbot": b"R08\nR82 X0 Y0 Z0\n",
}


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Bench:
    """A session at one end of a pty, a simulated board at the other."""

    def __init__(self, name: str) -> None:
        self.profile = replace(load_profile(name), boot_wait_s=0.5, baud=BAUD)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.board = build(name, Wishes(baud=0, cpu=0.0))
        self.now = 0.0
        transport = open_transport(os.ttyname(self.slave), BAUD)
        self.session = Session(transport, self.profile, lambda _: None)

    def close(self) -> None:
        self.session.close()
        os.close(self.master)
        os.close(self.slave)

    def heard(self) -> bytes:
        """Return all that is on the board's end of the wire now."""
        data = b""
        while True:
            try:
                data += os.read(self.master, 65_536)
            except BlockingIOError:
                return data

    def turn(self, *, listens: bool = True, says: bytes = b"") -> None:
        self.now += 0.01
        self.session.ready(self.now)
        if listens:
            self.board.write(self.heard(), self.now)
            says = self.board.read(self.now) + says
        if says:
            os.write(self.master, says[:3000])
        self.session.ready(self.now)

    def until(self, true: Callable[[], bool], turns: int = 20_000) -> None:
        for _ in range(turns):
            if true():
                return
            self.turn()
        raise AssertionError(self.session.snapshot(self.now))

    def ready(self) -> None:
        self.until(lambda: self.session.snapshot(self.now).connected)
        self.until(lambda: self.session.snapshot(self.now).phase is Phase.IDLE)

    def stream(self) -> None:
        self.ready()
        move = MOVES[self.profile.dialect]
        program = Lines(move(n).encode() for n in range(5000))
        if self.profile.dialect == "marlin":
            program.insert(0, b"G28")  # Klipper moves nowhere before it
        assert self.session.start(program, self.now)
        self.until(lambda: self.session.snapshot(self.now).acked > 5)


def connecting(bench: Bench) -> None:
    for _ in range(10):
        bench.turn(listens=False)


def idle(bench: Bench) -> None:
    bench.ready()


def streaming(bench: Bench) -> None:
    bench.stream()


def full(bench: Bench) -> None:
    """Nobody takes a byte, and the board has room for a thousand more."""
    bench.stream()
    for _ in range(200):
        bench.turn(listens=False)


def storm(bench: Bench) -> None:
    bench.stream()
    for _ in range(40):
        bench.turn(says=STORMS[bench.profile.dialect] * 20)


def paused(bench: Bench) -> None:
    bench.stream()
    assert bench.session.pause(bench.now)
    for _ in range(200):
        bench.turn()


def cancelling(bench: Bench) -> None:
    bench.stream()
    assert bench.session.cancel(bench.now)


def stopped_already(bench: Bench) -> None:
    bench.stream()
    bench.session.stop(bench.now)
    bench.turn()


def mute(bench: Bench) -> None:
    """The board has gone silent in mid-program."""
    bench.stream()
    for _ in range(3000):
        bench.turn(listens=False)
        bench.heard()


def by_hand(bench: Bench) -> None:
    bench.ready()
    if "jog" in bench.session.snapshot(bench.now).acts:
        order = Order(Act.JOG, axes={"X": 9.0}, feedrate=2.0)
        assert bench.session.act(order, {}, bench.now) == ""
        for _ in range(50):
            bench.turn()


SITUATIONS = (
    *(connecting, idle, streaming, full, storm, paused, cancelling),
    *(stopped_already, mute, by_hand),
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", PROFILES)
def test_the_stop_is_next_on_the_wire(name: str, situation: Callable[[Bench], None]) -> None:
    bench = Bench(name)
    try:
        situation(bench)
        if situation is not full:
            bench.heard()
        bench.session.stop(bench.now)
        wire = bench.heard()
    finally:
        bench.close()
    emergency = bench.profile.emergency.encode("latin-1")
    before = wire.partition(emergency)[0]
    assert emergency in wire, wire[-80:]
    # A newline ends a half line. A pty hands bytes over at once, so with nobody reading there
    # lies before it what the board's ring may hold, and a question or two; else nothing.
    most = max(int(BAUD / 10 * QUEUE_TIME), bench.board.board.rx_bytes) + 16
    most = most if situation is full else 0
    assert len(before.lstrip(b"\n")) <= most, before[-80:]
