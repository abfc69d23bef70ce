"""What our sender sends, a board executes: each line once, in order, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.profile import load_profile
from drivers.sending import Result, SendResult, send_file
from drivers.simulators import SIMULATORS, PtyMachine

LINES = 150
BY_SERIAL = [name for name in SIMULATORS if load_profile(name).dialect in ("marlin", "grbl")]
PRINTERS = [name for name in BY_SERIAL if load_profile(name).dialect == "marlin"]


def sent(
    folder: Path, profile: str, *arguments: str, seed: int = 1, speed: float = 30.0
) -> tuple[SendResult, list[dict[str, object]], list[str]]:
    """Send a program; how it ended, what really happened, and what should have."""
    wanted = [f"G1X{i * 0.1:.1f}F6000" for i in range(LINES)]
    path = folder / "program.gcode"
    first = ["G28"] if profile in PRINTERS else []  # a Klipper moves only when it has homed
    written = [line.replace("X", " X").replace("F", " F") for line in wanted]
    path.write_text("\n".join([*first, *written]) + "\n")
    words = [word for fault in arguments for word in ("--fault", fault)]
    words += ["--seed", str(seed)]
    with PtyMachine(profile, speed=speed, arguments=words) as machine:
        result = send_file(path, str(machine.port), load_profile(profile, None))
        machine.stop()
        facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
    return result, facts, wanted


def moves(facts: list[dict[str, object]], *, torn: bool = False) -> list[object]:
    """The moves that were executed: those that a host sent, or those left of a torn line.

    Without their blanks, with which some firmwares say them again.
    """
    done = [f for f in facts if f["kind"] == "executed" and str(f["line"]).startswith("G1")]
    return [str(f["line"]).replace(" ", "") for f in done if (f.get("number", 0) is None) is torn]


@pytest.mark.parametrize("profile", BY_SERIAL)
def test_each_line_is_executed_once_and_in_order(profile: str, tmp_path: Path) -> None:
    result, facts, wanted = sent(tmp_path, profile)
    assert result.result is Result.DONE
    assert moves(facts) == wanted
    assert not [fact for fact in facts if fact["kind"] in ("overflowed", "macro")]


@pytest.mark.parametrize("profile", ["marlin-2", "marlin-1"])
@pytest.mark.parametrize(
    "fault", ["corrupt-in=0.001", "drop-in=0.001", "lost-ok=0.01", "drop-out=0.0005"]
)
def test_a_bad_line_costs_time_but_no_line(profile: str, fault: str, tmp_path: Path) -> None:
    result, facts, wanted = sent(tmp_path, profile, fault)
    assert result.result is Result.DONE, result
    assert moves(facts) == wanted
    # When a Marlin 2 refuses a line, its ring is emptied, and what is left of the line that comes
    # just then is executed if it begins with its command. Which one it hits is a matter of time.
    refused = [fact for fact in facts if fact["kind"] == "refused"]
    assert len(moves(facts, torn=True)) <= (len(refused) if profile == "marlin-2" else 0)


def test_a_board_that_restarts_is_a_failure_and_nothing_follows(tmp_path: Path) -> None:
    # What answers on their way let go while a board boots is lost in its bootloader: the faster
    # that is over, the faster this computer would have to be.
    for profile, speed in (("marlin-2", 30.0), ("grbl-1.1", 2.0), ("klipper", 30.0)):
        result, facts, wanted = sent(tmp_path, profile, "reset-at-line=60", speed=speed)
        assert result.result is Result.FAILED
        done = moves(facts)
        assert done == wanted[: len(done)]
        assert len(done) < LINES
        # Of what was in its queue or on its way back nobody has heard. A G28 is line 1.
        heard = result.line - (profile in PRINTERS)
        assert len(done) - load_profile(profile).planner_blocks <= heard <= len(done)


def test_a_pulled_cable_is_an_interruption(tmp_path: Path) -> None:
    result, _, _ = sent(tmp_path, "marlin-2", "unplug-at-line=60")
    assert result.result is Result.INTERRUPTED


@pytest.mark.parametrize("profile", PRINTERS)
def test_a_cancel_ends_with_heaters_off_and_no_further_move(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "program.gcode"
    path.write_text("G28\nM104 S60\n" + "".join(f"G1 X{i % 200} F6000\n" for i in range(5000)))
    with PtyMachine(profile, speed=30.0) as machine:
        result = send_file(
            path,
            str(machine.port),
            load_profile(profile),
            should_stop=lambda: b"X9" in machine.log.read_bytes(),
        )
        machine.stop()
        facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
    assert result.result is Result.CANCELLED, result
    lines = [str(fact["line"]) for fact in facts if fact["kind"] == "executed"]
    at = lines.index("M104 S0")
    assert "M140 S0" in lines[at:]
    assert not [line for line in lines[at:] if line.startswith("G1")]
    assert result.lines < 5000
