"""Tools by the names that a program's comments give them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.program import inspect_program, prepare_program
from jobs.analysis.tools import LONGEST_NAME, MOST_TOOLS
from jobs.domain.machine import MachineLimits

MILL = MachineLimits((300.0, 400.0, 80.0), (0.0, 0.0, -80.0), spindle_max_rpm=20000)


def test_the_table_of_a_cam_and_comments_beside_a_tool_are_read() -> None:
    data = b"(T01 D=6. CR=0. - flat end mill)\n; T3: drill\nN5 T2 M6 (engraver)\nG1 X1 (T9 no)\n"
    assert inspect_program(data)["tools"] == [
        {"number": 1, "name": "D=6. CR=0. - flat end mill"},
        {"number": 2, "name": "engraver"},
        {"number": 3, "name": "drill"},
    ]


def test_a_tool_change_is_a_note_with_its_count_and_blocks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.nc"
    file.write_bytes(b"G21 G90\nM3 S900\nG0 Z5\nT2 M6 (drill)\nG1 X9 F100\nT3 M6\nG0 Z9\nM5\n")
    result = prepare_program(file, tmp_path / "out", MILL, "grbl", ["$"], None, "mill")
    assert result["verdict"] == "pass"
    (note,) = result["findings"]
    assert (note["code"], note["severity"], note["line"]) == ("tool-change", "note", 4)
    assert note["fields"] == {"command": "M6", "count": 2}
    assert result["report"]["tools"] == [{"number": 2, "name": "drill"}]


@given(st.binary(max_size=300))
def test_any_bytes_give_short_plain_names(data: bytes) -> None:
    tools = inspect_program(b"\n" * 4096 + data)["tools"]
    assert len(tools) <= MOST_TOOLS
    for tool in tools:
        assert len(tool["name"]) <= LONGEST_NAME
        assert tool["name"].isascii()


def test_vectric_s_table_is_read() -> None:
    data = b"(Tools used:)\n(1 = End Mill {6 mm})\n(2 = V-Bit)\nG21\nT1 M6\nG1 X1 F9\n"
    assert inspect_program(data)["tools"] == [
        {"number": 1, "name": "End Mill {6 mm}"},
        {"number": 2, "name": "V-Bit"},
    ]
