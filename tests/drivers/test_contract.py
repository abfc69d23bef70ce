"""What every entry of DIALECTS, ENGINES, SIMULATORS and the profiles owes, from its first day."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.dialects import DIALECTS
from drivers.engine import ENGINES, StreamEngine, stream_engine
from drivers.profile import load_profile, profile_names
from drivers.simulators import SIMULATORS, Firmware
from drivers.snapshot import Phase

# Twelve moves in the words of each dialect, each to a place of its own, and what goes before.
MOVES = {
    "marlin": ("G28", "G1 X{} F6000"),  # a Klipper moves only when it has homed
    "grbl": ("G90G21", "G1X{}F6000"),
    "farmbot": ("F41 P13 V0 M0", "G00 X{} Y0 Z0"),
}
PROFILES = profile_names()
SIMULATED = [name for name in SIMULATORS if name in PROFILES]
ENDED = {Phase.IDLE, Phase.FAULT, Phase.STOPPED}


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


def program(name: str, count: int = 12) -> list[bytes]:
    head, move = MOVES[load_profile(name).dialect]
    return [head.encode(), *(move.format(5 + at).encode() for at in range(count))]


def squeezed(lines: list[bytes]) -> list[str]:
    return [line.decode().replace(" ", "") for line in lines]


def moved(bench, lines: list[bytes]) -> list[str]:
    """Which of the program's moves were executed, in the order in which they were."""
    wanted = set(squeezed(lines[1:]))
    return [line for text in bench.executed() if (line := text.replace(" ", "")) in wanted]


# -- the mappings ---------------------------------------------------------------------------


def test_a_dialect_has_an_engine_a_profile_and_a_simulator():
    assert set(ENGINES) == set(DIALECTS)
    assert {load_profile(name).dialect for name in PROFILES} == set(DIALECTS)
    assert {load_profile(name).dialect for name in SIMULATED} == set(DIALECTS)


def test_a_simulator_bears_the_name_of_a_profile():
    assert set(SIMULATORS) <= set(PROFILES)


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_simulator_is_a_board_of_its_own(name):
    model = SIMULATORS[name]
    assert issubclass(model.firmware, Firmware)
    assert model.about
    assert 0 < load_profile(name).rx_bytes <= model.board.rx_bytes
    assert load_profile(name).planner_blocks >= model.board.planner_blocks


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_gets_an_engine_that_has_not_begun(name):
    engine = stream_engine(load_profile(name), 5.0)
    assert isinstance(engine, StreamEngine)
    assert engine.phase is Phase.CONNECTING
    assert (engine.urgent_to_send(5.0), engine.data_to_send(5.0)) == (b"", b"")


# -- every engine, without a machine --------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_a_stop_is_the_first_thing_that_leaves_whatever_waited(name):
    profile = load_profile(name)
    engine = stream_engine(profile, 0.0)
    engine.connect(0.0)
    engine.stop(1.0)
    assert engine.flush_first
    assert profile.emergency.strip().encode("latin-1") in engine.urgent_to_send(1.0)[:20]
    assert engine.phase is Phase.STOPPED
    assert engine.snapshot(1.0).stopped
    assert [event.kind for event in engine.receive(b"", 1.0)] == ["stopped"]


STEPS = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(["start", "pause", "resume", "cancel", "stop", "connect", "command"]),
        st.floats(0.0, 40.0),
    ),
    max_size=25,
)


@pytest.mark.parametrize("name", PROFILES)
@given(steps=STEPS)
@settings(max_examples=25, deadline=None)
def test_nothing_that_is_asked_or_heard_breaks_an_engine(name, steps):
    """Any order of commands, bytes and time; a program never runs twice, nor ends twice."""
    engine = stream_engine(load_profile(name), 0.0)
    now, runs = 0.0, 0
    for step in steps:
        match step:
            case bytes():
                events = engine.receive(step, now)
            case float():
                now += step
                events = engine.receive(b"", now)
            case "start":
                engine.start(Lines(program(name)), now, "run")
                events = engine.receive(b"", now)
            case "command":
                engine.command(b"G4 P0", now)
                events = []
            case _:
                getattr(engine, step)(now)
                events = engine.receive(b"", now)
        for event in events:
            runs += event.kind == "run_started"
            runs -= event.kind in ("finished", "cancelled", "failed") and runs > 0
            if event.kind == "stopped":
                runs = 0
        assert runs in (0, 1)
        assert isinstance(engine.urgent_to_send(now), bytes)
        assert isinstance(engine.data_to_send(now), bytes)
        snapshot = engine.snapshot(now)
        assert snapshot.acked <= snapshot.sent <= max(snapshot.total, snapshot.sent)


# -- every engine at its board --------------------------------------------------------------


