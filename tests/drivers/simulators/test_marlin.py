"""A simulated Marlin answers as unmodified boards were seen to answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.flow import Line, NumberedWindow
from drivers.profile import load_profile
from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time: it writes, waits and reads."""

    def __init__(self, profile: str = "marlin-2", **wishes: object) -> None:
        self.board: Firmware = build(profile, Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 3.0
        self.greeting = self.read()

    def read(self) -> str:
        return self.board.read(self.now).decode()

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return self.read()

    def say(self, text: str | bytes, seconds: float = 0.1) -> str:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        self.board.write(data, self.now)
        return self.wait(seconds)

    def ask(self, text: str) -> str:
        """Send a line and go to the very instant of its answer."""
        self.board.write(text.encode() + b"\n", self.now)
        heard = ""
        for _ in range(20_000):
            heard += self.read()
            if heard.startswith(("ok", "error")) or "\nok" in heard:
                return heard
            at = self.board.deadline()
            assert at is not None, f"no answer to {text}: {heard}"
            self.now = max(at, self.now)
        raise AssertionError(f"{text} was never answered")

    def rate(self, lines: list[str]) -> float:
        """Answered lines in a second, one outstanding."""
        began = self.now
        for line in lines:
            self.ask(line)
        return len(lines) / (self.now - began)

    def lines(self) -> list[object]:
        return [fact["line"] for fact in self.board.record.of("executed")]


def checked(number: int, text: str) -> str:
    body = f"N{number} {text}"
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"{body}*{total}"


def test_it_greets_with_start_and_its_name() -> None:
    greeting = Host().greeting.splitlines()
    assert greeting[:2] == ["start", "Marlin 2.1.2"]
    assert greeting[2].startswith("echo:")


def test_m115_names_the_firmware_and_its_capabilities() -> None:
    heard = Host().say("M115", 1.0).splitlines()
    assert heard[0].startswith("FIRMWARE_NAME:Marlin 2.1.2")
    assert "Cap:AUTOREPORT_TEMP:1" in heard
    assert "Cap:EMERGENCY_PARSER:0" in heard
    assert heard[-1] == "ok"
    with_parser = Host(options=("emergency-parser",))
    assert "Cap:EMERGENCY_PARSER:1" in with_parser.say("M115", 1.0)
    assert "Cap:" not in Host("marlin-1").say("M115", 1.0)


def test_temperatures_ride_on_the_ok_of_m105() -> None:
    assert Host().say("M105") == "ok T:21.90 /0.00 B:21.90 /0.00 @:0 B@:0\n"


def test_reports_of_m155_begin_with_a_blank_and_come_on_time() -> None:
    host = Host()
    assert host.say("M155 S2") == "ok\n"
    reports = host.wait(6.0).splitlines()
    assert len(reports) == 3
    assert all(report.startswith(" T:21.90 /0.00 B:") for report in reports)


def test_a_wrong_checksum_is_asked_for_again() -> None:
    host = Host()
    for number in (1, 2):
        assert host.say(checked(number, "G4 P0")) == "ok\n"
    assert host.say("N3 G4 P0*1") == "Error:checksum mismatch, Last Line: 2\nResend: 3\nok\n"
    assert host.say(checked(3, "G4 P0")) == "ok\n"


def test_a_number_that_jumps_is_asked_for_again() -> None:
    host = Host()
    host.say(checked(1, "G4 P0"))
    heard = host.say(checked(3, "G4 P0"))
    assert heard == ("Error:Line Number is not Last Line Number+1, Last Line: 1\nResend: 2\nok\n")
    assert host.lines() == ["G4 P0"]


def test_a_number_without_checksum_is_asked_for_again() -> None:
    heard = Host().say("N1 G4 P0")
    assert heard == "Error:No Checksum with line number, Last Line: 0\nResend: 1\nok\n"


def test_a_repeated_number_is_silent_on_marlin_2_and_asked_for_on_marlin_1() -> None:
    for profile, answer in (("marlin-2", ""), ("marlin-1", "Resend: 2\nok\n")):
        host = Host(profile)
        host.say(checked(1, "G4 P0"))
        assert host.say(checked(1, "G4 P0")).endswith(answer)
        assert (host.say(checked(1, "G4 P0")) == "") == (answer == "")
        assert host.lines() == ["G4 P0"]


def test_a_flipped_n_is_an_unknown_command_that_is_answered() -> None:
    host = Host()
    assert host.say("O1 G4 P0*5") == 'echo:Unknown command: "O1 G4 P0"\nok\n'
    assert "Resend: 1" in host.say(checked(2, "G4 P0"))


def test_m110_sets_the_number_with_and_without_a_checksum() -> None:
    host = Host()
    assert host.say(checked(41, "M110 N70")) == "ok\n"
    assert host.say(checked(71, "G4 P0")) == "ok\n"
    assert host.say("M110 N5") == "ok\n"
    assert host.say(checked(6, "G4 P0")) == "ok\n"


def test_empty_and_comment_lines_get_no_answer_and_unknown_ones_do() -> None:
    host = Host()
    assert host.say("") == ""
    assert host.say("; nothing") == ""
    assert host.say("FOO") == 'echo:Unknown command: "FOO"\nok\n'
    assert host.say("G4 P0 ; a comment") == "ok\n"
    assert host.lines()[-1] == "G4 P0"


def test_a_long_line_is_cut_without_a_word() -> None:
    host = Host()
    assert host.say("M117 " + "x" * 200) == "ok\n"
    assert len(str(host.lines()[-1])) == 95


def test_advanced_ok_counts_free_places_except_for_m105_and_resends() -> None:
    host = Host(options=("advanced-ok",))
    assert host.say("G4 P0") == "ok P15 B3\n"
    assert host.say(checked(1, "G4 P0")) == "ok N1 P15 B3\n"
    assert host.say("M105").startswith("ok T:")
    assert host.say("N9 G4 P0*1").endswith("Resend: 2\nok\n")


def test_it_says_that_it_is_busy_every_two_seconds_and_heats_in_a_minute_and_a_half() -> None:
    host = Host()
    began = host.now
    heard = host.ask("M109 S215")
    assert 75.0 < host.now - began < 105.0
    assert heard.count("echo:busy: processing\n") == int((host.now - began) / 2)
    assert " W:?" in heard
    assert heard.endswith("ok\n")
    assert host.ask("G4 S5").count("echo:busy: processing") == 2


def test_m108_ends_a_heat_up_only_where_there_is_an_emergency_parser_or_room() -> None:
    host = Host()
    host.say("M109 S215", 5.0)
    assert "ok" in host.say("M108", 1.0)
    stuffed = Host()
    stuffed.say("M109 S215\nG4 P1\nG4 P1\nG4 P1\nM108", 5.0)
    assert "ok" not in stuffed.wait(10.0)
    parsed = Host(options=("emergency-parser",))
    parsed.say("M109 S215\nG4 P1\nG4 P1\nG4 P1\nM108", 5.0)
    assert parsed.lines()[0] == "M109 S215"


def test_m112_halts_even_during_a_dwell_and_then_there_is_silence_until_a_reset() -> None:
    host = Host()
    host.say("M104 S200\nG4 S60", 1.0)
    heard = host.say("M112")
    assert heard == "echo:M112 Shutdown\nError:Printer halted. kill() called!\n"
    assert host.say("M105", 10.0) == ""
    assert host.board.deadline() is None
    host.board.reset(host.now)
    assert host.wait(3.0).startswith("start\n")
    assert " /0.00 B:" in host.say("M105")


def test_m410_stops_a_long_move_at_once() -> None:
    host = Host()
    host.ask("G1 X200 F600")
    host.wait(5.0)
    host.ask("M410")
    assert host.board.planner.is_idle
    heard = host.ask("M114")
    assert heard.startswith("X:4")
    assert " Count X:3" in heard


def test_m0_waits_for_a_person_or_m108() -> None:
    host = Host(options=("emergency-parser", "prompts"))
    heard = host.say("M0 Change the plate", 5.0)
    assert heard.startswith("//action:prompt_begin Change the plate\n")
    assert heard.count("echo:busy: paused for user\n") == 2
    assert host.say("M108").startswith("ok\n")


def test_cold_extrusion_is_prevented_and_answered() -> None:
    host = Host()
    assert host.say("G1 X10 E5 F600") == "echo: cold extrusion prevented\nok\n"
    assert host.board.record.of("cold-extrusion")


def test_a_homed_printer_stays_inside_its_envelope_and_an_unhomed_one_strikes() -> None:
    homed = Host(envelope=(220.0, 220.0, 250.0))
    homed.ask("G28")
    homed.ask("G1 X500 F6000")
    homed.ask("M400")
    assert homed.board.record.of("clamped")
    assert not homed.board.record.of("struck")
    lost = Host()
    lost.ask("G1 X500 F6000")
    lost.ask("M400")
    assert lost.board.record.of("struck")
    assert not lost.board.record.of("clamped")


def test_numbers_read_in_relative_and_shifted_coordinates() -> None:
    host = Host()
    for line in ("G91", "G1 X10 F3000", "G1 X10", "G90", "G92 X0", "G1 X5", "M400"):
        host.ask(line)
    assert host.ask("M114").startswith("X:5.00 Y:0.00")
    assert host.board.planner.end[0] == pytest.approx(25.0)


def test_an_arc_ends_where_it_should() -> None:
    host = Host()
    began = host.now
    host.ask("G2 X20 Y0 I10 J0 F600")
    host.ask("M400")
    assert host.ask("M114").startswith("X:20.00 Y:0.00")
    assert host.now - began == pytest.approx(31.4 / 10, rel=0.2)


@pytest.mark.parametrize(
    ("profile", "line", "measured"),
    [
        ("marlin-2", "G4 P0", 995),
        ("marlin-2", "M105", 143),
        ("marlin-1", "M105", 143),
        ("marlin-2", "G1 X{} F6000", 149),
        ("grbl-1.1", "G4 P0", 535),
        ("grbl-1.1", "G91", 664),
        ("grbl-1.1", "G1 X{} F2000", 148),
    ],
)
def test_it_takes_lines_about_as_fast_as_the_real_board(
    profile: str, line: str, measured: int
) -> None:
    host = Host(profile)
    lines = [line.format(f"{i * 0.01:.2f}") for i in range(1, 300)]
    assert host.rate(lines) == pytest.approx(measured, rel=0.2)


def test_more_bytes_than_the_ring_holds_are_lost_and_counted() -> None:
    host = Host()
    host.say("G4 S1", 0.1)
    host.say("\n".join(["G1 X1 F600"] * 40), 3.0)
    assert host.board.overflowed > 0
    assert len(host.lines()) < 41
    small = Host()
    small.say("G4 S1", 0.1)
    small.say("\n".join(["G1 X1 F600"] * 11), 3.0)
    assert small.board.overflowed == 0
    assert len(small.lines()) == 12


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    gaps=st.lists(st.floats(0.0, 0.05), min_size=1, max_size=30),
)
def test_however_the_bytes_are_cut_the_same_lines_are_executed(
    cuts: list[int], gaps: list[float]
) -> None:
    wanted = [f"G1 X{i} F6000" for i in range(1, 9)]
    data = "".join(f"{line}\n" for line in wanted).encode()
    host = Host()
    for i in range(200):
        if not data:
            break
        piece, data = data[: cuts[i % len(cuts)]], data[cuts[i % len(cuts)] :]
        host.say(piece, gaps[i % len(gaps)])
    host.wait(10.0)
    assert host.lines() == wanted
    assert host.board.overflowed == 0


