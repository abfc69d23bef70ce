"""Files that are no good programs: a finding that names the place, within memory and time."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from jobs.analysis import stream
from jobs.analysis.inspect import inspect_file
from jobs.analysis.program import inspect_open, inspect_program, prepare_program
from jobs.analysis.stream import LONGEST_LINE_BYTES
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import LARGEST_PROGRAM_BYTES
from tests.jobs.analysis import whole

PRINTER = MachineLimits((200.0, 200.0, 180.0), nozzle_max_c=260.0, filament_mm=1.75)
ROUTER = MachineLimits((300.0, 200.0, 80.0), spindle_max_rpm=10_000.0)
MIB = 1024 * 1024


def prepared(folder: Path, data: bytes, kind: str = "fdm") -> dict[str, tuple[str, int | None]]:
    """Return severity and line of each finding by its code."""
    upload = folder / "upload.gcode"
    upload.write_bytes(data)
    dialect, machine = ("marlin", PRINTER) if kind == "fdm" else ("grbl", ROUTER)
    made = prepare_program(upload, folder / "out", machine, dialect, [], None, kind)
    findings = made["findings"]
    assert isinstance(findings, list)
    return {found["code"]: (found["severity"], found["line"]) for found in findings}


@pytest.mark.parametrize(
    ("head", "code"),
    [(b"GCDE\x01\x00\x00\x00", "binary-gcode"), ("G28\nG1 X1\n".encode("utf-16"), "wide-text")],
)
def test_binary_g_code_and_wide_text_are_named_and_not_read(
    tmp_path: Path, head: bytes, code: str
) -> None:
    upload = tmp_path / "part.bgcode"
    upload.write_bytes(head + bytes(range(256)) * 20)
    report = inspect_file(upload)
    findings = report["findings"]
    assert isinstance(findings, list)
    assert [found["code"] for found in findings] == [code]
    assert prepared(tmp_path, upload.read_bytes()) == {code: ("block", None)}


def test_a_nul_byte_is_named_by_its_line_wherever_it_stands(tmp_path: Path) -> None:
    assert prepared(tmp_path, b"G28\nG1 X1\nG1\x00X2\n")["not-text"] == ("block", 3)
    late = b"G1 X1 F600\n" * 1_000 + b"; note \x00\n" + b"G1 X1\n"
    assert prepared(tmp_path, late)["realtime-byte"] == ("block", 1_001)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", ("empty", None, {})),
        (b" \n\r\n", ("empty", None, {})),
        (b"G28\nG1 X1\nG1\x00X2\n", ("not-text", 3, {"at_byte": 12})),
        ("G28\nG1 X1\n".encode("utf-16-le"), ("not-text", 1, {"at_byte": 1})),
        (b"Liebe \xc4rzte\n", ("not-text", 1, {"at_byte": 6})),
        (b"\n; a\nDear lab,\nplease print\n", ("unreadable", 3, {"reason": "unknown"})),
        (b"G28\nG1 XNaN\nG1 X1\n", ("malformed-line", 2, {"count": 1})),
        (b"BLENDER-v\xff" + Random(4).randbytes(50_000), ("not-text", 1, {"at_byte": 9})),
    ],
)
def test_inspect_names_the_byte_or_the_line_without_a_machine(
    tmp_path: Path, data: bytes, found: tuple[str, int | None, dict[str, object]]
) -> None:
    upload = tmp_path / "part.gcode"
    upload.write_bytes(data)
    findings = inspect_file(upload)["findings"]
    assert isinstance(findings, list)
    (one,) = findings
    assert (one["code"], one["line"], one["fields"]) == found


def test_binary_junk_without_a_nul_byte_is_named_by_its_lines(tmp_path: Path) -> None:
    junk = Random(4).randbytes(50_000).replace(b"\x00", b"?")
    found = prepared(tmp_path, junk)
    blocking = [line for severity, line in found.values() if severity == "block"]
    assert "realtime-byte" in found
    assert any(line is not None for line in blocking)


@pytest.mark.parametrize("number", ["1" * 309, "-" + "9" * 400, "1" + "0" * 20 + ".5"])
@pytest.mark.parametrize("kind", ["fdm", "mill"])
def test_a_number_that_no_machine_has_makes_its_line_malformed(
    tmp_path: Path, number: str, kind: str
) -> None:
    data = f"G21\nG90\nG1 X1 F600\nG1 X{number} F600\n".encode()
    assert prepared(tmp_path, data, kind)["malformed-line"] == ("block", 4)


@pytest.mark.parametrize("word", ["XNAN", "Xnan", "XINF", "X-INF", "X+"])
@pytest.mark.parametrize("kind", ["fdm", "mill"])
def test_what_is_no_number_makes_its_line_malformed(tmp_path: Path, word: str, kind: str) -> None:
    data = f"G21\nG90\nG1 X1 F600\nG1 {word} F600\n".encode()
    assert prepared(tmp_path, data, kind)["malformed-line"] == ("block", 4)


def test_an_exponent_is_an_extruder_as_firmware_reads_it() -> None:
    read = whole.read(b"G1 X1e308 F600\n", PRINTER, "marlin")
    assert read.moves("extruded").tolist() == [308.0]
    assert read.moves("end").tolist() == [[1.0, 0.0, 0.0]]


def test_every_place_of_any_truncated_program_is_finite() -> None:
    text = b"G28\nG1 X10.125 Y-20.5 E1.5 F1800\nG2 X12 Y3 I4.5 J-2\nM104 S205\n"
    for end in range(len(text)):
        read = whole.read(text[:end], PRINTER, "marlin")
        assert read.total.sum() < 1e6


class Endless(io.RawIOBase):
    """A file of so many bytes, which nobody has to keep: one text again and again."""

    def __init__(self, size: int, text: bytes) -> None:
        self._size, self._at = size, 0
        self._text = text * (MIB // len(text) + 2)
        self._period = len(text)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (self._size if whence == 2 else 0)
        return self._at

    def read(self, size: int = -1) -> bytes:
        count = min(size, MIB, self._size - self._at)
        first = self._at % self._period
        self._at += count
        return self._text[first : first + count]


@pytest.mark.parametrize("text", [b"G1 X1 ", b"; a comment ", b"(open ", b"1", b"\xff", b"*"])
def test_a_line_without_an_end_is_read_in_bounded_memory(text: bytes) -> None:
    tracemalloc.start()
    report = inspect_open(Endless(24 * MIB, text))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    findings = report["findings"]
    assert isinstance(findings, list)
    (found,) = findings
    assert (found["code"], found["line"]) == ("line-too-long", 1)
    # What the first mebibyte of it is made of is read like any other line.
    assert peak < 60 * LONGEST_LINE_BYTES


def test_what_follows_a_line_that_was_cut_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST_LINE_BYTES", 1_000)
    data = b"G28\n;" + b"x" * 5_000 + b"\r\nG1 X5\nG1 X6" + b"0" * 3_000 + b"\nG1 X7\n"
    for chunk_bytes in (64, 700, 1 << 19):
        chunks = list(stream.Lines(io.BytesIO(data), chunk_bytes))
        lines = b"".join(chunks).splitlines()
        assert [line[:5] for line in lines] == [b"G28", b";xxxx", b"G1 X5", b"G1 X6", b"G1 X7"]


def test_two_gigabytes_in_one_line_are_refused_by_their_size() -> None:
    report = inspect_open(Endless(2 * 1024 * MIB, b"G1 X1 "))  # type: ignore[arg-type]
    findings = report["findings"]
    assert isinstance(findings, list)
    assert findings[0]["code"] == "too-large"
    assert findings[0]["fields"]["limit_bytes"] == LARGEST_PROGRAM_BYTES


def test_memory_does_not_grow_with_the_program() -> None:
    """The same for four times the lines: what is carried is a few numbers."""
    peaks = []
    for size in (2 * MIB, 8 * MIB):
        tracemalloc.start()
        inspect_open(Endless(size, b"G1 X10 Y20 E1\nG1 X20 Y10 E2\n"))  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3


def test_old_line_ends_are_line_ends() -> None:
    for end in ("\n", "\r\n", "\r"):
        report = inspect_program(end.join(["G28", "G1 X5 F600", "M104 S0", ""]).encode())
        assert (report["lines"], report["blocks"]) == (3, 3)


def test_what_follows_a_chunk_of_comments_alone_is_judged_too(tmp_path: Path) -> None:
    comments = b"; thumbnail " + b"A" * 60 + b"\n"
    data = comments * (stream.CHUNK_BYTES * 2 // len(comments)) + b"START_EVERYTHING A=1\n"
    line = data.count(b"\n")
    assert prepared(tmp_path, data)["unknown-command"][1] == line
