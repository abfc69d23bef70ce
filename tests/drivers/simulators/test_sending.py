"""What our sender sends, a board executes: each line once, in order, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.profile import load_profile
from drivers.sending import Result, SendResult, send_file
from drivers.simulators import PtyMachine

LINES = 150


def sent(
    folder: Path, profile: str, *arguments: str, seed: int = 1, speed: float = 30.0
) -> tuple[SendResult, list[dict[str, object]], list[str]]:
    """Send a program; how it ended, what really happened, and what should have."""
    wanted = [f"G1 X{i * 0.1:.1f} F6000" for i in range(LINES)]
    if load_profile(profile).dialect == "grbl":
        wanted = [line.replace(" ", "") for line in wanted]
    path = folder / "program.gcode"
    path.write_text("\n".join(wanted) + "\n")
    words = [word for fault in arguments for word in ("--fault", fault)]
    words += ["--seed", str(seed)]
    with PtyMachine(profile, speed=speed, arguments=words) as machine:
        result = send_file(path, str(machine.port), load_profile(profile, None))
        machine.stop()
        facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
    return result, facts, wanted


def moves(facts: list[dict[str, object]]) -> list[object]:
    return [f["line"] for f in facts if f["kind"] == "executed" and str(f["line"]).startswith("G1")]


@pytest.mark.parametrize("profile", ["marlin-2", "marlin-1", "grbl-1.1", "grblhal", "fluidnc"])
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


def test_a_board_that_restarts_is_a_failure_and_nothing_follows(tmp_path: Path) -> None:
    for profile in ("marlin-2", "grbl-1.1"):
        result, facts, wanted = sent(tmp_path, profile, "reset-at-line=60")
        assert result.result is Result.FAILED
        done = moves(facts)
        assert done == wanted[: len(done)]
        assert len(done) < LINES


def test_a_pulled_cable_is_an_interruption(tmp_path: Path) -> None:
    result, _, _ = sent(tmp_path, "marlin-2", "unplug-at-line=60")
    assert result.result is Result.INTERRUPTED
