"""The lexer, the modal state and the parsers, over any bytes."""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects import DIALECTS, grbl, marlin
from drivers.dialects.marlin_texts import Texts
from drivers.gcode import (
    REALTIME_BYTES,
    ModalState,
    bare,
    checksum,
    commands,
    dwell,
    is_move,
    numbered,
    tight,
    words,
)


@given(st.binary(max_size=120))
def test_a_bare_line_has_no_realtime_byte_and_is_bare_already(line):
    plain = bare(line.replace(b"\n", b""))
    assert not REALTIME_BYTES.intersection(plain)
    assert b"\n" not in plain
    assert not plain.startswith(b" ")


@given(st.lists(st.tuples(st.sampled_from("GXYZEFS"), st.integers(-99999, 99999)), max_size=8))
def test_words_are_read_back(pairs):
    line = b" ".join(b"%s%d" % (letter.encode(), number) for letter, number in pairs)
    assert words(line) == [(letter, float(number)) for letter, number in pairs]


@given(st.integers(0, 10**7), st.binary(max_size=90).filter(lambda text: b"\n" not in text))
def test_any_single_flipped_bit_changes_the_checksum(number, text):
    wire = numbered(number, text)
    body, _, check = wire.rstrip(b"\n").rpartition(b"*")
    assert checksum(body) == int(check)
    assert checksum(bytes([body[0] ^ 4]) + body[1:]) != int(check)


@given(st.binary(max_size=300))
def test_the_checksum_is_the_exclusive_or_of_all_bytes(body):
    assert checksum(body) == reduce(xor, body, 0)


_WORDS = st.sampled_from(
    ["G1", "G0", "G10", "G4", "M109", " ", "X1.5", "Y-.5", "E", "F9", "P3", "T"]
)


@given(st.lists(_WORDS, max_size=6))
def test_what_is_a_move_has_no_other_command_and_no_wait(parts):
    line = bare("".join(parts).encode())
    if is_move(line):
        assert commands(line) in (["G0"], ["G1"])
        assert dwell(line, 1.0) == 0.0


_MOVE_WORDS = st.tuples(
    st.sampled_from("XYZEF"),
    st.sampled_from(["0", "10", "-.5", "1.", "3.250", "+7", "0.0"]),
    st.sampled_from(["", " ", "  "]),
)


@given(st.sampled_from(["G0", "G1"]), st.lists(_MOVE_WORDS, min_size=1, max_size=5))
def test_a_move_without_its_blanks_says_the_same_to_every_firmware(command, parts):
    line = (command + "".join(blank + letter + text for letter, text, blank in parts)).encode()
    short = tight(line)
    assert words(short) == words(line)
    assert re.search(rb"[0-9.]E|0X|^ |  | $", short) is None, "strtod would read more"
    assert len(short) <= len(line) + line.count(b"E") + line.count(b"0X")
    assert tight(short) == short


@given(st.binary(max_size=60))
def test_what_is_no_move_keeps_its_blanks(line):
    line = bare(line)
    assert is_move(line) or tight(line) == line


@given(st.text(max_size=120))
def test_parsers_survive_any_text(text):
    for dialect in DIALECTS.values():
        dialect.parse(text)


