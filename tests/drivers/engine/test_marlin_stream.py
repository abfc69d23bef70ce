"""The short way of a Marlin's program against the long one: the same bytes, the same memory."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import MarlinEngine
from drivers.engine.state import dump
from drivers.profile import load_profile
from drivers.snapshot import Event, Phase


def _neighbour(name: str) -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODEL = _neighbour("marlin_model")
PROFILE = replace(load_profile("marlin-2"), boot_wait_s=0.1)
ODD = [b"G28", b"M106 S9", b"G91", b"G90", b"M109 S200", b"G92 E0", b"M400"]
MOVES = st.tuples(st.integers(5, 60), st.integers(0, 99), st.sampled_from(ODD)).map(
    lambda drawn: [
        *(b"G1 X%d Y%d F%d" % (n, drawn[1], n) for n in range(drawn[0] // 4)),
        *(b"G1 X%d Y%d" % (n, drawn[1]) for n in range(drawn[0])),
        drawn[2],
    ]
)
PROGRAM = st.lists(MOVES, min_size=1, max_size=4).map(lambda runs: [x for run in runs for x in run])
ORDERS = ["pause", "resume", "cancel", "stop", "command", "answer_prompt"]
NOISE = [b"ok", b"\n", b"echo:busy: x\n", b"wait\n", b"ok N3 P15 B3\n", b"Resend: 5\n", b"ok\nok\n"]
NOISE += [b"//action:prompt_begin x\n//action:prompt_show\n", b"ok T:20 /0 B:20 /0\n", b"start\n"]
ANSWERS = st.tuples(st.just("answers"), st.lists(st.integers(1, 3), min_size=1, max_size=30))
STEPS = st.lists(
    st.one_of(
        ANSWERS,
        ANSWERS,
        st.tuples(st.sampled_from(["time", "late"]), st.floats(0.001, 3.0)),
        st.tuples(st.sampled_from(ORDERS), st.just(0)),
        st.tuples(st.just("noise"), st.sampled_from(NOISE)),
    ),
    max_size=25,
)


class Side:
    """One engine at one small Marlin.

    :param is_short: take the short way where the engine offers it.
    """

    def __init__(self, is_short: bool, seed: int, damage: float, more: dict[str, object]) -> None:
        self.engine = MarlinEngine(replace(PROFILE, **more), 0.0)
        self.board = MODEL.MarlinModel(seed=seed, damage=damage)
        self.is_short = is_short
        self.shortened = 0
        self.sent = b""
        self.events: list[Event] = []
        self.engine.connect(0.0)

    def hear(self, data: bytes, now: float) -> None:
        if self.is_short and self.engine.is_smooth:
            out = self.engine.stream(data, now)
            if out is not None:
                self.shortened += 1
                self._send(out)
                if not self.engine.is_smooth:
                    self._long_way(b"", now)
                return
        self._long_way(data, now)

    def _long_way(self, data: bytes, now: float) -> None:
        self.events += self.engine.receive(data, now)
        self._send(self.engine.urgent_to_send(now) + self.engine.data_to_send(now))

    def _send(self, out: bytes) -> None:
        self.sent += out
        self.board.write(out)

    def memory(self) -> dict[str, object]:
        found = dump(self.engine)
        # Which way comes next is not what was said or heard.
        return {key: found[key] for key in found if key not in ("is_smooth", "_rings_at")}


def greet(sides: list[Side]) -> float:
    now = 0.0
    while any(side.engine.phase is not Phase.IDLE for side in sides):
        now += 0.05
        assert now < 60.0
        for side in sides:
            side.hear(side.board.step(), now)
    return now


def do(side: Side, word: str, much: object, now: float) -> float:
    """Have one thing happen; return when it is over."""
    match word, much:
        case "answers", list():
            for count in much:
                now += 0.0034
                side.hear(b"".join(side.board.step() for _ in range(count)), now)
        case "noise", bytes():
            side.hear(much, now)
        case "time", float():
            now += much
            side.hear(b"", now)
        case "late", float():  # the clock has run out, and nobody has looked yet
            now += much
        case "command", _:
            side.engine.command(b"M117 x", now)
        case "answer_prompt", _:
            side.engine.answer(1, 0, now)
        case _:  # what is heard next may be an answer that was on its way
            getattr(side.engine, word)(now)
    return now


@settings(deadline=None, max_examples=150)
@given(
    program=PROGRAM,
    steps=STEPS,
    seed=st.integers(0, 99),
    damage=st.sampled_from([0.0, 0.0, 0.001]),
    more=st.sampled_from([{}, {"rx_bytes": 300, "command_queue": 12}]),
)
def test_the_short_way_sends_and_remembers_what_the_long_one_does(
    program, steps, seed, damage, more
):
    """For any program, pace, damage and orders in between."""
    short, long = Side(True, seed, 0.0, more), Side(False, seed, 0.0, more)
    now = greet([short, long])
    for side in (short, long):
        side.board.damage = damage
        assert side.engine.start(MODEL.Lines(program), now)
        side.hear(b"", now)
    for word, much in steps:
        ends = {do(side, word, much, now) for side in (short, long)}
        now = ends.pop()
        assert short.sent == long.sent
        assert short.events == long.events
        assert short.memory() == long.memory()


def test_nearly_all_of_a_program_goes_the_short_way_and_the_heat_is_asked_for_meanwhile():
    side = Side(True, 1, 0.0, {})
    now = greet([side])
    count = 1500
    lines = [b"G1 X%d.123 Y%d.456 E%d.78901" % (n % 180, n % 90, n) for n in range(count)]
    assert side.engine.start(MODEL.Lines(lines), now)
    side.hear(b"", now)
    greeting = len(side.sent)
    for _ in range(2 * count):
        now += 0.0034
        side.hear(side.board.step(), now)
        if side.events and side.events[-1].kind == "finished":
            break
    assert [line for line in side.board.executed if line.startswith(b"G1")] == lines
    assert side.shortened > 0.9 * count
    assert side.sent[greeting:].count(b"M105") > count * 0.0034 / PROFILE.poll_s
