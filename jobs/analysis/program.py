"""A program's upload made into its stream, its report and its findings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jobs.analysis.blocks import Blocks
from jobs.analysis.checks import check_program
from jobs.analysis.dialect import FARMBOT, guess_dialect
from jobs.analysis.examined import Examined
from jobs.analysis.motion import read_moves
from jobs.analysis.report import Program, describe
from jobs.analysis.slicers import read_slicer
from jobs.analysis.stream import Stream, make_stream
from jobs.analysis.timing import read_times
from jobs.analysis.tools import read_tools
from jobs.analysis.words import read_words
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity, verdict

# Two million lines; a worker holds some twenty times as much while it reads, measured.
LARGEST_PROGRAM_BYTES = 64 * 1024 * 1024
_NOT_TEXT = (b"GCDE", b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04")
_DIALECTS = ("marlin", "grbl")
# These hidden bytes have no honest use in any text: Grbl's reset, and the zero.
_NUL, _RESET = b"\x00", b"\x18"


def read_program(data: bytes, machine: MachineLimits | None, dialect: str = "") -> tuple[
    Stream, Program, str
]:  # fmt: skip
    """Return the stream, what it does, and the dialect it was guessed to be written in.

    :param dialect: of the machine it is read for; empty: as guessed.
    """
    stream = make_stream(data)
    words = read_words(stream.data)
    guessed = guess_dialect(data, words)
    read_as = dialect if dialect in _DIALECTS else guessed
    blocks = Blocks(words, read_as)
    moves = read_moves(blocks, machine)
    times = read_times(blocks, moves, machine)
    return stream, Program.of(read_as, blocks, moves, times), guessed


def inspect_program(data: bytes, machine: MachineLimits | None = None) -> dict[str, object]:
    """Return the report of a program, whatever machine it is for.

    :param machine: whose speeds and accelerations to plan with; None: a common one's.
    """
    stream, program, _ = read_program(data, machine)
    return _report(data, stream, program, machine)


def _report(
    data: bytes, stream: Stream, program: Program, machine: MachineLimits | None
) -> dict[str, object]:
    report = describe(program, machine.filament_mm if machine else 0.0)
    report["lines"] = stream.source_lines
    report["slicer"] = read_slicer(data)
    report["tools"] = read_tools(data)
    return report


def prepare_program(
    path_in: Path,
    out_dir: Path,
    machine: MachineLimits,
    dialect: str,
    forbidden: Sequence[str],
    density_g_cm3: float | None,
    kind: str,
) -> dict[str, object]:
    """Examine an upload for one machine, and write what its host needs to send it.

    Writes `stream`, `index.u32` (1-based line of the upload for each stream line, uint32 little
    endian) and `planned.f32` (planned seconds from the start to the end of each stream line,
    float32 little endian) into `out_dir`.

    :param density_g_cm3: of the filament; None: no mass.
    :returns: JSON values: `report`, `findings`, `verdict`, `stream_sha256`, `index_sha256`,
        `stream_lines`, `stream_bytes`, `planned_s`, `mass_g`. Where the file is no program at
        all, nothing is written, `report` is null and the hashes are empty.
    """
    findings = _unreadable(path_in)
    if findings:
        return _refused(findings)
    data = path_in.read_bytes()
    findings = _hidden_bytes(data)
    if dialect and dialect not in _DIALECTS:
        return _refused([*findings, _not_examined(dialect)])
    stream, program, guessed = read_program(data, machine, dialect)
    if len(stream) == 0:
        return _refused([Finding(FindingCode.EMPTY, Severity.BLOCK)])
    if guessed == FARMBOT and not dialect:
        return _refused([*findings, _not_examined(guessed)])
    wanted = dialect or guessed
    findings += check_program(Examined(stream, program, guessed, wanted, kind, forbidden, machine))
    report = _report(data, stream, program, machine)
    planned = np.cumsum(program.times.total()).astype("<f4")
    index = stream.source_line.astype("<u4").tobytes()
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "stream").write_bytes(stream.data)
    (out_dir / "index.u32").write_bytes(index)
    (out_dir / "planned.f32").write_bytes(planned.tobytes())
    volume = report["volume_mm3"]
    assert isinstance(volume, float)
    return {
        "report": report,
        "findings": [finding.to_json() for finding in findings],
        "verdict": verdict(findings).value,
        "stream_sha256": hashlib.sha256(stream.data).hexdigest(),
        "index_sha256": hashlib.sha256(index).hexdigest(),
        "stream_lines": len(stream),
        "stream_bytes": len(stream.data),
        "planned_s": round(float(planned[-1]), 3),
        "mass_g": None if density_g_cm3 is None else round(volume / 1000.0 * density_g_cm3, 3),
    }


def _refused(findings: list[Finding]) -> dict[str, object]:
    return {
        "report": None,
        "findings": [finding.to_json() for finding in findings],
        "verdict": verdict(findings).value,
        "stream_sha256": "",
        "index_sha256": "",
        "stream_lines": 0,
        "stream_bytes": 0,
        "planned_s": 0.0,
        "mass_g": None,
    }


def _not_examined(dialect: str) -> Finding:
    """Return the finding that nobody here can tell what the program would do."""
    return Finding(FindingCode.NOT_EXAMINED, Severity.BLOCK, None, {"dialect": dialect})


def _unreadable(path: Path) -> list[Finding]:
    """Return why a file is not even read: its size, or that it is no text."""
    size = path.stat().st_size
    if size > LARGEST_PROGRAM_BYTES:
        limits = {"bytes": size, "limit_bytes": LARGEST_PROGRAM_BYTES}
        return [Finding(FindingCode.TOO_LARGE, Severity.BLOCK, None, limits)]
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_NOT_TEXT) or _NUL in head:
        return [Finding(FindingCode.NOT_TEXT, Severity.BLOCK)]
    return []


def _hidden_bytes(data: bytes) -> list[Finding]:
    """Return a finding for bytes that are in the upload only to do harm.

    The stream has no comments, so they would not reach the machine; the next program that sends
    this file may not be as careful.
    """
    findings = []
    for byte in (_NUL, _RESET):
        if (at := data.find(byte)) >= 0:
            line = data.count(b"\n", 0, at) + 1
            fields: dict[str, str | int | float] = {
                "byte": f"0x{byte[0]:02X}",
                "count": data.count(byte),
            }
            findings.append(Finding(FindingCode.REALTIME_BYTE, Severity.BLOCK, line, fields))
    return findings
