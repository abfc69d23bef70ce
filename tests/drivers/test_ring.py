"""Nothing overflows the ring of a board that reads nothing, and a stop goes out all the same."""

from dataclasses import replace

import pytest

from drivers.profile import load_profile
from drivers.simulators import SIMULATORS
from drivers.snapshot import Phase

LINES = [b"G28", *(b"G1 X%d Y%d F6000" % (n % 180, n % 7) for n in range(60))]
BUSY = ("busy-at-line=20",)
NAMES = [name for name in sorted(SIMULATORS) if load_profile(name).dialect == "marlin"]


def stuck(joined, name, **wishes):
    """Return a board that is at one line for 20 minutes, with all sent that may be."""
    bench = joined(name, faults=BUSY, **wishes)
    bench.start(LINES)
    while not bench.machine.record.of("fault"):
        bench.turn()
    bench.live(8.0)
    return bench


@pytest.mark.parametrize("name", NAMES)
def test_a_cancel_that_nobody_hears_ends_without_one_byte_too_many(joined, name):
    bench = stuck(joined, name)
    bench.engine.cancel(bench.now)
    bench.until("cancelled", "failed", longest=300.0)
    bench.live(120.0)
    assert not bench.machine.overflowed


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_goes_out_at_once_and_finds_room(joined, name):
    """Also where the board reads nothing any more, and all that may be sent has been."""
    bench = stuck(joined, name)
    bench.machine._pump = lambda: None
    bench.engine.cancel(bench.now)
    filled(bench)
    assert bench.engine.stop(bench.now)
    stop = b"\n" + bench.profile.emergency.encode()
    assert bench.engine.urgent_to_send(bench.now) == stop
    bench.machine.write(stop, bench.now)
    bench.live(5.0)
    assert not bench.machine.overflowed


def filled(bench):
    """Have the ring count as full: as if somebody cancelled again and again."""
    for _ in range(20):
        bench.engine._break_wait()
        bench.turn()


def test_the_switch_off_list_waits_for_room_and_then_goes(joined):
    """After a failure the ring is full; each answer makes room for some of it."""
    bench = stuck(joined, "marlin-1")
    bench.engine._fail("machine.silent", -1, "", bench.now)
    bench.turn()
    assert bench.engine.phase is Phase.FAULT
    full = bench.machine.board.rx_bytes
    assert len(bench.machine.ring.data) + len(bench.machine._incoming) <= full
    sent = len(bench.sent)
    bench.machine._pause = bench.machine._pause._replace(until=bench.now)  # it goes on
    bench.until("connected", longest=60.0)
    assert b"M140 S0" in bytes(bench.sent[sent:])
    assert bench.machine.record.of("executed")[-1]["line"] in ("M105", "M155 S2")
    assert "M104 S0" in bench.executed()
    assert not bench.machine.overflowed


def test_a_board_that_has_forgotten_all_is_found_although_its_ring_counted_as_full(joined):
    """It restarted, its banner was lost, and with it the answers that would have made room."""
    bench = stuck(joined, "marlin-1")
    filled(bench)
    bench.machine.faults._number.clear()  # once is enough
    bench.machine.reset(bench.now)
    bench.machine._speaks_from = bench.now + 3.0
    bench.engine._fail("machine.silent", -1, "", bench.now)
    sent = len(bench.sent)
    bench.live(3.0)
    assert len(bench.sent) == sent, "there is no room, as far as anybody knows"
    bench.until("connected", longest=60.0)


@pytest.mark.parametrize("name", ["marlin-2", "prusa-mk3"])
def test_an_ok_joined_to_a_report_does_not_end_a_program_too_early(joined, name):
    bench = joined(name)
    bench.start(LINES[:12])
    while b"M400" not in bench.sent:
        bench.turn()
    for surplus in (b"ok\n", *[b"ok T:21.9 /0.0 B:21.9 /0.0\n"] * 3):
        bench.events += bench.engine.receive(surplus, bench.now)
        out = bench.engine.data_to_send(bench.now)
        bench.sent += out
        bench.machine.write(out, bench.now)
    assert bench.until("finished") == "finished"
    assert bench.machine.planner.is_idle


def test_surplus_answers_without_number_do_not_end_a_program_too_early(joined):
    bench = joined("repetier", options=("plain-ok",), faults=("doubled-ok=0.3",), seed=3)
    bench.start(LINES)
    bench.until("finished")
    done = [line for line in bench.executed() if line.startswith("G1")]
    assert len(done) == len(LINES) - 1
    assert bench.machine.planner.is_idle


@pytest.mark.parametrize("fills_queue", [False, True])
def test_only_what_is_known_to_have_left_the_ring_is_safe_from_a_board_that_looks_away(
    joined, fills_queue
):
    """Why no profile says `fills_queue`: a told place is no promise to read what comes for it."""
    profile = replace(load_profile("marlin-2"), fills_queue=fills_queue)
    told = ("emergency-parser", "advanced-ok")
    lost = 0
    for moment in range(8):
        bench = joined("marlin-2", profile=profile, options=told, cpu=4.0)
        bench.start([b"M117 line %06d of many" % number for number in range(120)])
        while bench.machine.executed < 30 + moment:
            bench.turn()
        # Its main program does something else, as while it draws; bytes come in all the same.
        serve, bench.machine._run = bench.machine._run, lambda: None
        pump, bench.machine._pump = bench.machine._pump, lambda: None
        bench.live(0.2 if fills_queue else 1.9)
        bench.machine._run, bench.machine._pump = serve, pump
        lost += bool(bench.machine.overflowed)
        bench.until("finished", longest=120.0)
    assert lost == (8 if fills_queue else 0)
