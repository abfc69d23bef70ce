"""Words are read as a plain reader would read them, whatever the bytes."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.words import LARGEST, Words, read_words

_WORD = re.compile(r"([A-Z])([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)|(?=[A-Z]|$))")


def _plain(text: str) -> list[tuple[int, str, float]] | None:
    """Read one line word by word; None: it is not made of words."""
    words = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if not found or len(found[2]) > 32 or (found[2] and abs(float(found[2])) > LARGEST):
            return None
        words.append((0, found[1], float(found[2]) if found[2] else math.nan))
        at = found.end()
    return words


def _listed(words: Words) -> list[tuple[int, str, float]]:
    return list(
        zip(words.line.tolist(), map(chr, words.letter.tolist()), words.value.tolist(), strict=True)
    )


_LINE = st.text(alphabet="GXMEY0123456789.-+", min_size=1, max_size=24)


@given(st.lists(_LINE, max_size=12))
def test_reading_all_at_once_equals_reading_word_by_word(lines: list[str]) -> None:
    words = read_words("".join(line + "\n" for line in lines).encode())
    expected, odd = [], []
    for index, line in enumerate(lines):
        plain = _plain(line)
        if plain is None:
            odd.append(index)
        else:
            expected += [(index, letter, value) for _, letter, value in plain]
    assert words.odd.tolist() == odd
    got = _listed(words)
    assert [word[:2] for word in got] == [word[:2] for word in expected]
    for (_, _, value), (_, _, wanted) in zip(got, expected, strict=True):
        assert value == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True)


@given(
    st.floats(-99999.0, 99999.0, allow_nan=False).map(lambda value: round(value, 5)),
    st.integers(0, 5),
)
def test_every_number_a_slicer_writes_is_read_exactly(value: float, digits: int) -> None:
    text = f"{value:.{digits}f}"
    words = read_words(f"G1X{text}\n".encode())
    assert words.value.tolist()[1] == float(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    words = read_words(data)
    assert len(words.line) == len(words.letter) == len(words.value)
    assert all(0 <= line < words.lines for line in words.line.tolist())
    assert not set(words.line.tolist()) & set(words.odd.tolist())


@pytest.mark.parametrize(
    "line", ["X--5", "X1-2", "X.", "X-", "X1.2.3", "5X1", "X1e9999", "$100=5", "X" + "9" * 33, "É"]
)
def test_what_is_no_word_makes_its_line_odd(line: str) -> None:
    odd = read_words(f"G28\n{line}\nG1X2\n".encode("latin-1")).odd.tolist()
    assert odd == [1]
