"""Answers that are lost one after another cost a little time, and no count stays behind."""

import pytest

from drivers.profile import load_profile
from drivers.simulators import SIMULATORS

LINES = [b"G28", *(b"G1 X%.1f F6000" % (at * 0.1) for at in range(150))]
PRINTERS = [name for name in sorted(SIMULATORS) if load_profile(name).resends]
NOT_MARLIN = [name for name in SIMULATORS if load_profile(name).dialect != "marlin"]
FAULTS = {"lost-ok=0.03": range(8), "lost-ok=0.003": range(2)}


def run(joined, name, fault="lost-ok=0", seed=0):
    """Return how long the program took [s]."""
    bench = joined(name, faults=[fault], seed=seed)
    bench.start(LINES)
    begun = bench.now
    while not (ended := {"finished", "failed"}.intersection(e.kind for e in bench.events)):
        bench.turn()
        assert bench.now < begun + 600.0
        engine = bench.engine
        assert engine._window.unanswered or not engine._place_wanted, "what is not owed is asked"
    assert ended == {"finished"}, bench.events[-3:]
    assert not bench.machine.overflowed
    return bench.now - begun


@pytest.mark.parametrize("name", [name for name in PRINTERS if load_profile(name).heats])
def test_lost_answers_cost_little_time(joined, name):
    """An M105 whose answer is lost leaves the count one behind until an M114 puts it right."""
    usual = run(joined, name)
    for fault, seeds in FAULTS.items():
        took = [run(joined, name, fault, seed) for seed in seeds]
        assert max(took) < 2.0 * usual, (fault, took)


def test_a_last_question_goes_out_even_where_no_room_is_known(joined):
    """All that would have made room was lost; the board itself waits with an empty ring."""
    bench = joined("smoothieware")
    # Three of these leave room for one M105 and no more.
    long = b"G1 X%.5f Y10.00000 Z10.00000 E0.00000 F12000"
    bench.start([b"G28", *(long % (100.0 + at * 0.1) for at in range(150))])
    while len(bench.executed()) < 40:
        bench.turn()
    say = bench.machine._say
    bench.machine._say = lambda text: None
    asked = bytes(bench.sent).count(b"M105")
    bench.live(80.0)
    assert bytes(bench.sent).count(b"M105") == asked + 1
    bench.machine._say = say
    assert bench.until("finished", "failed", longest=120.0) == "finished"
    assert bench.executed().count("M105") > 2


def test_answers_behind_a_question_make_room_for_the_next(joined):
    """They cannot be told apart from a surplus `ok`, but lines have been read for them."""
    bench = joined("smoothieware", faults=["lost-ok=0.03"], seed=2)
    bench.start([b"G28", *(b"G1 X%.1f F6000" % (at % 1900 * 0.1) for at in range(1800))])
    begun = bench.now
    assert bench.until("finished", "failed", longest=600.0) == "finished"
    assert bench.now - begun < 60.0


def test_an_ok_that_sticks_to_a_report_proves_one_line_and_not_the_question_behind(joined):
    """The board reports its heat by itself, so `ok` and report may have become one line."""
    bench = joined("marlin-2")
    bench.start(LINES)
    while len(bench.executed()) < 40 or bench.engine._window.unanswered < 3:
        bench.turn()
    bench.engine._unanswered(bench.now)
    bench.engine.data_to_send(bench.now)
    assert bench.engine._window.waiting()[-1].text == b"M105"
    acked = bench.engine.snapshot(bench.now).acked
    bench.engine.receive(b"ok T:21.90 /0.00 B:21.90 /0.00 @:0 B@:0\n", bench.now)
    assert bench.engine.snapshot(bench.now).acked == acked + 1


WAITING = [b"G28", *(b"G1 X%d F6000" % at for at in range(12)), b"M400", b"G1 X5", b"G1 X9"]


@pytest.mark.parametrize("name", [name for name in sorted(SIMULATORS) if name not in NOT_MARLIN])
def test_an_answer_joined_to_the_next_costs_a_moment_wherever_it_is(joined, name):
    """Also that to the M400 which ends a program, behind which nothing else is sent."""

    def took(fault):
        bench = joined(name, faults=[fault])
        bench.start(WAITING)
        begun = bench.now
        assert bench.until("finished", "failed", longest=1500.0) == "finished", fault
        assert not bench.machine.overflowed
        return bench.now - begun, len(bench.machine.record.of("executed"))

    usual, lines = took("lost-ok=0")
    worst = max(took(f"merged-ok-at={number}")[0] for number in range(5, lines + 1))
    assert worst < usual + 5.0
