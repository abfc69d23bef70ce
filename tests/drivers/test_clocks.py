"""Two clocks and a deadline for every state: nothing waits for ever, whatever the board does.

`machine_hosts.md` §1.2: *no bytes at all* and *bytes but no answer* are different things, and
§4 no. 23: nobody is left in "pausing" or "cancelling".
"""

import tempfile
from pathlib import Path

import pytest

from drivers.profile import load_profile
from drivers.simulators import SIMULATORS, Wishes
from drivers.snapshot import Phase
from tests.drivers.virtual import Lab

PROGRAMS = {
    "marlin": ["G28", *(f"G1 X{n % 90} Y{n % 7} F3000" for n in range(400))],
    "grbl": ["G21", "G90", *(f"G1 X{n % 90} Y{n % 7} F2000" for n in range(400))],
    "farmbot": ["F11", *(f"G00 X{n % 90} Y{n % 7} Z0" for n in range(200))],
}
NO_BANNER = {"klipper", "reprapfirmware"}
ENDS = {"finished", "failed", "cancelled", "stopped", "interrupted"}


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def goes_silent(board):
    """It does nothing and says nothing, until a reset."""
    board.is_silent = True


def answers_no_more(board):
    """It lives, moves and talks, but every answer is lost."""
    board.faults._chance["lost-ok"] = 1.0


def streaming(folder, name, **wishes):
    lab = Lab(folder, name, wishes=Wishes(**wishes))
    lab.start(PROGRAMS[load_profile(name).dialect])
    lab.until(lambda: lab.state.acked >= 8, 200.0)
    return lab


def longest_of(profile):
    """Return the patience that a profile's numbers come to [s]."""
    expected = max(profile.expected_s.values(), default=0.0)
    return profile.silence_s + 10 * profile.answer_s + 2 * expected


def seconds_to(lab, done, patience):
    """Return how long it took; at each step somebody must say when to come back."""
    began = lab.now

    def looked():
        # A state that waits without a deadline waits for ever once the port is quiet.
        # Only a stopped machine may: it waits for a person, and for the banner of its reset.
        phase = lab.state.phase
        assert lab.machine.deadline() is not None or phase is Phase.STOPPED, phase
        return done()

    lab.until(looked, patience)
    return lab.now - began


TROUBLES = [goes_silent, answers_no_more]
NAMES = sorted(SIMULATORS)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_on_a_board_that_fails_to_answer_ends_in_time(folder, name, trouble):
    lab = streaming(folder, name)
    profile = lab.config.profile
    trouble(lab.board)
    longest = longest_of(profile)
    seconds_to(lab, lambda: not lab.machine.run, longest)
    end = next(event for event in lab.events if event["kind"] in ENDS)
    assert end["kind"] in ("failed", "interrupted")
    assert end["acked"] <= end["sent"]
    lab.close()


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_left_in_cancelling(folder, name, trouble):
    lab = streaming(folder, name)
    profile = lab.config.profile
    trouble(lab.board)
    assert lab.machine.session.cancel(lab.now)
    took = seconds_to(lab, lambda: lab.state.phase is not Phase.CANCELLING, 400.0)
    assert took <= profile.cancel_s + profile.silence_s + 10.0
    assert not lab.machine.run
    lab.close()


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_left_in_pausing(folder, name, trouble):
    lab = streaming(folder, name)
    profile = lab.config.profile
    trouble(lab.board)
    assert lab.machine.session.pause(lab.now)
    longest = longest_of(profile)
    seconds_to(lab, lambda: "paused" in lab.kinds or not lab.machine.run, longest)
    lab.close()


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", NAMES)
def test_a_paused_machine_can_always_be_cancelled_and_stopped(folder, name, trouble):
    lab = streaming(folder, name)
    lab.machine.session.pause(lab.now)
    lab.until(lambda: "paused" in lab.kinds, 400.0)
    trouble(lab.board)
    lab.machine.session.cancel(lab.now)
    took = seconds_to(lab, lambda: lab.state.phase is not Phase.CANCELLING, 400.0)
    assert took <= lab.config.profile.cancel_s + lab.config.profile.silence_s + 10.0
    lab.machine.stop("eva", lab.now)
    assert lab.state.stopped
    lab.close()


