"""A whole program on a simulated board in no time at all: how long would it have moved?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from drivers.errors import SimulatorError
from drivers.simulators.firmware import Firmware, Record
from drivers.simulators.machines import Wishes, build

_MOST_EVENTS = 2_000_000  # of one line: a wait for heat is some thousand


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a program came to.

    :param moved_s: time in which anything moved, homing apart.
    :param lasted_s: from the first line to the last standstill, heating and homing included.
    :param refused: lines that the board answered with an error, the first few.
    """

    moved_s: float
    lasted_s: float
    refused: tuple[str, ...]


def rehearse(profile: str, lines: Iterable[str], wishes: Wishes | None = None) -> Rehearsal:
    """Feed *lines* one by one to a board that needs no time to think; its clock is virtual.

    :param wishes: options, settings and envelope; a link without pace is understood.
    :raises SimulatorError: if the board falls silent.
    """
    wished = replace(wishes or Wishes(), baud=0, cpu=0.0)
    board = build(profile, wished, Record(keeps=False))
    now = _until_ready(board)
    begun, refused = now, list[str]()
    settle = "M400" if _speaks_marlin(board) else "G4 P0"
    for line in (*_as_list(lines), settle):
        board.write(f"{line}\n".encode("ascii", "replace"), now)
        now, answer = _answered(board, now)
        if "ok" not in answer and len(refused) < 10:
            refused.append(f"{line}: {answer.strip()}")
    return Rehearsal(board.planner.moved_s, now - begun, tuple(refused))


def _as_list(lines: Iterable[str]) -> Iterable[str]:
    return (bare for line in lines if (bare := line.split(";")[0].strip()))


def _speaks_marlin(board: Firmware) -> bool:
    return board.limits.is_marlin


def _until_ready(board: Firmware) -> float:
    now = 0.0
    while (event := board.deadline()) is not None and event < 10.0:
        now = max(event, now)
        board.read(now)
    return now


def _answered(board: Firmware, now: float) -> tuple[float, str]:
    heard = ""
    for _ in range(_MOST_EVENTS):
        heard += board.read(now).decode("latin-1")
        if any(line.startswith(("ok", "error", "ALARM", "Error")) for line in heard.splitlines()):
            return now, heard
        event = board.deadline()
        if event is None:
            break
        now = max(event, now)
    raise SimulatorError("simulator.no-start")
