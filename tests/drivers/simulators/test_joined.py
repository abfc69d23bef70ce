"""What the fault campaign has found once, each in its smallest form: an engine at its board."""

from __future__ import annotations

import pytest

MARLINS = ["marlin-2", "marlin-1"]


def moves(count: int) -> list[bytes]:
    return [b"G90 G21", *(b"G1 X%d F6000" % (5 + at) for at in range(count))]


def moved(bench) -> list[str]:
    return [line for line in bench.executed() if line.startswith("G1")]


@pytest.mark.parametrize("name", ["grbl-1.1", "grblhal", "fluidnc"])
@pytest.mark.parametrize("after", [0.0, 0.02, 0.1, 0.5])
def test_a_resume_while_it_still_slows_down_is_repeated_until_it_is_heard(joined, name, after):
    """A cycle start before the standstill is not heard, and nothing would ever move again."""
    bench = joined(name)
    bench.start([b"G90G21", *(b"G1X%dF3000" % (at % 2 * 100) for at in range(9))])
    bench.live(1.0)
    assert bench.engine.pause(bench.now)
    bench.live(after)
    assert bench.engine.resume(bench.now)
    assert bench.until("finished", "failed", longest=600.0) == "finished"


@pytest.mark.parametrize("name", MARLINS)
def test_a_board_that_restarts_in_silence_after_a_run_is_not_sent_the_run_again(joined, name):
    bench = joined(name, faults=["brownout-at-line=40"])
    bench.start(moves(20))
    assert bench.until("finished", "failed") == "finished"
    done = moved(bench)
    for _ in range(60):
        bench.engine.command(b"M114", bench.now)
        bench.live(2.0)
    assert bench.machine.record.of("reset"), "it has restarted while nothing ran"
    assert moved(bench) == done


@pytest.mark.parametrize("name", MARLINS)
def test_what_was_done_by_hand_before_a_run_is_not_done_again_in_it(joined, name):
    bench = joined(name, faults=["brownout-at-line=9"])
    bench.until("connected", longest=60.0)
    for place in (1, 2, 3):
        assert bench.engine.command(b"G1 Y%d F600" % place, bench.now)
        bench.live(3.0)
    bench.start(moves(10))
    bench.until("finished", "failed")
    by_hand = [line for line in bench.executed() if line.startswith("G1 Y")]
    assert by_hand == [f"G1 Y{place} F600" for place in (1, 2, 3)]


@pytest.mark.parametrize("name", MARLINS)
def test_a_restart_is_known_by_the_first_line_asked_for_even_without_its_error(joined, name):
    """The error that names the last line may be lost; the Resend alone is asked for thrice."""
    bench = joined(name, faults=["brownout-at-line=20"])
    bench.start(moves(60))
    said = bench.machine._say

    def without_errors(text: str) -> None:
        if "Last Line" not in text:
            said(text)

    bench.machine._say = without_errors
    failure = bench.failure()
    assert failure.code == "machine.reset"
    assert len(moved(bench)) == len(set(moved(bench)))


@pytest.mark.parametrize("name", MARLINS)
def test_a_cancel_does_not_fill_the_buffer_of_a_board_that_reads_nothing(joined, name):
    bench = joined(name, faults=["busy-at-line=8"])
    bench.start(moves(60))
    bench.live(2.0)
    assert bench.engine.cancel(bench.now)
    bench.until("cancelled", "failed")
    assert not bench.machine.overflowed


def test_a_stop_does_not_fill_the_buffer_of_a_board_that_only_waits(joined):
    bench = joined("farmbot")
    bench.start([b"F44P8V1W0T600000M0"])
    bench.live(1.0)
    bench.engine.stop(bench.now)
    bench.until("connected", longest=900.0)
    assert bench.machine.is_locked
    assert not bench.machine.overflowed


@pytest.mark.parametrize("name", MARLINS)
def test_a_late_answer_to_the_first_question_is_waited_for(joined, name):
    """A second one would only make a riddle of whose answer is whose."""
    bench = joined(name, faults=["late-ok-at=2"], seed=3)
    bench.start(moves(20))
    assert bytes(bench.sent).count(b"M110") == 1
    assert bench.until("finished", "failed") == "finished"
    assert len(moved(bench)) == 20


def test_a_board_that_reports_its_heat_is_asked_to_and_again_after_a_restart(joined):
    """A restart forgets the wish; while the reports come, hardly any question is asked."""
    bench = joined("marlin-2")
    bench.until("connected", longest=60.0)
    bench.live(5.0)
    assert bench.executed().count("M155 S2") == 1
    asked = bench.executed().count("M105")
    bench.live(60.0)
    assert bench.executed().count("M105") <= asked + 2
    seen = [event for event in bench.events if event.kind == "temperature_read"]
    assert len(seen) >= 25
    bench.machine.reset(bench.now)
    bench.live(20.0)
    assert bench.executed().count("M155 S2") == 2


@pytest.mark.parametrize("name", ["grbl-1.1", "grblhal", "fluidnc"])
def test_a_pause_that_is_ended_at_the_machine_itself_is_over(joined, name):
    """Its own cycle start is a person's; a page that says *paused* beside motion would be wrong."""
    bench = joined(name)
    bench.start([b"G90G21", *(b"G1X%dF3000" % (at % 2 * 100) for at in range(40))])
    bench.live(3.0)
    assert bench.engine.pause(bench.now)
    bench.until("paused")
    bench.live(10.0)
    assert bench.engine.phase.value == "paused"
    bench.machine.write(bench.profile.realtime["resume"].encode("latin-1"), bench.now)
    assert bench.until("resumed", "finished", longest=5.0) == "resumed"
    assert bench.engine.phase.value == "streaming"
    assert bench.until("finished", "failed", longest=600.0) == "finished"
    assert len(moved(bench)) == 40