@pytest.mark.parametrize("name", NAMES)
def test_after_a_stop_or_a_failure_the_conversation_is_sought_for_ever(folder, name):
    lab = streaming(folder, name)
    lab.board.is_silent = True
    lab.machine.stop("eva", lab.now)
    for _ in range(20):
        assert lab.machine.deadline() is not None or lab.state.phase is Phase.STOPPED
        lab.wait(30.0)
    lab.board.is_silent = False
    lab.board.reset(lab.now)
    if name in NO_BANNER:  # to be known by: a person says that they looked
        lab.machine.disconnect(lab.now, resets=True)
    seconds_to(lab, lambda: lab.state.phase is Phase.IDLE, 120.0)
    assert lab.state.stopped or name in NO_BANNER, "a person must look first"
    lab.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_long_command_is_not_silence(folder, name):
    """Twenty minutes at one line, if its firmware says that it is busy or its profile knows."""
    lab = Lab(folder, name, wishes=Wishes(faults=("busy-at-line=12",)))
    profile = lab.config.profile
    lab.start(PROGRAMS[profile.dialect])
    lab.wait(600.0)
    says_so = profile.dialect == "marlin" and name in ("marlin-2", "marlin-1", "repetier")
    if says_so:
        assert lab.machine.run, [event for event in lab.events if event["kind"] in ENDS]
    lab.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_cancel_ends_in_time_although_the_board_is_at_work_and_says_so(folder, name):
    lab = streaming(folder, name, faults=("busy-at-line=25",))
    lab.wait(60.0)
    took = 0.0
    if lab.machine.session.cancel(lab.now):
        took = seconds_to(lab, lambda: lab.state.phase is not Phase.CANCELLING, 400.0)
    assert took <= lab.config.profile.cancel_s + 10.0
    assert not lab.machine.run
    lab.close()


@pytest.mark.parametrize("name", ["grbl-1.1", "grblhal", "fluidnc"])
def test_a_feed_hold_that_is_not_obeyed_is_not_waited_for_for_ever(folder, name):
    lab = Lab(folder, name)
    lab.start(["G21", "G90", "G1 X200 F60", "G1 X0"])
    lab.wait(10.0)
    lab.board.planner.hold = lambda now: None
    assert lab.machine.session.pause(lab.now)
    took = seconds_to(lab, lambda: "paused" in lab.kinds, 400.0)
    assert took <= lab.config.profile.cancel_s + 5.0
    lab.close()


SLOW = [b"G1 X%d F90" % (10 + at % 2 * 60) for at in range(22)]  # 40 s each, more than are planned


@pytest.mark.parametrize("first", [b"M113 S0", b"M113 S60", b"M113 S30"])
def test_a_program_that_silences_the_busy_line_does_not_look_like_a_dead_machine(joined, first):
    bench = joined("marlin-2")
    bench.start([b"G28", first, *SLOW])
    assert bench.until("finished", "failed") == "finished"
    assert len(bench.executed()) > len(SLOW)


def test_a_firmware_that_tells_it_says_no_busy_line_is_waited_for(joined):
    """`Cap:BUSY_PROTOCOL:0`; a restart says its capabilities anew."""
    bench = joined("marlin-1")
    bench.machine._tick = lambda timer: None  # it neither says busy nor reports
    bench.start([b"G28", *SLOW])
    assert bench.failure().code == "machine.silent"
    bench = joined("marlin-1")
    bench.machine._tick = lambda timer: None
    bench.until("connected", longest=60.0)
    bench.engine.receive(b"Cap:BUSY_PROTOCOL:0\n", bench.now)
    bench.start([b"G28", *SLOW])
    assert bench.until("finished", "failed") == "finished"
    bench.machine.reset(bench.now)
    bench.live(10.0)
    assert bench.engine._answer_s == bench.profile.answer_s
