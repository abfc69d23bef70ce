"""Every reason not to run a program is found, with its line; a good program has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.analysis.dialect import Guess
from jobs.analysis.program import prepare_program
from jobs.analysis.stream import make_stream
from jobs.analysis.words import read_words
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import LARGEST_PROGRAM_BYTES
from jobs.kinds import KINDS

PRINTER = MachineLimits(
    (200.0, 200.0, 180.0), nozzle_max_c=260.0, bed_max_c=100.0, filament_mm=1.75
)
ROUTER = MachineLimits((300.0, 200.0, 80.0), spindle_max_rpm=10_000.0)
HOT = "M104 S200\nG28\nM109 S200\n"
COOL = "\nM104 S0\nM140 S0\n"
MILL_START = "G21 G90 G17 G94\nM3 S8000\n"
MILL_END = "\nM5\nM30\n"

Prepare = Callable[[bytes, str], dict[str, object]]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepare:
    def prepare(data: bytes, kind: str) -> dict[str, object]:
        upload = tmp_path / "upload.gcode"
        upload.write_bytes(data)
        dialect = KINDS[kind].programs[0]
        machine = PRINTER if kind == "fdm" else ROUTER
        forbidden = KINDS[kind].forbidden[dialect]
        return prepare_program(upload, tmp_path / "out", machine, dialect, forbidden, None, kind)

    return prepare


def _codes(made: dict[str, object]) -> dict[str, tuple[str, int | None]]:
    findings = made["findings"]
    assert isinstance(findings, list)
    return {found["code"]: (found["severity"], found["line"]) for found in findings}


GOOD_CUTS = [
    "G0 X10 Y10\nG1 Z-3 F200\nX50\nY50\nG2 X60 Y60 I10 J0\nG0 Z5",
    "g1x10y10f100(small letters)",
    "G1 X-140 F600\nX140",
    "(Done! and ~ok?)\nG0 Z5",
    "N10 G0 X1\nN20 G1 X2 F100",
    "G54 G0 X1\nG91 G1 X-1 F100\nG90 G28",
    "G0 X0\nG43.1 Z-5\nG1 Z2 F100\nG49",
    "G4 P0.5\nG0 X1",
    "%\nG0 X1\n%",
    "M0 (Flip the stock, then go on!)\nG0 X1\nM1 ; and look",
]


@pytest.mark.parametrize("lines", GOOD_CUTS)
def test_a_good_cut_has_no_finding(prepared: Prepare, lines: str) -> None:
    assert prepared((MILL_START + lines + MILL_END).encode(), "mill")["findings"] == []


GOOD_PRINTS = [
    "M117 Hello (there), 50% ; done!\nG1 X5 E1 F600",
    "; 100 % sure? yes! é\nG1 X5 E1 F600",
    "G91\nG1 Z5 F600\nG90\nG1 X5",
    "G92 E0\nG1 E-2 F2400\nG1 E0",
    "M204 P800 T1000\nM205 X8 Y8\nG1 X5 F600",
    "T0\nG1 X5 F600",
    'M862.3 P "MK3S"\nG1 X5 F600',
    "M0 Click to continue\nG1 X5 F600",
    "M486 AA_nice_part.stl\nG1 X5 F600",
    "G1 X50 Y50 F600\nG2 X60 Y50 I5 J0",
]


@pytest.mark.parametrize("lines", GOOD_PRINTS)
def test_a_good_print_has_no_finding_but_a_note(prepared: Prepare, lines: str) -> None:
    made = prepared((HOT + lines + COOL).encode(), "fdm")
    assert made["verdict"] == "pass"
    assert set(_codes(made)) <= {"limits-set"}


def test_a_program_for_the_other_dialect_is_blocked_both_ways(prepared: Prepare) -> None:
    print_made = prepared((HOT + "G1 X5 E1" + COOL).encode(), "mill")
    cut_made = prepared((MILL_START + "G1 X5 F100" + MILL_END).encode(), "fdm")
    assert _codes(print_made)["wrong-dialect"][0] == "block"
    assert _codes(cut_made)["wrong-dialect"][0] == "block"


def test_each_work_offset_has_a_zero_of_its_own(prepared: Prepare) -> None:
    """A step in G55 leads on from where G54 sent the axis: there it goes beyond the 300 mm."""
    lines = "G54 G0 X250\nG55 G0 X-250\n"
    assert prepared((MILL_START + lines + MILL_END).encode(), "mill")["findings"] == []
    lines = "G54 G0 X250\nG55 G0 Y10\nG91 G0 X60\n"
    made = prepared((MILL_START + lines + MILL_END).encode(), "mill")
    assert _codes(made) == {"outside-envelope": ("block", 5)}


def test_letters_without_a_number_are_for_no_firmware(prepared: Prepare) -> None:
    for lines in (b"x\n", b"x\ny\ngg\n"):
        for kind, code in (("fdm", "unknown-command"), ("mill", "malformed-line")):
            found = _codes(prepared(lines, kind))
            assert "wrong-dialect" not in found
            assert code in found


def test_what_would_be_kept_is_said_as_it_was_set(prepared: Prepare) -> None:
    made = prepared((HOT + "M301 P25.5 I1.1\nM301 P30 I1 D9\nM500" + COOL).encode(), "fdm")
    findings = made["findings"]
    assert isinstance(findings, list)
    (kept,) = [one["fields"] for one in findings if one["code"] == "setting-stored"]
    assert kept["new"] == "M301 P30 I1 D9"


def test_what_cuts_without_extruding_is_for_no_printer(prepared: Prepare) -> None:
    """Marlin drives mills, too: the dialect alone does not tell."""
    made = prepared(b"M82\nM107\nG28\nM3 S900\nG1 X5 F600\nM400\nM5\n", "fdm")
    assert _codes(made)["wrong-kind"] == ("block", None)


@pytest.mark.parametrize("kind", ["mill", "laser"])
def test_what_extrudes_is_for_printers_alone(prepared: Prepare, kind: str) -> None:
    """Enough of Grbl's own words stand in it to hide what it was written for."""
    made = prepared(b"G21 G90 G17 G94\nG1 X5 Y5 E1 F600\nX6 Y6 E2\nM2\n", kind)
    assert _codes(made)["wrong-kind"] == ("block", None)


