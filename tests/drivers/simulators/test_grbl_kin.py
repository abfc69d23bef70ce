"""grblHAL and FluidNC: what each adds to Grbl, in their own simulators."""

from __future__ import annotations

import pytest

from drivers.simulators import Firmware, Wishes, build


class Host:
    """A host that lives in simulated time."""

    def __init__(self, profile: str, **wishes: object) -> None:
        self.board: Firmware = build(profile, Wishes(**wishes))  # type: ignore[arg-type]
        self.now = 1.0
        self.greeting = self.board.read(self.now).decode()

    def say(self, text: str | bytes, seconds: float = 0.1) -> str:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        self.board.write(data, self.now)
        self.now += seconds
        return self.board.read(self.now).decode()


def test_grblhal_greets_in_its_own_name_and_tells_its_ring() -> None:
    host = Host("grblhal")
    assert "GrblHAL 1.1f" in host.greeting
    assert "[OPT:VNMSL,35,1024,3,0]" in host.say("$I")


@pytest.mark.parametrize(("alternate", "state"), [(b"\x80", "<Run"), (b"\x82", "<Hold")])
def test_grblhal_obeys_its_alternate_bytes(alternate: bytes, state: str) -> None:
    host = Host("grblhal")
    host.say("G1 X50 F600")
    assert state in host.say(alternate) + host.say(b"?")
    assert "<Run" in host.say(b"\x81", 0.3) + host.say(b"?")


def test_grblhal_reports_all_when_asked_for_it() -> None:
    host = Host("grblhal")
    for _ in range(3):
        report = host.say(b"\x87")
        assert "WCO:" in report
        assert "Ov:100,100,100" in report


def test_grblhal_stops_without_a_banner() -> None:
    host = Host("grblhal")
    host.say("M3 S1000")
    said = host.say(b"\x19", 1.0)
    assert "Grbl" not in said
    assert "|FS:0,0" in host.say(b"?")


def test_grblhal_waits_for_its_tool_until_that_is_acknowledged_and_the_cycle_started() -> None:
    host = Host("grblhal")
    assert "ok" not in host.say("T2 M6", 0.3)
    assert "<Tool" in host.say(b"?")
    assert "<Tool" in host.say(b"~", 0.3) + host.say(b"?")
    assert "ok" in host.say(b"\xa3~", 0.3)
    assert "<Idle" in host.say(b"?")


def test_fluidnc_talks_between_its_answers_and_tells_no_sizes() -> None:
    host = Host("fluidnc")
    assert "[OPT:PHS]" in host.say("$I")
    said = "".join(host.say("G91") for _ in range(20))
    assert said.count("ok\r\n") == 20
    assert said.count("[MSG:INFO:") >= 2


def test_fluidnc_has_a_banner_only_after_a_real_reset() -> None:
    host = Host("fluidnc")
    assert "FluidNC" in host.greeting
    assert "FluidNC" not in host.say(b"\x18", 1.0)
    assert "ok" in host.say("G91")
    host.board.reset(host.now)
    assert "FluidNC" in host.say(b"?", 1.0)


@pytest.mark.parametrize("byte", [0x87, 0x88, 0x89, 0x8A])
def test_fluidnc_runs_a_macro_on_what_grblhal_calls_a_report(byte: int) -> None:
    host = Host("fluidnc")
    host.say(bytes([byte]))
    assert [fact["number"] for fact in host.board.record.of("macro")] == [byte - 0x87]


@pytest.mark.parametrize("profile", ["grbl-1.1", "grblhal", "fluidnc"])
def test_two_equal_override_bytes_that_come_together_count_once(profile: str) -> None:
    """Grbl keeps one flag for each step."""
    host = Host(profile, baud=0)
    host.say(b"\x91\x91")
    reports = "".join(host.say(b"?") for _ in range(12))
    assert "Ov:110,100,100" in reports
    host.say(b"\x91")
    assert "Ov:120,100,100" in "".join(host.say(b"?") for _ in range(12))
