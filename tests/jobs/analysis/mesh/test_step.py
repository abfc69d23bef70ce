"""STEP where it cannot be read: without the library, and with bytes that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.analysis import inspect_file
from jobs.analysis.mesh import step
from jobs.analysis.mesh.reading import as_sliceable


def _step(tmp_path: Path) -> Path:
    path = tmp_path / "a.step"
    path.write_text("ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n")
    return path


def _finding(report: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (found,) = report["findings"]
    return found["code"], found["fields"]


def test_without_the_library_a_step_file_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "find_spec", lambda name: None)
    report = inspect_file(_step(tmp_path))
    assert _finding(report)[0] == "step-not-read"
    assert report["triangles"] is None
    assert as_sliceable(_step(tmp_path)).suffix == ".step"


def test_an_empty_step_file_is_a_finding(tmp_path: Path) -> None:
    pytest.importorskip("cascadio")
    assert _finding(inspect_file(_step(tmp_path)))[0] == "unreadable"


def test_a_huge_step_file_is_refused_by_its_size_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "LARGEST_STEP_BYTES", 10)
    code, fields = _finding(inspect_file(_step(tmp_path)))
    assert (code, fields["limit_bytes"]) == ("too-large", 10)