def test_what_cooled_far_above_is_cold(prepared: Prepare) -> None:
    far = "; nothing but words here\n" * 30_000  # more than is read at once
    lines = HOT + "G1 X5 E1 F600\nM104 S0\n" + far + "G1 X9 E2\n"
    made = _codes(prepared(lines.encode(), "fdm"))
    assert made["cold-extrusion"] == ("block", lines.count("\n"))


@pytest.mark.parametrize(("of_ten", "is_found"), [(3, False), (5, True)])
def test_filament_pulled_back_along_most_of_the_way_is_a_mistaken_mode(
    prepared: Prepare, of_ten: int, is_found: bool
) -> None:
    moves = (f"G1 X{n % 2} E{-0.2 if n % 10 < of_ten else 0.5} F600" for n in range(100))
    made = _codes(prepared((HOT + "M83\n" + "\n".join(moves) + COOL).encode(), "fdm"))
    assert ("extruder-mode" in made) is is_found


def test_what_a_machines_own_word_may_have_heated_is_not_cold(tmp_path: Path) -> None:
    """A lab vouches for its START_PRINT, which heats as it sees fit; TURN_OFF_HEATERS cools."""

    def codes(lines: str) -> set[str]:
        upload = tmp_path / "upload.gcode"
        upload.write_text(lines)
        made = prepare_program(
            upload, tmp_path / "out", PRINTER, "marlin", (), None, "fdm", "klipper", ["START_PRINT"]
        )
        return set(_codes(made))

    assert "cold-extrusion" not in codes("G28\nSTART_PRINT BED=60\nM83\nG1 X5 E1 F600\n")
    assert "cold-extrusion" in codes("G28\nM83\nG1 X5 E1 F600\n")
    cooled = "G28\nSTART_PRINT BED=60\nTURN_OFF_HEATERS\nM83\nG1 X5 E1 F600\n"
    assert "cold-extrusion" in codes(cooled)


