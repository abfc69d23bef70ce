"""A host on the express lane: its journal is as exact, and its log replays, as on the long way."""

from __future__ import annotations

import pytest

from drivers.replay import read_log, replay
from drivers.wirelog import pieces
from tests.drivers.virtual import Lab

MOVES = [f"G1 X{n % 90}.{n % 10} Y{n % 50} F{3000 + n % 3}" for n in range(400)]
PROGRAM = ["G28", *MOVES[:200], "G4 P10", *MOVES[200:]]


def exact(lab: Lab) -> None:
    """What the journal says has left is what is on the wire, at every wake-up."""
    progress = lab.journal.progress
    assert progress is not None
    sent = sum(data.count(b"G1 X") for _, data in lab.wrote)
    assert progress.sent in (sent, sent + 1, sent + 2)  # G28 and G4 are none
    assert progress.acked <= progress.sent
    assert progress.sent - progress.acked <= 12


def run(lab: Lab, *, until_sent: int = 1 << 30, unplug_after: int = 1 << 30) -> None:
    def look() -> None:
        exact(lab)
        lab.board.is_unplugged = lab.shortened >= unplug_after

    lab.start(PROGRAM)
    for _ in range(5_000):
        lab.until(lambda: True, 0.0)
        if not lab.machine.run or lab.state.sent >= until_sent:
            return
        lab.go_express(look)
        due = [at for at in (lab.machine.deadline(), lab.board.deadline()) if at is not None]
        lab.now = max(lab.now + 1e-4, min(due))
    raise AssertionError(lab.state)


@pytest.mark.parametrize("name", ["marlin-2", "grbl-1.1", "klipper"])
def test_a_run_on_the_express_lane_is_noted_at_every_answer_and_replays_to_the_byte(tmp_path, name):
    lab = Lab(tmp_path, name)
    run(lab)
    assert [kind for kind in lab.kinds if kind in ("finished", "failed")] == ["finished"]
    assert lab.shortened > 0.7 * len(PROGRAM)
    end = next(event for event in lab.events if event["kind"] == "finished")
    assert (end["acked"], end["sent"]) == (len(PROGRAM), len(PROGRAM))
    lab.wait(10.0)  # the end of the log
    stream = "".join(f"{line}\n" for line in PROGRAM).encode()
    done = replay(read_log(pieces(tmp_path / "wire", "r1")), stream)
    assert done.difference is None
    assert (done.last.acked, done.events[-1].kind) in (
        (len(PROGRAM), "finished"),
        (len(PROGRAM), "temperature_read"),
    )
    lab.close()


def test_a_stop_in_the_middle_of_a_lane_comes_first_and_names_the_line_that_was_reached(tmp_path):
    lab = Lab(tmp_path)
    run(lab, until_sent=150)
    state, before = lab.state, len(lab.wrote)
    lab.machine.stop("mia", lab.now)
    assert b"".join(data for _, data in lab.wrote[before:]).startswith(b"\nM112\n")
    end = next(event for event in lab.events if event["kind"] == "stopped")
    assert (end["acked"], end["sent"], end["by"]) == (state.acked, state.sent, "mia")
    lab.close()


def test_a_port_that_vanishes_on_the_lane_interrupts_the_run_where_it_was(tmp_path):
    lab = Lab(tmp_path)
    run(lab, unplug_after=150)
    end = next(event for event in lab.events if event["kind"] == "interrupted")
    sent = sum(data.count(b"G1 X") for _, data in lab.wrote)
    assert end["sent"] == sent + 1
    lab.close()
