"""A simulated Smoothieboard answers as its `GcodeDispatch.cpp` says."""

from __future__ import annotations

from drivers.gcode import numbered
from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time."""

    def __init__(self, **wishes: object) -> None:
        self.board: Firmware = build("smoothieware", Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 3.0
        self.greeting = self.board.read(self.now).decode()

    def say(self, text: str | bytes, seconds: float = 0.1) -> str:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        self.board.write(data, self.now)
        return self.wait(seconds)

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return self.board.read(self.now).decode()

    def lines(self) -> list[object]:
        return [fact["line"] for fact in self.board.record.of("executed")]


def test_it_greets_with_its_name_and_an_ok():
    assert Host().greeting == "Smoothie\r\nok\r\n"


def test_a_wrong_number_or_checksum_is_asked_for_without_an_ok():
    host = Host()
    assert host.say("N0 M110 N0*125") == "ok\n"
    assert host.say("N1 M84*1") == "rs N1\n"
    assert host.say(numbered(5, b"M84")) == "rs N1\n"
    assert host.say(numbered(1, b"M84")) == "ok\n"
    assert host.say(numbered(1, b"M84")) == "rs N2\n"
    assert host.lines() == ["M84"]


def test_what_is_no_command_is_answered():
    host = Host()
    assert host.say("") == "ok\n"
    assert host.say("^7 G1 X5*3") == "ok\n"
    assert host.lines() == []


def test_temperatures_and_position_ride_on_the_ok():
    host = Host()
    assert host.say("M105") == "ok T:21.9 /0.0 @0 B:21.9 /0.0 @0\n"
    assert host.say("M114") == "ok C: X:0.0000 Y:0.0000 Z:0.0000\n"
    assert host.say("M115").startswith("FIRMWARE_NAME:Smoothieware, ")


def test_a_move_is_answered_before_it_is_planned():
    host = Host()
    host.say(b"".join(b"G1 X%d F60\n" % x for x in range(1, 24)), 0.1)
    host.say(b"".join(b"G1 X%d F60\n" % x for x in range(24, 44)), 1.0)
    assert host.say("G1 X99 F60", 0.01) == "", "a full planner holds the one before it"
    first = Host()
    assert first.say("G1 X100 F60", 0.01) == "ok\n"


def test_control_x_halts_at_once_until_m999():
    host = Host()
    host.say("M104 S200\nG4 P60000", 1.0)
    assert host.say(b"\x18").startswith("HALTED, M999")
    assert host.say("G1 X5 F600") == "!!\n"
    assert host.say("M105").startswith("ok T:")
    assert host.say("M999").endswith("ok\n")
    assert host.say("G1 X5 F600") == "ok\n"
