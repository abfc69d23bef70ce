"""The line that a finding names is the line that is shown, and shown without harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.analysis import lines
from jobs.analysis.lines import read_lines, shown


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80).map(lambda b: bytes(b"ab\r\n"[c % 4] for c in b)),
       chunk=st.integers(1, 9))  # fmt: skip
def test_every_line_is_found_whatever_ends_it_and_however_it_is_read(
    tmp_path: Path, data: bytes, chunk: int
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_CHUNK", chunk)
        found = read_lines(path, range(1, 100))
    plain = [part.decode() for part in re.split(rb"\r\n|\r|\n", data)]
    expected = dict(enumerate(plain, 1))
    if not plain[-1]:
        del expected[len(plain)]
    assert found == expected


def test_a_line_without_end_is_cut_and_holds_nothing_to_obey(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"G28\nG1 X1\x18\x1b[31m\xe2\x80\xae\xff" + b"9" * 5_000_000)
    text = read_lines(path, {2})[2]
    assert len(text) == 120
    assert text.isprintable()
    assert text.startswith("G1 X1\\x18\\x1b[31m\\u202e\\xff999")


def test_bytes_that_are_no_text_are_shown_as_what_they_are() -> None:
    assert shown(b"\x00\x84 caf\xc3\xa9 <b>") == "\\x00\\x84 café <b>"
