"""Any file, named by its content and described."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.analysis.program import inspect_open
from jobs.analysis.sniff import HEAD_BYTES, FileKind, first_no_command, first_no_text, sniff
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity

if TYPE_CHECKING:
    from jobs.analysis.mesh import Wish

_MESHES = (FileKind.STL, FileKind.STL_ASCII, FileKind.THREE_MF, FileKind.OBJ, FileKind.STEP)


def inspect_file(
    path: Path, machine: MachineLimits | None = None, wish: Callable[[], Wish] | None = None
) -> dict[str, object]:
    """Return the report of a program or a mesh as JSON values; `kind` says which.

    A file that is neither gets `kind` `unknown` and a finding that names the byte or the line.

    :param machine: whose speeds to plan a program with.
    :param wish: tells what to hold a mesh against, if it is one.
    """
    kind = sniff(path)
    if kind in _MESHES:
        # With all that it needs it takes longer to load than a million lines to read.
        from jobs.analysis.mesh import inspect_mesh

        return inspect_mesh(path, wish() if wish else None)
    if kind is not FileKind.PROGRAM:
        finding = _why_unknown(path, kind)
        return {"kind": "unknown", "format": kind.value, "findings": [finding.to_json()]}
    with path.open("rb") as file:
        return inspect_open(file, machine)


def _why_unknown(path: Path, kind: FileKind) -> Finding:
    """Return what speaks against a program, with its place."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip():
        return Finding(FindingCode.EMPTY, Severity.BLOCK)
    at = first_no_text(head)
    if at is not None:
        line = head.count(b"\n", 0, at) + 1
        return Finding(FindingCode.NOT_TEXT, Severity.BLOCK, line, {"at_byte": at})
    fields: dict[str, str | int | float] = {"reason": kind.value}
    return Finding(FindingCode.UNREADABLE, Severity.BLOCK, first_no_command(head), fields)