@pytest.mark.parametrize(
    ("own", "said", "is_found"),
    [
        ("MK4", "MK3S", True),
        ("MK3", "MK3S", True),
        ("Original Prusa MK4", "original-prusa mk4\r", False),
        ("", "MK3S", False),
        ("MK4", "", False),
    ],
)
def test_a_file_for_another_model_needs_a_person(
    tmp_path: Path, own: str, said: str, is_found: bool
) -> None:
    upload = tmp_path / "upload.gcode"
    upload.write_text(HOT + f"G1 X5 E1 F600{COOL}; printer_model = {said}\n")
    machine = replace(PRINTER, model=own)
    made = prepare_program(upload, tmp_path / "out", machine, "marlin", (), None, "fdm")
    found = _codes(made).get("wrong-model")
    assert found == (("person", None) if is_found else None)


SLICED = "; generated by PrusaSlicer 2.8.0 on 2025-01-01\n" + HOT + "M83\n"
WHOLE = (
    SLICED + "G1 X5 E1 F600" + COOL + "; prusaslicer_config = begin\n; x = 1\n"
    "; prusaslicer_config = end\n"
)


def test_a_sliced_file_that_ends_in_the_middle_needs_a_person(prepared: Prepare) -> None:
    assert "cut-short" not in _codes(prepared(WHOLE.encode(), "fdm"))
    cut = WHOLE[: WHOLE.index("; x = 1")]
    assert _codes(prepared(cut.encode(), "fdm"))["cut-short"] == ("person", cut.count("\n"))
    cut = SLICED + "G1 X5 E1 F600\nG1 X1"
    assert _codes(prepared(cut.encode(), "fdm"))["cut-short"] == ("person", cut.count("\n") + 1)
    # By hand a last line is often left open.
    by_hand = cut.partition("\n")[2]
    assert "cut-short" not in _codes(prepared(by_hand.encode(), "fdm"))


KLIPPER = [
    ("PURGE LENGTH=5", {}),
    ("SET_VELOCITY_LIMIT ACCEL=nobody", {"limits-above": ("person", 1)}),
    ("BED_HEAT_SOAK", {"macro": ("person", 1)}),
]


@pytest.mark.parametrize(("line", "expected"), KLIPPER)
def test_a_word_of_klippers_is_judged_by_what_the_lab_vouches_for(
    tmp_path: Path, line: str, expected: dict[str, object]
) -> None:
    upload = tmp_path / "upload.gcode"
    upload.write_text(f"{line}\n")
    made = prepare_program(
        upload, tmp_path / "out", PRINTER, "marlin", (), None, "fdm", "klipper", ["PURGE"]
    )
    assert _codes(made) == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("M118 anything else", None),
        ("M118 busy: processing", "fake-reply"),
        ("M118 E1 anything else", "fake-reply"),  # "echo:" before it is the firmware's own
        ("T255", None),
        ("T256", "unknown-command"),
        ("G1 X" + "1" * 76, None),
        ("G1 X" + "1" * 78, "line-too-long"),
    ],
)
def test_where_a_limit_lies_is_exact(prepared: Prepare, line: str, code: str | None) -> None:
    found = set(_codes(prepared((HOT + line + COOL).encode(), "fdm")))
    wanted = {"fake-reply", "unknown-command", "line-too-long"}
    assert found & wanted == ({code} if code else set())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("; nozzle_diameter = 0.4,0.6", {}),  # one of them is right
        ("; nozzle_diameter = 0.6,0.8", {"wrong-nozzle": ("person", None)}),
        ("; gcode_flavor = marlin2", {}),
        ("; gcode_flavor = machinekit", {"wrong-dialect": ("person", None)}),
        ("; gcode_flavor = sailfish", {"wrong-dialect": ("person", None)}),
    ],
)
def test_what_a_slicer_says_it_was_made_for_is_compared(
    tmp_path: Path, said: str, expected: dict[str, object]
) -> None:
    upload = tmp_path / "upload.gcode"
    upload.write_text(HOT + f"M83\nG1 X5 E1 F600{COOL}{said}\n")
    machine = replace(PRINTER, nozzle_mm=0.4)
    made = prepare_program(upload, tmp_path / "out", machine, "marlin", (), None, "fdm")
    codes = _codes(made)
    assert {code: codes[code] for code in codes if code.startswith("wrong-")} == expected