@given(st.binary(max_size=80))
def test_the_modal_state_survives_any_line(line):
    state = ModalState()
    state.apply(line)
    commands(line)
    state.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "Error:checksum mismatch, Last Line: 2",
        "Error:Line Number is not Last Line Number+1, Last Line: 2",
    ],
)
def test_no_flipped_bit_makes_a_line_error_fatal(text):
    for place in range(6, len(text) - 1):
        for bit in range(7):
            damaged = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
            assert not isinstance(marlin.parse(damaged), marlin.Halted)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("start", marlin.Started()),
        ("wait", marlin.Waiting()),
        ("echo:busy: processing", marlin.Busy()),
        ("echo:busy: paused for user", marlin.Busy(for_person=True)),
        ("rs N7", marlin.Resend(7)),
        ("Resend:12", marlin.Resend(12)),
        ("ok P15 B3", marlin.Ok(planner_free=15, slots_free=3)),
        ("ok T:20.0 /0.0", marlin.Ok(temperatures={"T": (20.0, 0.0)})),
        ("Cap:EMERGENCY_PARSER:1", marlin.Capability("EMERGENCY_PARSER", present=True)),
        ('echo:Unknown command: "FOO"', marlin.UnknownCommand("FOO")),
        (
            "X:1.00 Y:2.00 Z:3.00 E:0.00 Count X:80",
            marlin.Position({"X": 1.0, "Y": 2.0, "Z": 3.0, "E": 0.0}),
        ),
        ("okay then", marlin.Said("okay then")),
        # Marlin 2 and 1 when asked for their settings; before 1.0 without a mark.
        ("echo:; Steps per unit:", marlin.Said("echo:; Steps per unit:")),
        (
            "echo:  M92 X80.00 E93.5 ; x",
            marlin.Setting("echo:  M92 X80.00 E93.5 ; x", "M92 X80.00 E93.5"),
        ),
        ("  M301 P22.2 I-1", marlin.Setting("M301 P22.2 I-1", "M301 P22.2 I-1")),
        ("echo:M92 X8\ufffd.0", marlin.Said("echo:M92 X8\ufffd.0")),
        ("echo:M117 Hello", marlin.Said("echo:M117 Hello")),
        # Repetier
        ("ok 17", marlin.Ok(number=17)),
        ("skip 12", marlin.Skipped(12)),
        ("Error:expected line 5 got 7", marlin.LineError(4)),
        ("busy:heating", marlin.Busy()),
        ("busy:paused for user interaction", marlin.Busy(for_person=True)),
        # Klipper, Smoothie
        ("ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13.0-85", marlin.Ok(firmware="Klipper")),
        ("ok B:20.0 /0.0 T0:21.0 /0.0", marlin.Ok(temperatures={"B": (20, 0), "T0": (21, 0)})),
        ('// Unknown command:"M155"', marlin.UnknownCommand("M155")),
        ("FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:x", marlin.Firmware("Smoothieware")),
        # Prusa MK3 flushes its buffer and asks for nothing; Marlin 1 breaks a text in two.
        ("Full RX Buffer", marlin.LineError(None)),
        ("Error:0", marlin.Complaint("0")),
        (
            ": Extruder switched off. MAXTEMP triggered !",
            marlin.Halted("Extruder switched off. MAXTEMP triggered !"),
        ),
        ("Unknown M code: M108", marlin.UnknownCommand("M108")),
        # Nobody prints from that card.
        ("Error:volume.init failed", marlin.Said("volume.init failed")),
    ],
)
def test_what_marlin_says(text, reply):
    assert marlin.parse(text) == reply


def test_what_a_firmware_says_in_its_own_words():
    klipper = Texts(re.compile("// Klipper state: Ready"), ("klipper state: shutdown",), "!!")
    assert marlin.parse("// Klipper state: Ready", klipper) == marlin.Started()
    assert isinstance(marlin.parse("// Klipper state: Shutdown", klipper), marlin.Halted)
    assert marlin.parse("!! Must home axis first", klipper) == marlin.Refused(
        "Must home axis first"
    )
    assert marlin.parse("!! Must home axis first") == marlin.Complaint("Must home axis first")
    assert marlin.parse("start", klipper) == marlin.Said("start")


def test_a_lost_or_damaged_newline_never_makes_two_lines_pass_as_one():
    """Of any two lines: the XOR over both must differ from the second one's checksum."""
    for number in range(300):
        first = numbered(number, b"G1 X%d.2 F%d" % (number % 7, number))
        for newline in (b"", *(bytes([10 ^ 1 << bit]) for bit in range(8))):
            total = 0
            for byte in first[:-1] + newline:
                total ^= byte
            assert total, (first, newline)


def test_what_grbl_says():
    assert grbl.parse("[OPT:V,15,128]") == grbl.Options(15, 128, "V")
    assert grbl.parse("Grbl 1.1h ['$' for help]") == grbl.Started("Grbl 1.1h")
    assert grbl.parse("error:0").code != 0
    assert grbl.parse(">G54:ok") == grbl.Said(">G54:ok")
    assert grbl.parse(">G20:error:3") == grbl.Said(">G20:error:3")
    assert grbl.parse("<Tool|MPos:0,0,0|Ov:90,50,110|H:1,7>").overrides == (90, 50, 110)
    assert grbl.parse("<Tool|MPos:0,0,0|Ov:90,50,110|H:1,7>").is_homed is True


def test_the_modal_state_follows_units_and_modes():
    state = ModalState()
    for line in (b"G20", b"G1 X1 F60", b"G91", b"G1 X1 E2", b"M83", b"G92 E0", b"G28 X", b"M5"):
        state.apply(line)
    assert state.position == {"X": 0.0, "E": 0.0}
    assert state.feedrate == pytest.approx(25.4)
    assert not state.homed
    state.apply(b"G28")
    assert state.homed
