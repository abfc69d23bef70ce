"""A program's upload made into its stream, its report and its findings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jobs.analysis.beginning import Beginning
from jobs.analysis.checks import findings_of, make_checks
from jobs.analysis.cut import cut_short
from jobs.analysis.dialect import FARMBOT
from jobs.analysis.language import NoNumbers
from jobs.analysis.lines import with_texts
from jobs.analysis.madefor import made_for
from jobs.analysis.outcome import without_stream
from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.reading import DIALECTS, Program, Told
from jobs.analysis.report import Report
from jobs.analysis.slicers import filaments_of, read_slicer
from jobs.analysis.slots import Renumbering
from jobs.analysis.sniff import BGCODE, UTF_16
from jobs.analysis.stream import LONGEST_LINE_BYTES
from jobs.analysis.target import Target
from jobs.analysis.thumbnails import Thumbnails
from jobs.analysis.tools import Tools
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import LARGEST_PROGRAM_BYTES, Finding, FindingCode, Severity, verdict
from jobs.domain.rulebook import RuleBook, load_rules

_HEAD_BYTES = 4096


def inspect_program(data: bytes, machine: MachineLimits | None = None) -> dict[str, object]:
    """Return the report of a program that is held in memory; see `inspect_open`."""
    return inspect_open(BytesIO(data), machine)


def inspect_open(file: BinaryIO, machine: MachineLimits | None = None) -> dict[str, object]:
    """Return the report of a program, whatever machine it is for, and what makes it unreadable.

    :param file: seekable, at its beginning.
    :param machine: whose speeds and accelerations to plan with; None: a common one's.
    """
    findings = _unreadable(file)
    if findings:
        return {"kind": "program", "findings": [finding.to_json() for finding in findings]}
    program = Program(file, machine)
    if program.dialect == FARMBOT:
        # It comes with the dialects of every machine, which no other program waits for.
        from jobs.analysis import farmbot

        file.seek(0)
        return farmbot.inspect_farmbot(file.read(farmbot.LARGEST_BYTES)) | {"findings": []}
    report, tools, start, pictures = Report(), Tools(), Beginning(), Thumbnails()
    no_numbers = NoNumbers()
    told = program.read([report, tools, start, pictures], [no_numbers])
    result = {**_described(told, report, tools, machine, None), **_started(start)}
    result["slicer"] = read_slicer(told.ends)
    result["thumbnails"] = pictures.table()
    findings = [*_of_bytes(told), *no_numbers.finish()]
    result["findings"] = [finding.to_json() for finding in findings]
    return result


def _described(
    told: Told,
    report: Report,
    tools: Tools,
    machine: MachineLimits | None,
    density_g_cm3: float | None,
) -> dict[str, object]:
    filament_mm = machine.filament_mm if machine else 0.0
    result = report.finish(told.dialect, filament_mm, density_g_cm3)
    result["lines"] = told.source_lines
    result["tools"] = tools.table()
    return result


def _started(start: Beginning) -> dict[str, object]:
    lines, seconds = start.told()
    return {"start_lines": lines, "start_s": round(seconds, 1)}


def prepare_program(
    path_in: Path,
    out_dir: Path,
    machine: MachineLimits,
    dialect: str,
    forbidden: Sequence[str],
    density_g_cm3: float | None,
    kind: str,
    family: str = "",
    macros: Sequence[str] = (),
    slots: Mapping[int, int] | None = None,
) -> dict[str, object]:
    """Examine an upload for one machine, and write what its host needs to send it.

    Writes `stream`, `index.u32` (1-based line of the upload for each stream line, uint32 little
    endian) and `planned.f32` (planned seconds from the start to the end of each stream line,
    float32 little endian) into `out_dir`, and the pictures that the slicer put in, checked and
    written anew, as the report's `thumbnails` names them.

    :param density_g_cm3: of the filament; None: no mass.
    :param family: whose rules the program is held against; "" takes the dialect's own.
    :param macros: commands of the machine's own that the lab vouches for.
    :param slots: which tool draws from another slot than its own; the stream then has its
        number, and is what all checks read.
    :returns: JSON values: `report`, `findings`, `verdict`, `stream_sha256`, `index_sha256`,
        `stream_lines`, `stream_bytes`, `planned_s`, `mass_g`. Where the file is no program at
        all, nothing is written, `report` is null and the hashes are empty.
    """
    with path_in.open("rb") as file:
        findings = _unreadable(file)
    if findings:
        return without_stream(with_texts(path_in, findings))
    if dialect == FARMBOT:
        return _with_lines(path_in, _prepare_farmbot(path_in, out_dir, machine))
    if dialect and dialect not in DIALECTS:
        return without_stream([_not_examined(dialect)])
    names = ("stream", "index.u32", "planned.f32")
    out_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(path_in.open("rb"))
        keeps_words = _rules(family, dialect).words is FindingCode.MACRO
        other = _renumbering(slots or {}, _rules(family, dialect))
        program = Program(
            file, machine, dialect, renumber=other.apply if other else None,
            keeps_words=keeps_words, spindle_tells=kind not in ("mill", "laser"),
        )  # fmt: skip
        if program.dialect == FARMBOT:
            return _with_lines(path_in, _prepare_farmbot(path_in, out_dir, machine))
        rules = _rules(family, program.dialect)
        slicer = read_slicer(program.ends)
        target = Target(
            program.dialect, kind, forbidden, machine, rules, macros, filaments_of(slicer or {})
        )
        guessed: list[str] = []
        checks = make_checks(target, lambda: guessed[0])
        report, tools, start, pictures = Report(), Tools(), Beginning(), Thumbnails()
        written = _Written(*(stack.enter_context((out_dir / name).open("wb")) for name in names))
        told = program.read([report, tools, start, pictures, written], checks)
    if told.lines == 0:
        for name in names:
            (out_dir / name).unlink()
        return without_stream([Finding(FindingCode.EMPTY, Severity.BLOCK)])
    guessed.append(told.guessed)
    found = [*_of_bytes(told), *made_for(told.ends, target), *(other.finish() if other else ())]
    judged = findings_of(checks, found)
    findings = with_texts(path_in, [*judged, *cut_short(told, judged)])
    described = _described(told, report, tools, machine, density_g_cm3)
    result = described | {"slicer": slicer} | _started(start)
    result["thumbnails"] = [
        {**row, "file": name}
        for row, name in zip(pictures.table(), pictures.write(out_dir), strict=True)
    ]
    volume = result["volume_mm3"]
    assert isinstance(volume, float)
    return {
        "report": result,
        "findings": [finding.to_json() for finding in findings],
        "verdict": verdict(findings).value,
        "stream_sha256": written.stream_sha256.hexdigest(),
        "index_sha256": written.index_sha256.hexdigest(),
        "stream_lines": told.lines,
        "stream_bytes": told.stream_bytes,
        "planned_s": round(written.planned, 3),
        "mass_g": None if density_g_cm3 is None else round(volume / 1000.0 * density_g_cm3, 3),
    }


def _prepare_farmbot(path_in: Path, out_dir: Path, machine: MachineLimits) -> dict[str, object]:
    from jobs.analysis import farmbot

    return farmbot.prepare_farmbot(path_in, out_dir, machine)


class _Written(Reader):
    """Writes a program's stream, its index and its planned seconds as they come."""

    def __init__(self, stream: BinaryIO, index: BinaryIO, planned: BinaryIO) -> None:
        self._stream, self._index, self._planned = stream, index, planned
        self.stream_sha256, self.index_sha256 = hashlib.sha256(), hashlib.sha256()
        self.planned = 0.0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        index = piece.source_line.astype("<u4").tobytes()
        self._stream.write(piece.stream)
        self._index.write(index)
        self.stream_sha256.update(piece.stream)
        self.index_sha256.update(index)

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines."""
        if len(times) == 0:
            return
        seconds = times.total()
        seconds[0] += self.planned
        planned = np.cumsum(seconds)
        self.planned = float(planned[-1])
        self._planned.write(planned.astype("<f4").tobytes())


def _with_lines(path: Path, result: dict[str, object]) -> dict[str, object]:
    """Return a result whose findings show their lines."""
    stored = result["findings"]
    found = [Finding.from_json(one) for one in stored] if isinstance(stored, list) else []
    return {**result, "findings": [one.to_json() for one in with_texts(path, found)]}


def _rules(family: str, dialect: str) -> RuleBook:
    """Return the rules of a family, or else of a dialect."""
    rules = load_rules(family) or load_rules(dialect) or load_rules("marlin")
    assert rules is not None
    return rules


def _renumbering(slots: Mapping[int, int], rules: RuleBook) -> Renumbering | None:
    """Return what writes a stream for other slots; whether a firmware has any was asked before."""
    return Renumbering(slots, rules.slots) if slots and rules.slots else None


def _not_examined(dialect: str) -> Finding:
    """Return the finding that nobody here can tell what the program would do."""
    return Finding(FindingCode.NOT_EXAMINED, Severity.BLOCK, None, {"dialect": dialect})


def _unreadable(file: BinaryIO) -> list[Finding]:
    """Return why a file is not even read: its size, or that it is no text."""
    size = file.seek(0, 2)
    file.seek(0)
    if size > LARGEST_PROGRAM_BYTES:
        limits = {"bytes": size, "limit_bytes": LARGEST_PROGRAM_BYTES}
        return [Finding(FindingCode.TOO_LARGE, Severity.BLOCK, None, limits)]
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(BGCODE):
        return [Finding(FindingCode.BINARY_GCODE, Severity.BLOCK)]
    if head.startswith(UTF_16):
        return [Finding(FindingCode.WIDE_TEXT, Severity.BLOCK)]
    at = 0 if head.startswith(b"PK\x03\x04") else head.find(b"\x00")
    if at >= 0:
        line = head.count(b"\n", 0, at) + 1
        return [Finding(FindingCode.NOT_TEXT, Severity.BLOCK, line, {"at_byte": at})]
    return []


def _of_bytes(told: Told) -> list[Finding]:
    """Return findings on bytes that are in the upload only to do harm, and on endless lines.

    The stream has no comments, so hidden bytes would not reach the machine; the next program
    that sends this file may not be as careful.
    """
    findings = []
    for byte, (line, count) in told.hidden.items():
        fields: dict[str, str | int | float] = {"byte": f"0x{byte:02X}", "count": count}
        findings.append(Finding(FindingCode.REALTIME_BYTE, Severity.BLOCK, line, fields))
    if told.overlong:
        limits = {"bytes": LONGEST_LINE_BYTES + 1, "limit_bytes": LONGEST_LINE_BYTES, "count": 1}
        findings.append(Finding(FindingCode.LINE_TOO_LONG, Severity.BLOCK, told.overlong, limits))
    return findings
