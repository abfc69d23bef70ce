"""The simulated FarmBot does what the firmware's source says, and what people fear."""

from __future__ import annotations

import pytest

from drivers.simulators import Firmware, Wishes, build

READY = 2.0


def robot(*faults: str, options: tuple[str, ...] = (), settings: dict[str, float] | None = None):
    machine = build(
        "farmbot", Wishes(seed=1, faults=faults, options=options, settings=settings or {})
    )
    machine.read(READY)
    return machine


def said(machine: Firmware, line: str, at: float, lasts: float = 60.0) -> list[str]:
    machine.write(line.encode(), at)
    return machine.read(at + lasts).decode().split("\r\n")[:-1]


def plain(lines: list[str]) -> list[str]:
    """Leave out the reports that come by themselves."""
    noise = ("R99", "R81", "R82", "R84", "R04", "R00", "R87 Q0", "R88 Q0")
    return [line for line in lines if not line.startswith(noise)]


def test_it_boots_with_its_settings_and_says_so_last():
    machine = build("farmbot", Wishes())
    lines = machine.read(READY).decode().split("\r\n")
    assert lines[0] == "R99 Serial connection started"
    assert "R21 P2 V1 Q0" in lines
    assert lines[-2] == "R99 ARDUINO STARTUP COMPLETE"


def test_a_line_is_read_back_begun_and_finished_under_its_number():
    assert plain(said(robot(), "F82 Q7\n", READY, 1.0)) == ["R08 *F82 Q7*", "R01 Q7", "R02 Q7"]


def test_an_axis_that_is_not_named_goes_to_zero():
    machine = robot()
    said(machine, "G00 X10 Y20 Q1\n", READY)
    assert "R82 X10.00 Y0.00 Z0.00 Q2" in said(machine, "G00 X10 Q2\n", READY + 60)


def test_a_line_without_blanks_is_no_command():
    lines = plain(said(robot(), "G00X10Q3\n", READY))
    assert lines == ["R08 *G00X10Q3*", "R09 Q0"]


@pytest.mark.parametrize(
    ("line", "answer"), [("G01 X1 Q5", "R09 Q5"), ("M104 S1 Q5", "R09 Q0"), ("F99 Q5", "R09 Q5")]
)
def test_what_it_does_not_know_is_not_begun(line, answer):
    assert plain(said(robot(), f"{line}\n", READY))[-1] == answer


def test_each_axis_moves_for_itself_with_its_own_ramp():
    machine = robot()
    machine.write(b"G00 X100 Y10 Q1\n", READY)
    machine.read(READY + 2.0)
    # 50 to 400 steps/s within 300 steps: 500 steps of X take 4 s, 50 steps of Y less than 1 s.
    assert machine._steps[1] == 50
    assert 0 < machine._steps[0] < 500
    assert "R02 Q1" in machine.read(READY + 6.0).decode()


def test_whatever_comes_while_a_command_runs_is_thrown_away():
    machine = robot()
    machine.write(b"G00 X50 Q1\n", READY)
    machine.write(b"F41 P8 V1 M0 Q2\n", READY + 1.0)
    lines = machine.read(READY + 30.0).decode()
    assert "R02 Q1" in lines
    assert "Q2" not in lines
    assert machine.pins == {}


def test_a_command_that_only_waits_throws_even_a_stop_away():
    machine = robot()
    machine.write(b"F44 P8 V1 W0 T3000 M0 Q1\n", READY)
    machine.write(b"E", READY + 1.0)
    assert machine.pins == {8: 1}
    machine.read(READY + 4.0)
    assert (machine.pins, machine.is_locked) == ({8: 0}, False)


def test_a_stop_in_mid_move_cuts_it_and_locks_and_clears_the_pins():
    machine = robot()
    said(machine, "F41 P8 V1 M0 Q1\n", READY, 1.0)
    machine.write(b"G00 X500 Q2\n", READY + 1.0)
    machine.write(b"e", READY + 3.0)
    lines = plain(machine.read(READY + 3.5).decode().split("\r\n"))
    assert "R87 Q2" in lines
    assert "R03 V1 Q2" in lines
    assert machine.is_locked
    assert machine.pins == {8: 0}
    assert 0 < machine._steps[0] < 2500
    assert plain(said(machine, "G00 X1 Q3\n", READY + 9))[-1] == "R87 Q3"
    assert plain(said(machine, "F83 Q4\n", READY + 99))[-1] == "R02 Q4"
    assert plain(said(machine, "F09 Q5\n", READY + 199))[-1] == "R02 Q5"
    assert plain(said(machine, "G00 X1 Q6\n", READY + 299))[-1] == "R02 Q6"


def test_an_abort_ends_the_move_and_nothing_else():
    machine = robot()
    machine.write(b"G00 X500 Q2\n", READY)
    machine.write(b"@", READY + 2.0)
    lines = machine.read(READY + 3.0).decode()
    assert "R86 Q2" in lines
    assert "R03 V5 Q2" in lines
    assert not machine.is_locked


def test_an_abort_when_nothing_moves_stands_in_the_next_line():
    machine = robot()
    machine.write(b"@", READY)
    assert plain(said(machine, "F82 Q2\n", READY + 1.0)) == ["R08 *@F82 Q2*", "R09 Q0"]


def test_an_axis_that_does_not_arrive_is_a_timeout_without_a_second_try():
    machine = robot("jam-at-line=1", settings={"11": 20})
    lines = said(machine, "G00 X500 Q2\n", READY)
    assert "R71" in lines
    assert plain(lines)[-1] == "R03 V2 Q2"
    assert "R07 Q2" not in lines


def test_an_error_of_a_move_locks_if_the_setting_says_so():
    machine = robot("jam-at-line=1", settings={"11": 20, "4": 1})
    said(machine, "G00 X500 Q2\n", READY)
    assert machine.is_locked


def test_it_does_not_move_until_its_settings_are_approved():
    machine = robot(settings={"2": 0})
    assert plain(said(machine, "G00 X1 Q2\n", READY))[-1] == "R88 Q2"
    assert "R21 P2 V1 Q3" in said(machine, "F22 P2 V1 Q3\n", READY + 99)
    assert plain(said(machine, "G00 X1 Q4\n", READY + 199))[-1] == "R02 Q4"


@pytest.mark.parametrize(("options", "count"), [((), 2), (("fast-reports",), 20)])
def test_idle_it_reports_every_few_seconds(options, count):
    machine = robot(options=options)
    assert machine.read(READY + 10.5).decode().count("R00 Q0") == pytest.approx(count, abs=1)


def test_a_move_past_the_end_of_an_axis_is_shortened_or_strikes():
    machine = robot(settings={"141": 1000, "145": 1})
    assert "R15 X200 Q2" in said(machine, "G00 X500 Q2\n", READY)
    assert not machine.record.of("struck")
    hard = robot()
    said(hard, "G00 X2600 Q2\n", READY)
    assert hard.record.of("struck")


def test_homing_seeks_the_end_stop_twice_and_says_so():
    machine = robot()
    lines = said(machine, "F11 Q2\n", READY)
    assert "R11 Q2" in lines
    assert plain(lines)[-1] == "R02 Q2"


def test_a_long_line_is_taken_where_its_buffer_ends():
    lines = said(robot(), "F82" + " X1" * 60 + " Q2\n", READY)
    assert lines[0].startswith("R08 *F82 X1 X1")
    assert len(lines[0]) < 110
