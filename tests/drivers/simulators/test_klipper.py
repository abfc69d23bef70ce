"""A simulated Klipper answers as `klippy/gcode.py` says and a running one was seen to."""

from __future__ import annotations

from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time."""

    def __init__(self, **wishes: object) -> None:
        self.board: Firmware = build("klipper", Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 3.0
        self.board.read(self.now)

    def say(self, text: str, seconds: float = 0.1) -> str:
        self.board.write(text.encode() + b"\n", self.now)
        return self.wait(seconds)

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return self.board.read(self.now).decode()


def test_who_it_is_and_how_warm_ride_on_the_ok():
    host = Host()
    assert host.say("M115").startswith("ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13")
    assert host.say("M105") == "ok B:21.9 /0.0 T0:21.9 /0.0\n"


def test_numbers_and_checksums_are_not_looked_at_and_empty_lines_are_answered():
    host = Host()
    assert host.say("N7 M84*1") == "ok\n"
    assert host.say("N3 M84*999") == "ok\n"
    assert host.say("") == "ok\n"
    assert host.say("M110 N5") == "ok\n"


def test_an_unknown_command_is_told_and_answered():
    assert Host().say("M155 S2") == '// Unknown command:"M155"\nok\n'


def test_what_it_refuses_it_answers_with_ok():
    host = Host()
    assert host.say("G1 X5 F600") == "!! Must home axis first: 5.000 0.000 0.000 [0.000]\nok\n"
    host.say("G28", 60.0)
    assert host.say("G1 X900 F600").startswith("!! Move out of range")
    assert host.say("G1 X5 E5").startswith("// Extrude below minimum temp\n")
    assert [fact["line"] for fact in host.board.record.of("executed")] == ["G28"]


def test_it_is_silent_while_it_works():
    host = Host()
    assert host.say("G28", 5.0) == ""
    assert host.wait(60.0) == "ok\n"


def test_a_shutdown_lasts_until_a_firmware_restart_and_the_port_stays():
    host = Host()
    host.say("M104 S200")
    assert host.say("M112").startswith("// Klipper state: Shutdown\n")
    assert host.say("M105") == "ok T:0\n"
    heard = host.say("M84")
    assert heard.endswith("!! Shutdown due to M112 command\nok\n")
    assert "// Printer is shutdown\n" in heard
    assert host.say("FIRMWARE_RESTART", 3.0).endswith("// Klipper state: Ready\n")
    assert " /0.0\n" in host.say("M105")


def test_m112_is_seen_out_of_order_only_while_few_lines_wait():
    host = Host()
    host.say("G4 P60000\nM105\nM112")
    assert host.board.record.of("killed")
    stuffed = Host()
    stuffed.say("G4 P60000\n" + "M105\n" * 25 + "M112")
    assert not stuffed.board.record.of("killed")


def test_opening_the_port_restarts_nothing():
    host = Host()
    host.say("G28", 60.0)
    host.board.reset(host.now)
    assert host.say("G1 X5 F6000") == "ok\n"
