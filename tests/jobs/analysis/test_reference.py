"""The analysis equals a plain sequential reader, and the cuts of its pieces mean nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from io import BytesIO
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.analysis import places
from jobs.analysis.checks import findings_of, make_checks
from jobs.analysis.program import inspect_program
from jobs.analysis.reading import Program
from jobs.analysis.report import Report
from jobs.analysis.target import Target
from jobs.domain.machine import MachineLimits
from jobs.domain.rulebook import load_rules
from tests.jobs.analysis import whole
from tests.jobs.analysis.reference import Plain

PRINTER = MachineLimits(
    (200.0, 200.0, 180.0), (-10.0, 5.0, 0.0), nozzle_max_c=260.0, bed_max_c=100.0,
    filament_mm=1.75, feed_max_mm_min=(9000.0, 9600.0, 700.0),
    acceleration_mm_s2=(900.0, 1100.0, 150.0), extruder_feed_max_mm_min=3000.0,
    extruder_acceleration_mm_s2=4000.0, travel_acceleration_mm_s2=1300.0,
    retract_acceleration_mm_s2=1250.0, planner_blocks=8,
)  # fmt: skip
JERKY = replace(PRINTER, jerk_mm_s=8.0, z_jerk_mm_s=0.4, extruder_jerk_mm_s=5.0)
ROUTER = MachineLimits(
    (300.0, 200.0, 80.0), spindle_max_rpm=10_000.0, feed_max_mm_min=(3000.0, 3100.0, 1000.0),
    acceleration_mm_s2=(250.0, 300.0, 120.0), junction_deviation_mm=0.01,
)  # fmt: skip

_place = st.integers(-160, 160).map(lambda n: f"{n / 8:g}")
_push = st.integers(-8, 40).map(lambda n: f"{n / 16:g}")
_feed = st.sampled_from(["300", "1200", "4800", "9000", "0", "2400.5"])
_small = st.integers(1, 40).map(lambda n: f"{n / 4:g}")


def _maybe(letter: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), value.map(lambda text: f" {letter}{text}"))


def _line(head: st.SearchStrategy[str], *words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(head, *words).map("".join)


_axes = (_maybe("X", _place), _maybe("Y", _place), _maybe("Z", _place))
_print_move = _line(
    st.sampled_from(["G0", "G1", "G1", "G1"]), *_axes, _maybe("E", _push), _maybe("F", _feed)
)
_offsets = st.sampled_from([" I5", " J-4.5", " I3 J4", " I-8 K2", " K3 J1", " R12", " R-9", " R40"])
_arc = _line(
    st.sampled_from(["G2", "G3"]), *_axes, _offsets, _maybe("E", _push), _maybe("F", _feed)
)
_PRINT_MODES = """
G90|G91|M82|M83|G20|G21|G28|G28 X0 Y|M105|G4 P250|G4 S0.5|M400|T0|T1|G17|G18|G19|G92 E0|
G92.1|M220 S50|M220 S130 B|M220 R|M221 S90|M221 S110 T1|M200 D1.75|M200 D0|M200 S1|
M200 S0|G10|G11|G10|G11|M207 S2 F2400 Z0.4|M207 Z0|M208 S0.125 F600|M204 S800|
M204 P700 T1500|M204 R900|M201 X500 Y700 E3000|M203 X90 Z8 E40|M205 X6 Y7 E3|M205 J0.05|
M205 S20 T30|M109 S200|M3 S9|M5
"""
_print_modes = st.sampled_from(_PRINT_MODES.replace("\n", "").split("|"))
_shift = _line(st.just("G92"), *_axes, _maybe("E", _push))
_print = st.lists(st.one_of(_print_move, _print_move, _print_move, _arc, _print_modes, _shift),
                  max_size=40)  # fmt: skip

_cut_move = _line(
    st.sampled_from(["", "", "G0", "G1", "G1", "G90 G1", "G91 G1", "G53 G0", "M3 G1"]),
    *_axes, _maybe("F", _feed),
)  # fmt: skip
_cut_arc = _line(st.sampled_from(["G2", "G3", "", "G91 G2"]), *_axes, _offsets, _maybe("F", _feed))
_CUT_MODES = """
G90|G91|G20|G21|G17|G18|G19|G90.1|G91.1|G94|G93|G95|G28|G30|G28 X5|G91 G28 Z0|G30 Y3|
G54|G55|G59|G92.1|G92.2|G92.3|G43.1 Z3|G43.1 Z-2.5|G49|G4 P0.5|G4 P1 X3|M3 S5000|M4|M5|
M8|M9|M0|M30|G80|G0|G1 F900|S800|T2|M0 G1 X9|G21 G90 G17
"""
_cut_modes = st.sampled_from(_CUT_MODES.replace("\n", "").split("|"))
_cut_shift = _line(st.just("G92"), *_axes)
_cuts = st.lists(
    st.one_of(_cut_move, _cut_move, _cut_move, _cut_arc, _cut_modes, _cut_shift), max_size=40
)
_DRESSES = ("plain", "plain", "tight", "small", "comment", "numbered", "blank")


def _dressed(lines: list[str], seed: int) -> str:
    """Return the program written as people and senders write it; plain for seed 0."""
    chance = random.Random(seed)
    made = []
    for number, line in enumerate(lines):
        match chance.choice(_DRESSES) if seed else "plain":
            case "tight":
                line = line.replace(" ", "")
            case "small":
                line = line.lower()
            case "comment":
                line = f"{line} (X99) ; G1 X98"
            case "numbered":
                line = f"N{number} {line}*71"
            case "blank":
                line = f"; TYPE\n\n{line}\n%"
            case _:
                pass
        made.append(line)
    return "\n".join(made) + "\n"


_seed = st.integers(0, 99)


def _compare(text: str, machine: MachineLimits, dialect: str, chunk_bytes: int) -> None:
    plain = Plain(machine, dialect).read(text)
    read = whole.read(text.encode(), machine, dialect, chunk_bytes)
    ends = np.array([move.end for move in plain.moves]).reshape(-1, 3)
    assert read.moves("end").reshape(-1, 3) == pytest.approx(ends, abs=1e-6, nan_ok=True)
    starts = np.array([move.start for move in plain.moves]).reshape(-1, 3)
    assert read.moves("start").reshape(-1, 3) == pytest.approx(starts, abs=1e-6, nan_ok=True)
    pushed = np.array([move.pushed for move in plain.moves])
    assert read.moves("extruded") == pytest.approx(pushed, abs=1e-9)
    seconds = plain.seconds()
    by_line: dict[int, float] = {}
    for move, one in zip(plain.moves, seconds, strict=True):
        by_line[move.line] = by_line.get(move.line, 0.0) + one
    sources = np.concatenate([piece.source_line for piece in read.pieces]) if read.pieces else []
    expected = [by_line.get(int(line) - 1, 0.0) for line in sources]
    assert read.times("motion") == pytest.approx(np.array(expected), rel=1e-6, abs=1e-9)
    assert read.times("motion").sum() == pytest.approx(sum(seconds), rel=1e-6)
    assert read.times("dwell").sum() == pytest.approx(plain.dwell)


@settings(max_examples=60)
@given(_print, _seed, st.sampled_from([PRINTER, JERKY]), st.sampled_from([24, 120, 1 << 19]))
def test_a_print_equals_that_of_a_sequential_reader(
    lines: list[str], seed: int, machine: MachineLimits, chunk_bytes: int
) -> None:
    _compare(_dressed(lines, seed), machine, "marlin", chunk_bytes)


@settings(max_examples=60)
@given(_cuts, _seed, st.sampled_from([24, 120, 1 << 19]))
def test_a_cut_equals_that_of_a_sequential_reader(
    lines: list[str], seed: int, chunk_bytes: int
) -> None:
    _compare(_dressed(lines, seed), ROUTER, "grbl", chunk_bytes)


@pytest.mark.parametrize("dense", [0, 10**9])
@settings(max_examples=40)
@given(
    program=st.one_of(st.tuples(_print, st.just("marlin")), st.tuples(_cuts, st.just("grbl"))),
    seed=_seed,
)
def test_both_ways_to_follow_an_axis_equal_the_sequential_reader(
    dense: int, program: tuple[list[str], str], seed: int
) -> None:
    """In spans between the lines that depend on all before (0), and one after another."""
    lines, dialect = program
    machine = PRINTER if dialect == "marlin" else ROUTER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "_DENSE", dense)
        _compare(_dressed(lines, seed), machine, dialect, 1 << 19)


def test_a_shift_in_every_line_costs_no_more_than_ten_plain_ones() -> None:
    """Cost is processor time of this process; a hundredfold was seen before."""

    def cost(text: bytes) -> float:
        before = process_time()
        inspect_program(b"G21 G90\n" + text * 20_000, ROUTER)
        return process_time() - before

    plain = min(cost(b"G1 X1 F600\nG1 X2\n") for _ in range(3))
    assert min(cost(b"G92 X1\nG92.1\n") for _ in range(3)) < 10 * plain


@settings(max_examples=60)
@given(_cuts, st.sampled_from([24, 120, 1 << 19]))
def test_every_work_offset_has_bounds_of_its_own(lines: list[str], chunk_bytes: int) -> None:
    """A place counts from the offset in which the axis was last sent to one."""
    text = _dressed(lines, 0)
    places: dict[str, list[list[float]]] = {}
    for move in Plain(ROUTER, "grbl").read(text).moves:
        for axis in range(3):
            if not move.in_machine:
                found = places.setdefault(f"G{move.zeros[axis]}", [[], [], []])[axis]
                found += [] if np.isnan(move.end[axis]) else [move.end[axis]]
    report = Report()
    Program(BytesIO(text.encode()), ROUTER, "grbl", chunk_bytes).read([report])
    told = report.finish("grbl", 1.75, None)["offset_bounds_mm"]
    assert isinstance(told, dict)
    assert told.keys() == places.keys()
    for name, axes in places.items():
        least = [min(axis, default=0.0) for axis in axes]
        most = [max(axis, default=0.0) for axis in axes]
        assert told[name]["min"] == pytest.approx(least, abs=1e-4)
        assert told[name]["max"] == pytest.approx(most, abs=1e-4)


_odd = st.sampled_from(
    [";TYPE:Perimeter", ";TYPE:Infill", "; FEATURE: Wall", "M104 S210", "M140 S60", "M104 S999",
     "M500", "$X", "G1 X1 X2", "junk!", "M1234", "G1 X" + "9" * 90, "G33 X1", "M117 Hello there"]
)  # fmt: skip


def _judged(data: bytes, machine: MachineLimits, dialect: str, chunk_bytes: int) -> object:
    rules = load_rules(dialect)
    assert rules is not None
    kind = "fdm" if dialect == "marlin" else "mill"
    target = Target(dialect, kind, ["M500", "$"], machine, rules)
    report, checks = Report(), make_checks(target, lambda: dialect)
    told = Program(BytesIO(data), machine, dialect, chunk_bytes).read([report], checks)
    findings = [finding.to_json() for finding in findings_of(checks)]
    return report.finish(told.dialect, 1.75, 1.24), findings, told.source_lines, told.lines


@settings(max_examples=40)
@given(
    st.lists(st.one_of(_print_move, _arc, _print_modes, _cut_move, _cut_modes, _odd), max_size=40),
    st.sampled_from(["marlin", "grbl"]),
    st.integers(1, 200),
)
def test_where_the_pieces_are_cut_means_nothing(
    lines: list[str], dialect: str, chunk_bytes: int
) -> None:
    data = "\r\n".join(lines).encode()
    machine = JERKY if dialect == "marlin" else ROUTER
    once = _judged(data, machine, dialect, 1 << 19)
    cut = _judged(data, machine, dialect, chunk_bytes)
    assert _is_like(cut, once)


def _is_like(value: object, other: object) -> bool:
    """Compare reports; sums may differ in their last digit, for each cut adds in another order."""
    match value, other:
        case float(), float():
            return value == pytest.approx(other, rel=1e-6, abs=2e-3)
        case dict(), dict():
            return value.keys() == other.keys() and all(
                _is_like(value[key], other[key]) for key in value
            )
        case (list(), list()) | (tuple(), tuple()):
            return len(value) == len(other) and all(map(_is_like, value, other))
        case _:
            return value == other


def test_the_report_of_a_million_times_the_same_is_that_of_one_piece() -> None:
    part = b"G91\nM83\n" + b"G1 X1 E0.05 F3000\nG1 Y1 E0.05\nG1 X-1 E0.05\nG1 Y-1 E0.05\n" * 20_000
    report = inspect_program(part, PRINTER)
    assert report["filament_mm"] == [4_000.0]
    assert report["print_mm"] == 80_000.0
    assert report["bounds_mm"]["all"]["max"] == [1.0, 1.0, 0.0]  # type: ignore[index]