def test_m110_sets_the_number_again_when_it_is_executed() -> None:
    """Lines taken into the queue behind it are forgotten; a host must wait for its answer."""
    host = Host()
    behind = [checked(0, "M110 N0"), checked(1, "G4 P0"), checked(2, "G4 P0")]
    host.say("\n".join(["G4 P100", *behind]), 0.5)
    assert host.say(checked(3, "G4 P0")).startswith("Error:Line Number is not")
    host = Host()
    host.say(checked(0, "M110 N0"))
    assert host.say(checked(1, "G4 P0")) == host.say(checked(2, "G4 P0")) == "ok\n"


def left_of(line: str) -> list[str]:
    """The ends of a line that a Marlin executes if all before was thrown away."""
    ends = []
    for cut in range(1, len(line)):
        host = Host()
        host.say(line[cut:])
        if any(str(done).startswith("G1") for done in host.lines()):
            ends.append(line[cut:])
    return ends


def test_a_line_without_a_blank_behind_its_number_can_be_torn_in_one_place_only() -> None:
    """Marlin 2 executes a line that has no number, with a checksum or not (queue.cpp)."""
    for text, ends in ((b"N12 G1 X5*93", 2), (b"N12G1 X5*125", 1)):
        assert len(left_of(text.decode())) == ends
    profile = load_profile("marlin-2")
    assert not profile.number_gap
    assert not load_profile("prusa-buddy").number_gap
    window = NumberedWindow(profile.rx_bytes, 3, 4, lead=b"")
    assert window.send(Line(b"G1 X5")) == b"N1G1 X5*68\n"


def test_a_marlin_1_refuses_what_is_left_of_a_torn_line() -> None:
    host = Host("marlin-1")
    assert "No Line Number with checksum" in host.say("G1 X5*68")
    assert host.lines() == []