def test_a_spindle_left_on_backwards_is_left_on(prepared: Prepare) -> None:
    made = prepared(b"G21\nM4 S500\nG1 X5 F100\n", "mill")
    assert _codes(made)["spindle-left-on"] == ("person", 2)


def test_units_said_after_the_first_move_are_missing_before_it(prepared: Prepare) -> None:
    made = prepared(("G90 G17 G94\nG0 X5\nG21\nM3 S8000\nG1 X9 F100" + MILL_END).encode(), "mill")
    assert _codes(made) == {"units-missing": ("person", 2)}


def test_what_is_left_on_and_unsaid_is_said(prepared: Prepare) -> None:
    made = prepared(b"M3 S500\nG1 X5 F100\n", "mill")
    assert _codes(made) == {"units-missing": ("person", 2), "spindle-left-on": ("person", 1)}
    made = prepared((HOT + "G1 X5 F600").encode(), "fdm")
    assert _codes(made) == {"heat-left-on": ("note", 3)}
    assert made["verdict"] == "pass"


def test_a_cut_without_a_feedrate_is_blocked_and_of_a_print_it_is_noted(prepared: Prepare) -> None:
    assert _codes(prepared(b"G21\nG1 X5\n", "mill"))["no-feedrate"] == ("block", 2)
    assert _codes(prepared(b"G28\nG1 X5\n", "fdm"))["no-feedrate"] == ("note", 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"; nothing\n\n", "empty"),
        (b"GCDE\x01\x00", "binary-gcode"),
        ("G28\n".encode("utf-16"), "wide-text"),
        (b"G28\x00\n", "not-text"),
    ],
)
def test_what_is_no_program_is_refused_without_a_stream(
    prepared: Prepare, tmp_path: Path, data: bytes, code: str
) -> None:
    made = prepared(data, "fdm")
    assert list(_codes(made)) == [code]
    assert made["stream_sha256"] == ""
    assert not (tmp_path / "out" / "stream").exists()


def test_a_huge_file_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    upload = tmp_path / "huge.gcode"
    with upload.open("wb") as file:
        file.truncate(LARGEST_PROGRAM_BYTES + 1)
    made = prepare_program(upload, tmp_path / "out", PRINTER, "marlin", [], None, "fdm")
    assert list(_codes(made)) == ["too-large"]


def test_a_thousand_bad_lines_make_one_finding_that_counts_them(prepared: Prepare) -> None:
    made = prepared((HOT + "M500\nG1 X999 F600\nFOO\n" * 1_000 + COOL).encode(), "fdm")
    findings = made["findings"]
    assert isinstance(findings, list)
    assert [(found["code"], found["fields"]["count"]) for found in findings] == [
        ("outside-envelope", 1_000),
        ("setting-stored", 1_000),
        ("unknown-command", 1_000),
    ]


def test_a_line_behind_very_many_texts_is_still_judged(prepared: Prepare) -> None:
    made = prepared((HOT + "M117 hello\n" * 25_000 + "$100=5" + COOL).encode(), "fdm")
    assert _codes(made)["unknown-command"] == ("person", 25_004)


def test_ten_thousand_different_bad_commands_stay_a_hundred_findings(prepared: Prepare) -> None:
    data = "".join(f"FOO_{i}\n" for i in range(10_000)).encode()
    made = prepared(data, "fdm")
    findings = made["findings"]
    assert isinstance(findings, list)
    assert len(findings) == 100
    # Nobody could let stand what is not shown.
    assert (made["verdict"], findings[0]["code"]) == ("block", "too-many-findings")


FARM = b"F22 P2 V1 Q0\nG00 X10 Y20 Z0 Q1\nF41 P8 V1 M0 Q2\n"


@pytest.mark.parametrize("kind", ["fdm", "mill", "laser"])
def test_a_program_for_a_farmbot_runs_on_nothing_else(prepared: Prepare, kind: str) -> None:
    assert "wrong-dialect" in _codes(prepared(FARM, kind))


