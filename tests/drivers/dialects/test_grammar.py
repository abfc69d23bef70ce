"""What engine, host and sender ask of every dialect, whatever its language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects import DIALECTS, suspect
from drivers.engine import stream_engine
from drivers.flow import Part
from drivers.profile import load_profile, profile_names


@pytest.mark.parametrize("name", DIALECTS)
@given(line=st.binary(max_size=90).filter(lambda line: b"\n" not in line))
def test_any_line_of_any_upload_can_be_read(name, line):
    dialect = DIALECTS[name]
    plain = dialect.bare(line)
    assert b"\n" not in plain
    assert dialect.dwell(plain) >= 0.0
    assert all(isinstance(word, str) for word in dialect.commands(plain))


@pytest.mark.parametrize("name", profile_names())
def test_whatever_a_profile_names_is_found_in_a_line_written_close_or_wide(name):
    profile = load_profile(name)
    dialect = DIALECTS[profile.dialect]
    for words in (profile.forbidden, profile.waits, tuple(profile.expected_s)):
        pattern = suspect(words)
        for word in words:
            if word == "$":
                continue
            argument = b"" if word.startswith("$") else b" P1"
            for line in (word.encode(), word.encode() + argument):
                assert pattern.search(line), (word, line)
                assert dialect.first_of(line, words) == word, (word, line)


def test_a_stream_without_blanks_waits_and_lasts_like_one_with_them():
    engine = stream_engine(load_profile("marlin-2"), 0.0)
    for line in (b"M109 S210", b"M109S210"):
        assert engine._line(line, Part.PROGRAM, 0).alone
        assert engine._expected_time(engine._line(line, Part.PROGRAM, 0)) > 60.0
    assert not engine._line(b"G1X10", Part.PROGRAM, 0).alone
    dwell = engine._line(b"G4P900000", Part.PROGRAM, 0)
    assert engine._expected_time(dwell) == 900.0
    assert stream_engine(load_profile("grbl-1.1"), 0.0)._expected_time(dwell) == 900_000.0
