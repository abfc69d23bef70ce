"""A simulated Repetier answers as its `gcode.cpp` says."""

from __future__ import annotations

from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time."""

    def __init__(self, *options: str, **wishes: object) -> None:
        self.board: Firmware = build("repetier", Wishes(options=options, **wishes))  # type: ignore[arg-type]
        self.now = 3.0
        self.greeting = self.board.read(self.now).decode()

    def say(self, text: str, seconds: float = 0.1) -> list[str]:
        self.board.write(text.encode() + b"\n", self.now)
        return self.wait(seconds)

    def wait(self, seconds: float) -> list[str]:
        self.now += seconds
        return self.board.read(self.now).decode().split()

    def lines(self) -> list[object]:
        return [fact["line"] for fact in self.board.record.of("executed")]


def checked(number: int, text: str) -> str:
    body = f"N{number} {text}"
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"{body}*{total}"


def test_an_ok_names_its_line_and_comes_when_the_line_is_taken():
    host = Host()
    assert host.say(checked(1, "G4 P500"), 0.05) == ["ok", "1"]
    assert host.lines() == []
    assert host.say(checked(2, "M114"), 0.05) == []  # no place yet
    assert host.wait(1.0)[:2] == ["ok", "2"]
    assert Host("plain-ok").say(checked(1, "M84")) == ["ok"]


def test_temperatures_come_on_a_line_of_their_own():
    assert " ".join(Host().say("M105")) == "ok 0 T:21.90 /0 B:21.90 /0 B@:0 @:0"


def test_a_line_it_has_is_skipped_and_one_too_early_is_asked_for():
    host = Host()
    host.say(checked(1, "M84"))
    assert host.say(checked(1, "M84")) == ["skip", "1", "ok"]
    assert host.say(checked(3, "M84"))[-2:] == ["Resend:2", "ok"]
    assert host.say(checked(4, "M84"), 0.01) == ["skip", "4", "ok"]
    assert host.lines() == ["M84"]
    assert host.say(checked(2, "M84")) == ["ok", "2"]


def test_it_asks_again_for_a_line_that_does_not_come():
    host = Host()
    host.say("N1 M84*1")
    assert host.wait(0.5).count("Resend:1") == 2
    half = Host()
    half.board.write(b"N1 M8", half.now)
    assert half.wait(0.3) == ["Resend:1", "ok"]


def test_it_says_wait_when_it_has_nothing_to_do():
    host = Host()
    host.say("M84")
    assert host.wait(5.0).count("wait") in (4, 5)


def test_it_says_what_it_is_busy_with():
    host = Host()
    heard = host.say("M109 S200", 10.0)
    assert heard.count("busy:heating") == 4
    assert "start" in Host().greeting


def test_a_line_without_checksum_is_taken_unless_it_must_have_one():
    assert Host().say("N1 M84") == ["ok", "1"]
    assert "Resend:1" in Host("forced-checksum").say("N1 M84")
    assert Host().say("N1 G1 X5 ;*44") == ["ok", "1"]


def test_m112_and_m108_are_seen_behind_a_full_buffer():
    host = Host()
    host.say("M109 S200\nM105\nM105", 1.0)
    host.say("M108", 1.0)
    assert host.board.record.of("emergency")
    assert host.lines()[0] == "M109 S200"
    host.say("G4 S60\nG4 S60\nM112", 1.0)
    assert host.board.record.of("killed")
    assert host.say("M105", 5.0) == []


def test_a_fatal_error_lasts_until_m999():
    host = Host(faults=("thermistor-at-line=1",))
    assert "fatal:Heater/sensor" in host.say("M84")
    assert "fatal:Heater/sensor" in host.say("M105")
    assert "info:Continue" in host.say("M999")
    assert "fatal:Heater/sensor" not in host.say("M105")
