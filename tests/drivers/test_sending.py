"""Sending a file, as far as no machine is needed, and over a pty to a simulated one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.errors import PortError, ProgramError
from drivers.profile import load_profile
from drivers.sending import FileProgram, Result, send_file
from drivers.simulators import PtyMachine

MARLIN = load_profile("marlin-2")
GRBL = load_profile("grbl-1.1")


def scanned(path: Path, text: bytes, profile=MARLIN) -> FileProgram:
    path.write_bytes(text)
    program = FileProgram(path)
    with_lines = False
    try:
        program.scan(profile.forbidden, profile.max_line_bytes)
        with_lines = True
        return program
    finally:
        if not with_lines:
            program.__exit__(None, None, None)


def test_comments_and_blank_lines_go_and_the_line_of_the_file_stays(tmp_path: Path):
    text = b";LAYER\n\nG28 ; home\r\n(note)\nG1 X1"
    with scanned(tmp_path / "a.gcode", text) as program:
        assert [program.line(i) for i in range(len(program))] == [b"G28", b"G1X1"]
        assert [program.source_line(i) for i in range(len(program))] == [3, 5]


@pytest.mark.parametrize(
    ("text", "profile", "code", "line"),
    [
        (b"", MARLIN, "program.empty", 0),
        (b"; nothing\n", MARLIN, "program.empty", 0),
        (b"G28\nm0500\n", MARLIN, "program.forbidden", 2),
        (b"G21\n\n$100=5\n", GRBL, "program.forbidden", 3),
        (b"G90 G10 L2 P1 X0\n", GRBL, "program.forbidden", 1),
        (b"G28\nM117 " + b"x" * 99, MARLIN, "program.line_too_long", 2),
    ],
)
def test_what_may_not_run_is_refused_before_the_first_byte(tmp_path, text, profile, code, line):
    with pytest.raises(ProgramError) as caught:
        scanned(tmp_path / "a.gcode", text, profile)
    assert (caught.value.code, caught.value.line) == (code, line)


def test_words_in_a_message_are_no_commands(tmp_path: Path):
    with scanned(tmp_path / "a.gcode", b"M117 M500 saves\nM5001\n") as program:
        assert len(program) == 2


def test_an_unknown_port_and_file_are_said(tmp_path: Path):
    file = tmp_path / "a.gcode"
    with pytest.raises(ProgramError, match="unreadable"):
        send_file(file, "/dev/nowhere", MARLIN)
    file.write_text("G28\n")
    with pytest.raises(PortError) as caught:
        send_file(file, str(tmp_path / "nowhere"), MARLIN)
    assert caught.value.code == "port.not_found"


@pytest.mark.parametrize("profile", [MARLIN, GRBL], ids=lambda profile: profile.name)
def test_a_file_is_streamed_to_a_simulated_machine(tmp_path: Path, profile):
    file = tmp_path / "a.gcode"
    file.write_text("G21\nG90 ; absolute\n" + "".join(f"G1 X{-x % 9} F3000\n" for x in range(60)))
    with PtyMachine(profile.name, speed=200.0) as machine:
        result = send_file(file, str(machine.port), replace(profile, boot_wait_s=1.0))
    assert (result.result, result.lines, result.reason) == (Result.DONE, 62, "")


def test_should_stop_cancels_with_the_heaters_off(tmp_path: Path):
    file = tmp_path / "a.gcode"
    file.write_text("M109 S200\nG28\n")
    with PtyMachine("marlin-2", speed=5.0) as machine:
        seen = []

        def should_stop() -> bool:
            return bool(seen) and seen[-1].sent > 0

        result = send_file(
            file,
            str(machine.port),
            replace(MARLIN, boot_wait_s=1.0),
            on_progress=seen.append,
            should_stop=should_stop,
        )
        machine.stop()
        log = machine.log.read_text("utf-8")
    assert result.result is Result.CANCELLED
    assert "M104 S0" in log
    assert "G28" not in log


def test_a_port_that_goes_away_is_an_interruption(tmp_path: Path):
    file = tmp_path / "a.gcode"
    file.write_text("G4 P100\n" * 50)
    with PtyMachine("marlin-2", speed=50.0, arguments=["--fault", "unplug-at-line=5"]) as machine:
        result = send_file(file, str(machine.port), replace(MARLIN, boot_wait_s=1.0))
    assert (result.result, result.reason) == (Result.INTERRUPTED, "port.lost")


HOT = "M104 S200\nM109 S200\n" + "".join(f"G1 X{n % 100} F6000\n" for n in range(3000))


def sent_hot(tmp_path: Path, *faults: str, profile=MARLIN):
    file = tmp_path / "hot.gcode"
    file.write_text(HOT)
    arguments = [word for fault in faults for word in ("--fault", fault)]
    with PtyMachine("marlin-2", speed=60.0, arguments=arguments) as machine:
        result = send_file(file, str(machine.port), replace(profile, boot_wait_s=1.0))
        machine.stop()
        return result, machine.log.read_text("utf-8")


def test_a_heater_that_cannot_be_switched_off_stops_a_sending_and_says_its_numbers(tmp_path: Path):
    result, log = sent_hot(tmp_path, "runaway-at-line=4")
    assert (result.result, result.reason) == (Result.FAILED, "heater.over")
    assert (result.fields["heater"], result.fields["target_c"]) == ("T", 200.0)
    assert float(result.fields["measured_c"]) > float(result.fields["limit_c"])
    assert "M112" in log
    assert 2 < result.lines < 3000


def test_a_heater_that_warms_too_slowly_stops_a_sending(tmp_path: Path):
    # The simulated board lives 60 times as fast, and so does the watch over it.
    quick = replace(MARLIN, heat_rise_s={"T": 1.0, "B": 1.0, "C": 1.0})
    result, log = sent_hot(tmp_path, "heater-at-line=1", profile=quick)
    assert (result.result, result.reason) == (Result.FAILED, "heater.slow")
    assert "M112" in log
