"""Checks: every reason not to run a program on a machine, all at once.

Each check is one function; at most one finding for each command or axis, with the first line and
how often it came, so that a million bad lines make one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jobs.analysis import language
from jobs.analysis.arrays import Bools
from jobs.analysis.examined import Examined, block, note, person
from jobs.analysis.motion import AXES, spindle_on
from jobs.analysis.timing import target_of
from jobs.domain.preflight import Finding, FindingCode, Severity

# Rounding of the file's own decimals, and of arcs [mm].
_SLACK = 0.01
# Marlin's EXTRUDE_MINTEMP [°C]: below it the firmware refuses to push.
_COLD_BELOW = 170.0
_MOST_FINDINGS = 100


def check_program(examined: Examined) -> list[Finding]:
    """Return every finding, in the order of the checks, at most a hundred."""
    found: list[Finding] = []
    for check in (
        _wrong_kind, language.commands, language.malformed, language.long_lines, _envelope,
        _temperatures, _spindle, _cold, _left_on, _units, _feedrate,
    ):  # fmt: skip
        found.extend(check(examined))
    found.sort(key=lambda finding: finding.severity is not Severity.BLOCK)
    return found[:_MOST_FINDINGS]


def _wrong_kind(examined: Examined) -> Iterator[Finding]:
    wanted, guessed = examined.wanted, examined.guessed
    if "unknown" not in (wanted, guessed) and wanted != guessed:
        yield block(FindingCode.WRONG_DIALECT, found=guessed, wanted=wanted)
        return
    extrudes = bool((examined.program.moves.extruded > 0.0).any())
    cuts = bool(examined.program.cutting.any())
    if examined.kind == "fdm" and cuts and not extrudes:
        yield block(FindingCode.WRONG_KIND, found="mill", wanted="fdm")
    if examined.kind in ("mill", "laser") and extrudes:
        yield block(FindingCode.WRONG_KIND, found="fdm", wanted=examined.kind)


def _envelope(examined: Examined) -> Iterator[Finding]:
    """Places that the machine cannot reach.

    A printer's coordinates are the machine's own. On a mill a person sets the work zero: it is
    a point the tool stood at, so the program and its zero together must fit into the machine.
    """
    machine, moves = examined.machine, examined.program.moves
    for index, letter in enumerate(AXES):
        size = machine.envelope_mm[index]
        low = machine.origin_mm[index]
        place = moves.end[:, index]
        if examined.kind == "fdm":
            yield from _outside(examined, letter, ~moves.machine, place, (low, low + size))
            continue
        yield from _outside_machine(examined, letter, size)
        known = place[~moves.machine & ~np.isnan(place)]
        if len(known) == 0:
            continue
        least, most = min(float(known.min()), 0.0), max(float(known.max()), 0.0)
        if most - least > size + _SLACK:
            limits = (least, least + size) if most > -least else (most - size, most)
            yield from _outside(examined, letter, ~moves.machine, place, limits)


def _outside_machine(examined: Examined, axis: str, size: float) -> Iterator[Finding]:
    """Return G53 moves that no homing corner could make reachable."""
    blocks = examined.program.blocks
    lines = blocks.commands.lines("G", 530)
    asked = np.nan_to_num(blocks.length(axis)[lines])
    out = np.flatnonzero(np.abs(asked) > size + _SLACK)
    if len(out):
        yield block(
            FindingCode.OUTSIDE_ENVELOPE,
            examined.source(lines[out[0]]),
            axis=axis,
            at_mm=round(float(asked[out[0]]), 3),
            low_mm=-size,
            high_mm=size,
            count=len(out),
        )


def _outside(
    examined: Examined,
    axis: str,
    chosen: Bools,
    place: np.ndarray[tuple[int], np.dtype[np.float64]],
    limits: tuple[float, float],
) -> Iterator[Finding]:
    low, high = limits
    beyond = np.maximum(low - place, place - high)
    beyond = np.where(chosen, np.nan_to_num(beyond, nan=0.0), 0.0)
    out = np.flatnonzero(beyond > _SLACK)
    if len(out) == 0:
        return
    worst = out[np.argmax(beyond[out])]
    yield block(
        FindingCode.OUTSIDE_ENVELOPE,
        examined.source(examined.program.moves.line[out[0]]),
        axis=axis,
        at_mm=round(float(place[worst]), 3),
        low_mm=round(low, 3),
        high_mm=round(high, 3),
        count=len(out),
    )


def _temperatures(examined: Examined) -> Iterator[Finding]:
    blocks, machine = examined.program.blocks, examined.machine
    for code, commands, limit in (
        (FindingCode.NOZZLE_TOO_HOT, (1040, 1090), machine.nozzle_max_c),
        (FindingCode.BED_TOO_HOT, (1400, 1900), machine.bed_max_c),
    ):
        lines = blocks.commands.lines("M", *commands)
        # S and R both count: whichever the firmware takes must be bearable.
        asked = np.fmax(blocks.column("S")[lines], blocks.column("R")[lines])
        # The ceiling of M104's AUTOTEMP, which follows the feedrate.
        asked = np.fmax(asked, blocks.column("B")[lines])
        hot = np.flatnonzero(asked > limit)
        if len(hot):
            yield block(
                code,
                examined.source(lines[hot[0]]),
                asked_c=float(asked[hot].max()),
                limit_c=limit,
                count=len(hot),
            )


def _spindle(examined: Examined) -> Iterator[Finding]:
    if examined.kind == "fdm":
        return
    blocks, limit = examined.program.blocks, examined.machine.spindle_max_rpm
    speed = blocks.column("S")
    fast = np.flatnonzero(np.nan_to_num(speed) > limit)
    # A router with a switch of its own has no speed to exceed; CAM programs name one all the same.
    if len(fast) and limit > 0.0:
        yield block(
            FindingCode.SPINDLE_TOO_FAST,
            examined.source(fast[0]),
            asked_rpm=float(speed[fast].max()),
            limit_rpm=limit,
            count=len(fast),
        )


def _cold(examined: Examined) -> Iterator[Finding]:
    if examined.kind != "fdm":
        return
    program = examined.program
    lines = program.blocks.commands.lines("M", 1040, 1090)
    target = target_of(program.blocks, lines)
    pushing = program.moves.line[program.printing]
    if len(pushing) == 0:
        return
    before = np.searchsorted(lines, pushing, side="right") - 1
    in_force = np.where(before >= 0, target[before] if len(target) else 0.0, 0.0)
    cold = np.flatnonzero(in_force < _COLD_BELOW)
    if len(cold):
        line = examined.source(pushing[cold[0]])
        yield block(FindingCode.COLD_EXTRUSION, line, count=len(cold))


def _left_on(examined: Examined) -> Iterator[Finding]:
    blocks = examined.program.blocks
    for commands in ((1040, 1090), (1400, 1900)):
        lines = blocks.commands.lines("M", *commands)
        if len(lines) and target_of(blocks, lines[-1:])[0] > 0.0:
            yield note(FindingCode.HEAT_LEFT_ON, examined.source(lines[-1]))
            break
    if blocks.n and spindle_on(blocks)[-1]:
        last = blocks.commands.lines("M", 30, 40)[-1]
        yield person(FindingCode.SPINDLE_LEFT_ON, examined.source(last))


def _units(examined: Examined) -> Iterator[Finding]:
    blocks, moves = examined.program.blocks, examined.program.moves
    if examined.wanted != "grbl" or len(moves.line) == 0:
        return
    said = blocks.commands.lines("G", 200, 210)
    if len(said) == 0 or said[0] > moves.line[0]:
        yield person(FindingCode.UNITS_MISSING, examined.source(moves.line[0]))


def _feedrate(examined: Examined) -> Iterator[Finding]:
    moves = examined.program.moves
    without = np.flatnonzero(~moves.rapid & (moves.feedrate <= 0.0))
    if len(without) == 0:
        return
    line = examined.source(moves.line[without[0]])
    # Grbl stops with error 22; Marlin has a feedrate of its own.
    finding = block if examined.wanted == "grbl" else note
    yield finding(FindingCode.NO_FEEDRATE, line, count=len(without))
