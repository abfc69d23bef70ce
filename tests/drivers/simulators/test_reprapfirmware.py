"""A simulated Duet answers as RepRapFirmware 3's source says."""

from __future__ import annotations

from drivers.gcode import numbered
from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time."""

    def __init__(self, **wishes: object) -> None:
        self.board: Firmware = build("reprapfirmware", Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 3.0
        self.board.read(self.now)

    def say(self, text: str | bytes, seconds: float = 0.1) -> str:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        self.board.write(data, self.now)
        self.now += seconds
        return self.board.read(self.now).decode()


def test_a_damaged_line_is_dropped_without_a_word_and_no_number_is_compared():
    host = Host()
    assert host.say("N1 M84*1") == ""
    assert host.say(numbered(7, b"M84")) == "ok\n"
    assert host.say(numbered(7, b"M84")) == "ok\n"
    assert len(host.board.record.of("dropped")) == 1


def test_lines_without_checksum_are_dropped_once_it_was_told_so():
    host = Host()
    assert host.say("M84") == "ok\n"
    assert host.say(numbered(0, b"M575 P0 S1")) == "ok\n"
    assert host.say("M84") == ""
    assert host.say(numbered(0, b"M84")) == "ok\n"


def test_an_empty_line_gets_no_answer():
    assert Host().say("") == ""


def test_what_it_refuses_it_answers_with_ok():
    assert Host().say("G1 X5 F600") == "Error: G0/G1: insufficient axes homed\nok\n"


def test_it_says_that_it_is_busy_and_how_warm_it_is_while_it_heats():
    host = Host()
    assert host.say("G4 P5000", 4.5).count("echo:busy: processing\n") == 2
    assert host.say("M109 S200", 10.0).count("T:") > 2


def test_m112_and_m108_are_seen_at_the_start_of_a_line_only():
    host = Host()
    host.say("M109 S200", 1.0)
    assert host.say("M108", 1.0).startswith("ok\n")
    host.say("G4 P60000")
    assert host.say("M112") == "Emergency Stop! Reset the controller to continue.\n"
    assert '"result":"halted"' in host.say('M409 K"state.status"')
    assert host.say("G28", 60.0) == "ok\n"
    assert "G28" not in [fact["line"] for fact in host.board.record.of("executed")]
    host.say("M999", 3.0)
    assert '"result":"idle"' in host.say('M409 K"state.status"')
    assert not Host().say(numbered(1, b"M112")).startswith("Emergency")
