"""A stream for other slots: every tool's number in it and nothing else, or a reason."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis import prepare_program
from jobs.analysis.slots import Renumbering
from jobs.analysis.stream import make_stream
from jobs.domain.machine import MachineLimits
from jobs.domain.rulebook import families, load_rules

LIMITS = MachineLimits((200.0, 200.0, 200.0), nozzle_max_c=250.0, bed_max_c=100.0)
PROGRAM = b"""; two colours
M140 S60
M104 S215 T0 ; heat
M104 T1 S200
T0
G28
M109 S215 T0
G1 X10 Y10 Z0.2 E1 F1200
t1 ; next
m106 s200
G1 X20 E1
M117 T0 is hot
M104 S0 T0
M104 S0 T1
M140 S0
"""


def codes_of(family, text, slots):
    renumbering = Renumbering(slots, load_rules(family).slots)
    run = renumbering.apply(make_stream(text))
    return run.data, [(one.code.value, one.line) for one in renumbering.finish()]


def prepared(tmp_path: Path, data: bytes, slots: dict[int, int], name: str):
    (tmp_path / "upload.gcode").write_bytes(data)
    out = tmp_path / name
    result = prepare_program(
        tmp_path / "upload.gcode", out, LIMITS, "marlin", (), 1.24, "fdm", slots=slots
    )
    return result, (out / "stream").read_bytes(), (out / "index.u32").read_bytes()


def test_the_stream_names_other_slots_and_nothing_else_changes(tmp_path):
    own, own_stream, own_index = prepared(tmp_path, PROGRAM, {}, "own")
    other, stream, index = prepared(tmp_path, PROGRAM, {0: 2, 1: 0}, "other")
    expected = own_stream.replace(b"M117 T0", b"M117 t0")
    for mark, number in ((b"T0", b"T_"), (b"T1", b"T0"), (b"T_", b"T2")):
        expected = expected.replace(mark, number)
    assert stream == expected.replace(b"M117 t0", b"M117 T0")
    assert index == own_index
    assert other["stream_sha256"] == hashlib.sha256(stream).hexdigest()
    assert other["index_sha256"] == hashlib.sha256(index).hexdigest()
    assert np.frombuffer(index, "<u4").size == other["stream_lines"] == stream.count(b"\n")
    assert other["stream_bytes"] == len(stream)
    assert (tmp_path / "upload.gcode").read_bytes() == PROGRAM
    assert (own["planned_s"], own["findings"]) == (other["planned_s"], other["findings"])
    # What is counted by tool is counted by the slots of the stream.
    assert own["report"]["filament_mm"] == [1.0, 0.0] or own["report"]["filament_mm"] == [1.0]
    assert other["report"]["filament_mm"][2] == 1.0


def test_preflight_reads_the_stream_that_is_sent(tmp_path):
    hot = PROGRAM.replace(b"M104 T1 S200", b"M104 T1 S900")
    _, stream, _ = prepared(tmp_path, hot, {0: 1}, "a")
    result, _, _ = prepared(tmp_path, hot, {0: 1}, "b")
    assert b"M104T0S900" in stream
    (found,) = [one for one in result["findings"] if one["code"] == "nozzle-too-hot"]
    assert found["line"] == 4  # of the upload


TOOL_LINES = st.sampled_from(
    ["T{0}", "M104 S200 T{0}", "M109 T{0} S200", "M221 T{0} S95", "G1 X{0} Y5 E0.4", "G92 E0",
     "M106 S128", "M204 P900 T1000", "; T{0} in a comment", "M117 T{0} for people", "",
     "T{0} ; with words"]
)  # fmt: skip


@given(
    st.lists(st.tuples(TOOL_LINES, st.integers(0, 15)), max_size=40),
    st.permutations(range(16)),
)
def test_any_program_is_written_so_that_the_way_back_gives_it_again(lines, order):
    text = "T0\n" + "".join(line.format(number) + "\n" for line, number in lines)
    words = load_rules("marlin").slots
    there = Renumbering(dict(enumerate(order)), words)
    back = Renumbering({slot: tool for tool, slot in enumerate(order)}, words)
    own = make_stream(text.encode())
    sent = there.apply(own)
    assert list(there.finish()) == []
    assert back.apply(sent).data == own.data
    assert sent.source_line.tolist() == own.source_line.tolist()
    for before, after in zip(own.data.split(b"\n"), sent.data.split(b"\n"), strict=True):
        texts = before.startswith((b"M117", b"M204"))
        named = [] if texts else re.findall(rb"T([0-9]+)", before)
        expected = [b"%d" % order[int(one)] for one in named]
        assert texts or re.findall(rb"T([0-9]+)", after) == expected
        assert re.sub(rb"T[0-9]+", b"T", before) == re.sub(rb"T[0-9]+", b"T", after)


@pytest.mark.parametrize(
    ("family", "line", "code"),
    [
        ("marlin", b"M563 P0 D0 H1", "slots-fixed"),
        ("marlin", b"M163 S0 P0.5", "slots-fixed"),
        ("marlin", b"M999 T1", "slots-fixed"),  # what a T means there nobody said
        ("marlin", b"T1.5", "slots-fixed"),
        ("marlin", b"T99", "slots-fixed"),
        ("marlin", b"M104 S200 T16", "slots-fixed"),
        ("marlin", b"G1 X3 T1", "slots-fixed"),
        ("prusa-mk3", b"Tx", "slots-fixed"),
        ("prusa-mk3", b"Tc", "slots-fixed"),
        ("reprapfirmware", b"M563 P0 D0 H1", "slots-fixed"),
        ("reprapfirmware", b"M221 D1 S90", "slots-fixed"),
        ("reprapfirmware", b"G10 L2 P1 X0", "slots-fixed"),
        ("reprapfirmware", b"T{state.currentTool}", "slots-fixed"),
    ],
)
def test_what_cannot_be_told_keeps_the_program_in_its_own_slots(family, line, code):
    _, found = codes_of(family, b"T0\n\n" + line + b"\nT1\n", {0: 2})
    assert found == [(code, 3)]


@pytest.mark.parametrize(
    ("family", "line", "sent"),
    [
        ("reprapfirmware", b"G10 P0 R120 S220", b"G10P2R120S220"),
        ("reprapfirmware", b"G10", b"G10"),
        ("reprapfirmware", b"M568 P0 S220 A2", b"M568P2S220A2"),
        ("reprapfirmware", b"M116 P0", b"M116P2"),
        ("reprapfirmware", b"T-1", b"T-1"),
        ("reprapfirmware", b"T0 P0", b"T2P0"),
        ("prusa-mk3", b"M403 E0 F1", b"M403 E2F1"),
        ("marlin", b"T00", b"T2"),
        ("marlin", b"M0104 T0 S3", b"M0104T2S3"),
        ("marlin", b"M106 P1 S9", b"M106P1S9"),
        ("prusa-buddy", b"M862.1 T0 P0.4", b"M862.1T2P0.4"),
    ],
)
def test_each_firmware_names_tools_in_its_own_way(family, line, sent):
    data, found = codes_of(family, b"T1\n" + line + b"\n", {0: 2})
    assert (data, found) == (b"T1\n" + sent + b"\n", [])


def test_what_draws_before_a_tool_is_named_is_not_guessed_at():
    text = b"M109 S200 T0\nG1 X5 E3\nT0\n"
    assert codes_of("marlin", text, {0: 2})[1] == [("slots-unnamed", 2)]
    assert codes_of("marlin", text, {1: 2})[1] == []  # tool 0 stays where it is


def test_heat_before_a_tool_is_named_needs_a_person():
    text = b"M104 S200\nM109 S200\nT0\nG1 X5 E3\n"
    assert codes_of("marlin", text, {0: 2})[1] == [("slots-heat", 1)]
    assert codes_of("marlin", b"T0\nM109 S200\nG1 X5 E3\n", {0: 2})[1] == []


def test_a_fan_by_number_beside_nozzles_by_number_is_not_guessed_at():
    text = b"T0\nM109 S200 T0\nM106 P1 S200\n"
    assert codes_of("marlin", text, {0: 2})[1] == [("slots-fixed", 3)]


def test_every_family_of_printers_says_whether_its_tools_are_slots():
    mapped = {one for one in families() if load_rules(one).slots}
    assert mapped == {"marlin", "prusa-mk3", "prusa-buddy", "repetier", "reprapfirmware"}
    for family in sorted(mapped):
        words = load_rules(family).slots
        assert not set(words.tools) & set(words.others)
        for command, word in words.tools.items():
            text = f"T0\n{command} {word}0\n".encode()
            data, found = codes_of(family, text, {0: 2})
            assert (data.split()[-1][-1:], found) == (b"2", []), command
