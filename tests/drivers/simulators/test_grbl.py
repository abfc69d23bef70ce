"""A simulated Grbl answers as an unmodified board was seen to answer."""

from __future__ import annotations

import pytest

from drivers.simulators import Firmware, Wishes, build
from drivers.simulators.grbl import BANNER

LOCKED = "[MSG:'$H'|'$X' to unlock]\r\n"
HOMING = {"22": 1.0, "20": 1.0}


class Host:
    """A host that lives in simulated time."""

    def __init__(self, **wishes: object) -> None:
        self.board: Firmware = build("grbl-1.1", Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 1.0
        self.greeting = self.board.read(self.now).decode()

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return self.board.read(self.now).decode()

    def say(self, text: str | bytes, seconds: float = 0.1) -> str:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        self.board.write(data, self.now)
        return self.wait(seconds)


def test_it_greets_after_an_empty_line() -> None:
    assert Host().greeting == "\r\n" + BANNER
    assert Host(settings=HOMING).greeting == "\r\n" + BANNER + LOCKED


def test_a_status_is_answered_within_six_milliseconds_and_not_with_ok() -> None:
    heard = Host().say(b"?", 0.006)
    assert heard == "<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>\r\n"


def test_offset_and_overrides_come_only_now_and_then() -> None:
    host = Host()
    reports = [host.say(b"?") for _ in range(22)]
    assert [i for i, report in enumerate(reports) if "WCO:" in report] == [0, 10, 20]
    assert [i for i, report in enumerate(reports) if "Ov:" in report] == [1, 11, 21]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("G1X1", 22),
        ("G1Xfoo", 2),
        ("$foo", 3),
        ("$Q", 3),
        ("G1" + "X1" * 60, 11),
        ("G0G1X1", 24),
        ("G90G91", 21),
        ("G0X1X2", 25),
        ("M6", 20),
        ("G5", 20),
        ("G54.3", 23),
        ("F-1", 4),
        ("1G1", 1),
        ("G2X1", 22),
        ("G4", 28),
        ("G0I1", 36),
        ("$H", 5),
        ("$20=1", 10),
        ("$J=X1", 22),
        ("$J=G1X1F100", 16),
    ],
)
def test_each_mistake_has_its_number(line: str, error: int) -> None:
    assert Host().say(line) == f"error:{error}\r\n"


@pytest.mark.parametrize("line", ["", "(all comment)", "; same", "g1 x1 (in) f100", "N5G4P0", "T3"])
def test_what_is_right_is_answered_with_ok(line: str) -> None:
    assert Host().say(line) == "ok\r\n"


def test_a_feed_hold_brakes_waits_and_goes_on() -> None:
    host = Host()
    host.say("G1X100F3000", 1.0)
    host.say(b"!", 0.0)
    assert host.say(b"?", 0.01).startswith("<Hold:1|")
    held = host.say(b"?", 1.0) and host.say(b"?")
    assert held.startswith("<Hold:0|")
    assert held == host.say(b"?") or "Ov" in held
    assert host.say("G4P0") == ""
    assert host.say(b"~?", 0.1).startswith("<Run|")
    assert host.wait(3.0) == "ok\r\n"
    assert "MPos:100.000" in host.say(b"?")


def test_a_reset_while_moving_loses_the_place_and_locks() -> None:
    host = Host()
    host.say("G1X100F600", 1.0)
    assert host.say(b"\x18", 1.0) == "ALARM:3\r\n" + BANNER + LOCKED
    assert host.say("G1X1F100") == "error:9\r\n"
    assert host.say("$X") == "[MSG:Caution: Unlocked]\r\nok\r\n"
    assert host.say("G4P0") == "ok\r\n"


def test_a_reset_when_idle_is_only_a_banner() -> None:
    host = Host()
    assert host.say(b"\x18") == BANNER
    assert host.say("G4P0") == "ok\r\n"


def test_a_reset_in_a_completed_hold_keeps_the_place() -> None:
    host = Host()
    host.say("G1X100F600", 1.0)
    host.say(b"!", 1.0)
    assert host.say(b"\x18", 1.0) == BANNER
    assert host.say(b"?").startswith("<Idle|MPos:9.9")


def test_a_soft_limit_answers_nothing_until_reset() -> None:
    host = Host(settings=HOMING)
    host.say("$H", 40.0)
    heard = host.say("G0X5", 1.0)
    assert heard == "ALARM:2\r\n[MSG:Reset to continue]\r\n"
    assert host.say(b"?", 5.0) == ""
    assert host.say("G4P0", 5.0) == ""
    heard = host.say(b"\x18", 1.0)
    assert heard.endswith(BANNER + LOCKED)


def test_a_hard_limit_is_alarm_one() -> None:
    host = Host(faults=("limit-at-line=2",))
    host.say("G1X1F1000")
    assert "ALARM:1\r\n[MSG:Reset to continue]\r\n" in host.say("G1X2")
    assert host.say(b"?") == ""


