"""A FarmBot's program is followed line by line: where it goes, what it switches, what it keeps."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.farmbot import LARGEST_BYTES
from jobs.analysis.program import inspect_open, prepare_program
from jobs.analysis.resuming import Wish, resume_program
from jobs.domain.machine import MachineLimits

ROBOT = MachineLimits(
    (2700.0, 1200.0, 400.0), origin_mm=(0.0, 0.0, -400.0),
    feed_max_mm_min=(4800.0, 4800.0, 960.0), acceleration_mm_s2=(200.0, 200.0, 50.0),
)  # fmt: skip
HOME = "F13 Q1\nF12 Q2\nF11 Q3\n"
FORBIDDEN = ("E", "@", "F9", "F20", "F22", "F23", "F32", "F14", "F15", "F16")

Prepare = Callable[[str], dict[str, object]]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepare:
    def prepare(text: str) -> dict[str, object]:
        upload = tmp_path / "upload.txt"
        upload.write_bytes(text.encode("latin-1"))
        out = tmp_path / "out"
        return prepare_program(upload, out, ROBOT, "farmbot", FORBIDDEN, None, "garden")

    return prepare


def codes(made: dict[str, object]) -> list[tuple[str, str, int]]:
    findings = made["findings"]
    assert isinstance(findings, list)
    return [(one["code"], one["severity"], one["line"]) for one in findings]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("G00 X100 Y200 Z-50 Q4", []),
        ("G00 X2700 Y1200 Z-400", []),
        ("G00 X10 Y20 Z0 A400 B400 C400", []),
        ("G28", []),
        ("F21 P2\nF42 P8 M0\nF81\nF82\nF83\nF31 P1", []),
        ("G00 X2701", [("outside-envelope", "block", 4)]),
        ("G00 X10 Z5", [("outside-envelope", "block", 4)]),
        ("G00 X-1 Y1300 Z-500", [("outside-envelope", "block", 4)] * 3),
        ("G00 X5\nF41 P8 V1 M0\nF41 P8 V0 M0", [("pin-switched", "person", 5)]),
        ("F44 P8 V1 W0 T500 M0", [("pin-switched", "person", 4)]),
        ("F44 P8 V1 W1 T500 M0", [("pin-switched", "person", 4), ("pin-left-on", "person", 4)]),
        ("F41 P8 V1 M0", [("pin-switched", "person", 4), ("pin-left-on", "person", 4)]),
        ("F41 P8 V1\nF41 P9 V1\nF41 P8 V0", [
            ("pin-switched", "person", 4), ("pin-switched", "person", 5),
            ("pin-left-on", "person", 5),
        ]),
        ("F61 P4 V90", [("pin-switched", "person", 4)]),
        ("F43 P4 M1", [("pin-switched", "person", 4)]),
        ("F22 P71 V400", [("setting-stored", "person", 4)]),
        ("F22 P71 V400\nG00 X5", [("setting-stored", "person", 4)]),
        ("F22 P55 V10\nG00 X5", [("not-followed", "block", 5), ("setting-stored", "person", 4)]),
        ("G00 X5\nF22 P55 V10", [("setting-stored", "person", 5)]),
        ("F84 X1 Y1 Z1", [("not-followed", "block", 4)]),
        ("F09", [("forbidden-command", "block", 4)]),
        ("E", [("forbidden-command", "block", 4)]),
        ("G00 X5 @", [("forbidden-command", "block", 4)]),
        ("G00 X5 E5", [("forbidden-command", "block", 4)]),
        ("F14\nF20\nF23 P1 V1\nF32 P1 V1", [
            ("forbidden-command", "block", line) for line in (4, 5, 6, 7)
        ]),
        ("G01 X5", [("unknown-command", "block", 4)]),
        ("F51 E1 P1 V1", [("forbidden-command", "block", 4)]),
        ("M104 S200", [("unknown-command", "block", 4)]),
        ("F99", [("unknown-command", "block", 4)]),
        ("hello", [("forbidden-command", "block", 4)]),  # its e is an emergency stop
        ("what", [("malformed-line", "block", 4)]),
        ("G00 X1.5.5", [("malformed-line", "block", 4)]),
        ("G00 X", [("malformed-line", "block", 4)]),
        ("G00 X" + "1" * 60, [("line-too-long", "block", 4), ("outside-envelope", "block", 4)]),
    ],
)  # fmt: skip
def test_what_a_line_does_is_found_with_its_line(prepared, lines, expected):
    assert sorted(codes(prepared(HOME + lines + "\n"))) == sorted(expected)


def test_an_axis_that_is_not_named_goes_to_zero(prepared):
    made = prepared(HOME + "G00 X500 Y300 Z-100\nG00 X500\n")
    assert made["report"]["bounds_mm"]["all"] == {"min": [500, 0, -100], "max": [500, 300, 0]}
    assert made["report"]["travel_mm"] == 500 + 300 + 100 + 300 + 100


def test_moving_before_it_is_homed_is_said(prepared):
    assert codes(prepared("F11\nF12\nG00 X5\nF13\nG00 X6\n")) == [("moves-unhomed", "note", 3)]


def test_a_setting_needs_the_owner_and_names_what_it_changes(prepared):
    (found,) = prepared(HOME + "F22 P71 V400\n")["findings"]
    assert found["fields"]["setting"] == "parameter 71"
    assert found["fields"]["new"] == "400"


def test_the_stream_has_what_the_host_sends_and_each_line_its_source(prepared, tmp_path):
    made = prepared("; water\nF13 Q1\r\n\ng00 x10 y20 ; there\nF44 P8 V1 W0 T2500 M0 Q9\n")
    assert (tmp_path / "out" / "stream").read_bytes() == b"F13\nG00X10Y20\nF44P8V1W0T2500M0\n"
    index = np.frombuffer((tmp_path / "out" / "index.u32").read_bytes(), "<u4")
    assert index.tolist() == [2, 4, 5]
    planned = np.frombuffer((tmp_path / "out" / "planned.f32").read_bytes(), "<f4")
    assert (np.diff(planned) > 0).all()
    assert planned[2] - planned[1] == pytest.approx(2.6, abs=0.01)
    assert made["verdict"] == "person"


def test_a_speed_only_slows_an_axis_down(prepared):
    def seconds(speed: str) -> float:
        return float(prepared(HOME + f"G00 X1000{speed}\n")["planned_s"])

    free = seconds("")
    assert seconds(" A100000") == free
    assert seconds(" A100") > free + 20


def test_a_million_bad_lines_make_one_sentence(prepared):
    made = prepared(HOME + "G00 X9000\n" * 100_000)
    assert codes(made) == [("outside-envelope", "block", 4)]
    assert made["findings"][0]["fields"]["count"] == 100_000


HUGE = "F83\n" * (LARGEST_BYTES // 4 + 9)


@pytest.mark.parametrize(
    ("data", "code"), [("\n; nothing\n", "empty"), (HUGE, "too-large")], ids=["empty", "huge"]
)
def test_what_is_no_program_is_not_run(prepared, data, code):
    made = prepared(data)
    assert [found for found, _, _ in codes(made)] == [code]
    assert (made["verdict"], made["stream_sha256"]) == ("block", "")


def test_it_is_known_without_a_machine(tmp_path):
    data = b"F22 P2 V1 Q0\nG00 X10 Y20 Z0 Q1\nF41 P8 V1 M0 Q2\n"
    report = inspect_open(io.BytesIO(data))
    assert (report["dialect"], report["blocks"], report["lines"]) == ("farmbot", 3, 3)
    assert report["bounds_mm"]["all"]["max"] == [10.0, 20.0, 0.0]


def test_an_interrupted_one_is_not_gone_on_with(prepared, tmp_path):
    prepared(HOME + "G00 X5\nG00 X6\n")
    out = tmp_path / "out"
    made = resume_program(
        out / "stream", out / "index.u32", tmp_path / "more", Wish(line=5),
        ROBOT, "farmbot", FORBIDDEN, None, "garden",
    )  # fmt: skip
    assert [one["code"] for one in made["findings"]] == ["resume-no-place"]


@given(st.text(st.characters(min_codepoint=9, max_codepoint=126), max_size=200))
def test_any_text_is_examined_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("any")
    (folder / "in").write_text(text, encoding="ascii")
    made = prepare_program(folder / "in", folder / "out", ROBOT, "farmbot", (), None, "garden")
    assert made["verdict"] in ("pass", "person", "block")
    if "E" in text.upper().split(";")[0] and "(" not in text and "\n" not in text.strip():
        assert made["verdict"] == "block"
