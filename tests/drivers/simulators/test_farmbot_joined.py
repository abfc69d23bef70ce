"""FarmBot's engine at the simulated FarmBot, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.acts import Act, Order

ASKED = ("F82", "F83", "F21", "F42", "F09")
LINES = st.lists(
    st.one_of(
        st.integers(0, 300).map(lambda x: b"G00X%dY5" % x),
        st.integers(1, 60).map(lambda pin: b"F41P%dV1M0" % pin),
        st.integers(1, 900).map(lambda t: b"F44P8V1W0T%dM0" % t),
        st.just(b"G28"),
    ),
    min_size=1,
    max_size=10,
)
FAULTS = st.lists(
    st.sampled_from(
        [
            *("lost-ok=0.1", "corrupt-in=0.002", "corrupt-out=0.002", "drop-in=0.002"),
            *("drop-out=0.002", "reset-at-line=5", "silence-at-line=6", "jam-at-line=7"),
        ]
    ),
    max_size=2,
    unique=True,
)


def done(bench) -> list[str]:
    return [line for line in bench.executed() if not line.startswith(ASKED)]


def wide(lines: list[bytes]) -> list[str]:
    return [
        "".join(f" {c}" if c.isalpha() and at else c for at, c in enumerate(line.decode()))
        for line in lines
    ]


@given(
    program=LINES,
    faults=FAULTS,
    seed=st.integers(0, 10**6),
    options=st.sampled_from([(), ("fast-reports",)]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_command_is_executed_once_and_in_order_or_the_run_fails_at_the_right_line(
    joined, program, faults, seed, options
):
    bench = joined("farmbot", faults=faults, seed=seed, options=options)
    try:
        bench.start(program)
    except AssertionError:
        assert faults  # it never connected: nothing was sent either
        assert done(bench) == []
        return
    end = bench.until("finished", "failed")
    bench.live(5.0)
    wanted = wide(program)
    assert not bench.machine.record.of("overflowed")
    if end == "finished":
        assert done(bench) == wanted
        return
    line = bench.failure().line - 1
    assert 0 <= line < len(program)
    assert done(bench)[:line] == wanted[:line]
    # Of what follows nothing is executed; of the line itself, whatever reached the board.
    assert len(done(bench)) <= line + 1
    assert faults


@pytest.mark.parametrize("after", [0.0, 0.4, 1.7, 5.0, 9.0])
def test_a_stop_at_any_moment_leaves_it_locked_and_at_rest(joined, after):
    bench = joined("farmbot")
    bench.start([b"G00X300", b"F44P8V1W0T3000M0", b"G00X600"])
    bench.live(after)
    bench.engine.stop(bench.now)
    bench.until("connected")
    assert bench.machine.is_locked
    assert not any(bench.machine.pins.values())
    place = list(bench.machine._steps)
    bench.live(30.0)
    assert bench.machine._steps == place


def test_the_first_byte_of_a_stop_is_e_and_the_move_ends_as_soon_as_it_arrives(joined):
    bench = joined("farmbot")
    bench.start([b"G00X300"])
    bench.live(2.0)
    sent, at = len(bench.sent), bench.now
    bench.engine.stop(bench.now)
    while not bench.machine.record.of("locked"):
        bench.turn()
    assert bytes(bench.sent[sent : sent + 1]) == b"E"
    assert bench.machine.record.of("locked")[0]["at_s"] - at < 0.01


def test_after_a_stop_a_run_waits_for_a_person_to_unlock_and_is_whole(joined):
    bench = joined("farmbot")
    bench.start([b"G00X300"])
    bench.live(1.0)
    bench.engine.stop(bench.now)
    bench.events.clear()
    bench.until("connected")
    bench.live(20.0)
    assert bench.machine.is_locked
    assert bench.engine.act(Order(Act.UNLOCK), {}, bench.now) == ""
    bench.live(2.0)
    bench.start([b"G00X10", b"F41P8V1M0"])
    assert bench.until("finished", "failed") == "finished"
    assert done(bench)[-2:] == ["G00 X10", "F41 P8 V1 M0"]


def test_a_timeout_of_an_axis_is_told_with_its_name(joined):
    bench = joined("farmbot", faults=["jam-at-line=5"], settings={"11": 10})
    bench.start([b"G00X10", b"G00X300", b"G28"])
    failure = bench.failure()
    assert (failure.code, failure.line, failure.text) == ("machine.error", 2, "R71 R03 V2")


def test_homing_by_hand_takes_the_tool_up_first_and_makes_it_homed(joined):
    bench = joined("farmbot")
    bench.until("connected")
    assert not bench.engine.snapshot(bench.now).homed
    assert bench.engine.act(Order(Act.HOME), {}, bench.now) == ""
    bench.live(120.0)
    assert [line for line in bench.executed() if line.startswith("F1")] == ["F13", "F12", "F11"]
    assert bench.engine.snapshot(bench.now).homed