def test_homing_takes_real_time_and_ends_at_the_far_corner() -> None:
    host = Host(settings=HOMING)
    assert host.say("G0X1") == "error:9\r\n"
    assert host.say("$H", 10.0) == ""
    assert host.say(b"?", 0.1) == ""
    assert host.wait(20.0).endswith("ok\r\n")
    assert "<Idle|MPos:-1.000,-1.000,-1.000" in host.say(b"?")
    assert host.say("$J=G91X50F1000") == "error:15\r\n"


def test_settings_are_not_told_while_moving_and_survive_a_reset() -> None:
    host = Host()
    assert host.say("$110=1234", 1.0) == "ok\r\n"
    host.board.reset(host.now)
    host.wait(1.0)
    assert "$110=1234.000\r\n" in host.say("$$", 1.0)
    host.say("G1X100F600", 0.5)
    assert host.say("$$") == "error:8\r\n"


def test_a_write_to_the_eeprom_makes_it_deaf() -> None:
    host = Host()
    host.say(b"G10L2P1X5\nG4P0\nG4P0\nG4P0\n", 1.0)
    assert host.board.record.of("deaf")
    executed = [fact["line"] for fact in host.board.record.of("executed")]
    assert len(executed) < 4


def test_the_probe_reports_where_it_touched() -> None:
    host = Host()
    assert host.say("G38.2Z-10F500", 5.0) == "[PRB:0.000,0.000,-5.000:1]\r\nok\r\n"
    assert host.say("G38.2Z-20F500", 5.0).startswith("ALARM:5\r\n[PRB:")


def test_a_jog_is_cancelled_by_its_byte() -> None:
    host = Host()
    assert host.say("$J=G91X100F1000", 0.5) == "ok\r\n"
    assert host.say(b"?", 0.01).startswith("<Jog|")
    assert host.say("G4P0") == "error:9\r\n"
    host.say(b"\x85", 1.0)
    report = host.say(b"?")
    assert report.startswith("<Idle|MPos:1")
    assert host.say("G4P0") == "ok\r\n"


def test_the_feed_override_is_told_and_felt() -> None:
    host = Host()
    host.say(b"?")
    host.say(b"?")
    assert "Ov:110,100,100" in host.say(b"\x91?")
    host.say("G1X100F600", 0.5)
    assert "FS:660,0" in host.say(b"?", 0.1)


def test_a_program_pause_waits_for_cycle_start() -> None:
    host = Host()
    assert host.say("M0", 1.0) == ""
    assert host.say(b"?").startswith("<Hold:0")
    assert host.say(b"~", 0.1) == "ok\r\n"


def test_a_program_end_stops_the_spindle() -> None:
    host = Host()
    host.say("M3S8000")
    assert "FS:0,8000" in host.say(b"?")
    assert host.say("M2") == "[MSG:Pgm End]\r\nok\r\n"
    assert "FS:0,0" in host.say(b"?")


def test_check_mode_moves_nothing() -> None:
    host = Host()
    assert host.say("$C") == "[MSG:Enabled]\r\nok\r\n"
    assert host.say("G1X50F1000", 5.0) == "ok\r\n"
    assert host.say(b"?").startswith("<Check|")
    assert "[MSG:Disabled]" in host.say("$C", 1.0)
    assert "<Idle|MPos:0.000" in host.say(b"?")


def test_an_overflow_is_silent() -> None:
    host = Host()
    heard = host.say(b"G1X1.00F1000\n" * 60, 10.0)
    assert host.board.overflowed > 0
    assert heard.count("\r\n") < 40


def test_a_window_of_the_size_of_the_ring_never_overflows() -> None:
    host = Host()
    lines = [f"G1X{i % 7}Y{i % 5}F1500" for i in range(80)]
    flight: list[int] = []
    heard = ""
    sent = 0
    for _ in range(20_000):
        while sent < len(lines) and sum(flight) + len(lines[sent]) + 1 <= 127:
            host.board.write(f"{lines[sent]}\n".encode(), host.now)
            flight.append(len(lines[sent]) + 1)
            sent += 1
        heard += host.wait(0.005)
        while "\r\n" in heard:
            answer, _, heard = heard.partition("\r\n")
            assert answer == "ok"
            flight.pop(0)
        if sent == len(lines) and not flight:
            break
    assert host.board.overflowed == 0
    assert [fact["line"] for fact in host.board.record.of("executed")] == lines


def test_inches_arcs_and_work_offsets_lead_to_the_right_place() -> None:
    host = Host()
    for line in ("G10L20P1X100Y0Z0", "G20G90", "G0X0Y0", "G21", "G2X-90Y0I5J0F5000"):
        assert host.say(line, 5.0) in ("ok\r\n",) or line.startswith("G2X")
    assert host.say("G1X110F5000", 5.0) == "ok\r\n"
    host.say("G2X120Y0R5F5000", 5.0)
    assert "MPos:20.000,0.000,0.000" in host.say(b"?")