def test_a_feedrate_on_a_line_of_its_own_makes_no_farmbot() -> None:
    guess = Guess()
    guess.add(read_words(b"F41\nG1X1\nF20\nP1\n"))
    assert guess.tell("") != "farmbot"
    guess.add(read_words(make_stream(FARM).data))
    assert guess.tell("") == "farmbot"


LASER_START = "G21 G90 G94 F1200\n"
LIT = [
    ("M4 S500\nG0 X10\nG1 X50\nG4 P1\nM5", {}),
    ("M3 S500\nG0 X10\nG4 P1\nG1 X50\nM5", {}),  # Grbl darkens the beam in G0
    ("M3 S500\nG1 X50\nG4 P1\nM5", {"beam-stands": ("person", 4)}),
    ("M3 S500\nG1 X50\nM5\nG4 P1", {}),
    ("M3 S0\nG1 X50\nG4 P1\nS300\nX0\nM5", {}),
    ("M3 S500\nG1 X50\nX50 Z-1\nM5", {"beam-stands": ("person", 4)}),
    ("M4 S500\nG1 X50 Z-1\nM5", {}),
    ("M4 S500\nG1 X5\nS0\nZ-1\nS500 X9\nM5", {}),
    ("M4 S500\nG0 Z5\nG1 X50\nM5", {}),
    ("M4 S10001\nG1 X50\nM5", {"beam-too-strong": ("block", 2)}),
    ("M3 S500\nG1 X50", {"spindle-left-on": ("block", 2)}),
    ("M3 S500\nG1 X50\nM2", {}),
]


@pytest.mark.parametrize(("lines", "expected"), LIT)
def test_a_beam_is_lit_only_while_it_moves(prepared: Prepare, lines: str, expected: object) -> None:
    assert _codes(prepared((LASER_START + lines + "\n").encode(), "laser")) == expected


def test_what_is_said_of_a_beam_is_not_said_of_a_spindle(prepared: Prepare) -> None:
    lines = "M3 S10001\nG1 X50\nG4 P1\nM5\n"
    assert set(_codes(prepared((LASER_START + lines).encode(), "mill"))) == {"spindle-too-fast"}
    assert "wrong-dialect" in _codes(prepared((HOT + "G1 X5 E5" + COOL).encode(), "laser"))


FILAMENT = "; generated by PrusaSlicer 2.5.0\n; filament_type = {}\n; filament used [mm] = {}\n"


@pytest.mark.parametrize(
    ("material", "used", "asked", "held"),
    [
        ("POM", "5", 250, True),
        ("POM", "5", 240, False),
        ("pla", "5", 215, False),
        ("PLA;PC", "5, 5", 255, False),
        ("PLA;PC", "5, 0", 260, False),
        ("POM;PC", "5, 0", 255, True),
        ("unobtainium", "5", 260, False),
        ("POM;unobtainium", "5, 5", 260, False),
    ],
)
def test_a_filament_is_not_heated_above_what_it_bears(prepared, material, used, asked, held):
    """The machine bears 260 °C; of several filaments the one that bears most counts."""
    text = HOT.replace("S200", f"S{asked}") + "G1 X5 E5" + COOL + FILAMENT.format(material, used)
    found = _codes(prepared(text.encode(), "fdm"))
    assert ("material-too-hot" in found) is held
    if held:
        assert found["material-too-hot"] == ("person", 1)


def test_an_arc_of_too_few_decimals_is_said_as_an_arc(prepared):
    """As FreeCAD writes inches with three decimals: Grbl refuses the second (error 33)."""
    fine = "G20 G90\nM3 S900\nG0 X1.0039 Y0.4921\nG2 X1.0039 Y0.2953 I0.0000 J-0.0984 F20\nM5\n"
    coarse = fine.replace("0.2953", "0.295").replace("-0.0984", "-0.098").replace("0.4921", "0.492")
    assert "arc-impossible" not in _codes(prepared(fine.encode(), "mill"))
    assert _codes(prepared(coarse.encode(), "mill"))["arc-impossible"] == ("block", 4)