@pytest.mark.parametrize("name", SIMULATED)
def test_each_line_is_executed_once_and_in_order_and_nothing_overflows(joined, name):
    bench, lines = joined(name), program(name)
    bench.start(lines)
    assert bench.until("finished", "failed") == "finished"
    assert moved(bench, lines) == squeezed(lines[1:])
    assert not bench.machine.overflowed
    state = bench.engine.snapshot(bench.now)
    assert (state.acked, state.phase, state.stopped) == (len(lines), Phase.IDLE, False)


@pytest.mark.parametrize("name", SIMULATED)
def test_a_second_run_follows_the_first(joined, name):
    bench, lines = joined(name), program(name, 3)
    for run in (1, 2):
        bench.start(lines) if run == 1 else bench.engine.start(Lines(lines), bench.now)
        bench.events.clear()
        assert bench.until("finished", "failed") == "finished"
        assert len(moved(bench, lines)) == 3 * run


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("after", [0.0, 0.3, 2.0])
def test_a_cancel_ends_switched_off_and_executes_no_more_of_the_program(joined, name, after):
    bench, lines = joined(name), program(name, 400)
    bench.start(lines)
    bench.live(after)
    assert bench.engine.cancel(bench.now)
    assert bench.until("cancelled", "failed") == "cancelled"
    done = moved(bench, lines)
    assert done == squeezed(lines[1:])[: len(done)]
    off = [line.replace(" ", "") for line in bench.profile.switch_off]
    assert set(off) <= {line.replace(" ", "") for line in bench.executed()}
    bench.live(20.0)
    assert moved(bench, lines) == done


@pytest.mark.parametrize("name", SIMULATED)
def test_a_pause_holds_and_a_resume_ends_the_program(joined, name):
    bench, lines = joined(name), program(name, 200)
    bench.start(lines)
    bench.live(0.5)
    assert bench.engine.pause(bench.now)
    assert bench.until("paused", "failed") == "paused"
    done = moved(bench, lines)
    bench.live(20.0)
    assert moved(bench, lines) == done
    assert bench.engine.resume(bench.now)
    assert bench.until("finished", "failed") == "finished"
    assert moved(bench, lines) == squeezed(lines[1:])


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("after", [0.0, 1.0])
def test_a_stop_ends_all_motion_and_only_a_start_clears_it(joined, name, after):
    bench, lines = joined(name), program(name, 400)
    bench.start(lines)
    bench.live(after)
    bench.engine.stop(bench.now)
    bench.live(3.0)
    done = moved(bench, lines)
    bench.live(60.0)
    assert moved(bench, lines) == done
    assert len(done) < 400
    assert bench.engine.snapshot(bench.now).stopped


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("fault", ["reset-at-line=9", "silence-at-line=9"])
def test_a_machine_that_is_lost_in_mid_program_fails_it_at_a_line_not_far(joined, name, fault):
    bench, lines = joined(name, faults=[fault]), program(name, 60)
    bench.start(lines)
    failure = bench.failure()
    assert 0 <= failure.line <= len(lines)
    done = moved(bench, lines)
    assert done == squeezed(lines[1:])[: len(done)]
    bench.live(120.0)
    assert moved(bench, lines) == done
    assert bench.engine.phase in {*ENDED, Phase.CONNECTING}


MISFORTUNES = (
    *("lost-ok-at=9", "merged-ok-at=9", "late-ok-at=9", "lost-ok=0.1", "merged-ok=0.1"),
    *("late-ok=0.05", "brownout-at-line=12", "stall-at-line=12", "busy-at-line=12"),
    *("alarm-at-s=3", "alarm-at-s=4", "resend-burst=3", "reset-at-line=5"),
)


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("fault", MISFORTUNES)
def test_whatever_befalls_a_board_no_line_is_executed_twice_or_out_of_order(joined, name, fault):
    """And what was acknowledged was executed, unless the board lost it with all it knew."""
    bench, lines = joined(name, faults=[fault], seed=5), program(name, 60)
    bench.start(lines)
    end = bench.until("finished", "failed", "stopped", longest=7200.0)
    done = moved(bench, lines)
    assert done == squeezed(lines[1:])[: len(done)]
    assert not bench.machine.overflowed
    state = bench.engine.snapshot(bench.now)
    if end == "finished":
        assert len(done) == 60
    else:
        assert bench.failure().line <= state.sent
    bench.live(60.0)
    assert moved(bench, lines) == done


@pytest.mark.parametrize("name", SIMULATED)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from(["0.0005", "0.004"]))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_noise_on_the_way_back_never_repeats_a_line(joined, name, seed, rate):
    faults = [f"corrupt-out={rate}", f"drop-out={rate}"]
    bench, lines = joined(name, faults=faults, seed=seed), program(name, 25)
    try:
        bench.start(lines)
    except AssertionError:
        return  # never connected, so nothing was sent
    bench.until("finished", "failed", "stopped")
    done = moved(bench, lines)
    assert done == squeezed(lines[1:])[: len(done)]
