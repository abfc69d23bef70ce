"""The reader of catalogues against Babel's, which writes and reads what gettext defines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from hypothesis import given
from hypothesis import strategies as st

import jobs.domain
from jobs.domain.pofile import PoError, read_sentences

CATALOGUES = sorted(Path(jobs.domain.__file__).parent.glob("locale/*/LC_MESSAGES/*.po"))
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"), include_characters="\n\t"),
    min_size=1,
    max_size=200,
)


def by_babel(text: str) -> dict[str, str]:
    catalogue = read_po(io.BytesIO(text.encode()))
    return {str(each.id): str(each.string) for each in catalogue if each.id and each.string}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_our_catalogues_read_as_babel_reads_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(read_sentences(text)) > 1000
    assert read_sentences(text) == by_babel(text)


@given(st.dictionaries(TEXTS, TEXTS, max_size=5))
def test_whatever_babel_writes_is_always_read_alike(sentences: dict[str, str]) -> None:
    catalogue = Catalog(locale="en")
    for code, sentence in sentences.items():
        catalogue.add(code, sentence)
    file = io.BytesIO()
    write_po(file, catalogue)
    text = file.getvalue().decode()
    assert read_sentences(text) == by_babel(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('msgid "a"\nmsgstr "b\n', "line 2: not a string"),
        ('msgid "a"\nmsgstr[0] "b"\n', "line 2: no word of ours: msgstr[0]"),
        ('msgctxt "x"\nmsgid "a"\n', "line 1: no word of ours: msgctxt"),
        ("\n\nmsgid\n", "line 3: not a string"),
        ('msgid "a"\nmsgstr "b" "c"\n', "line 2: not a string"),
        ('msgid "a"\nmsgstr "\\x41"\n', "line 2: not a string"),
    ],
)
def test_what_is_no_catalogue_of_ours_is_told_by_its_line(text: str, said: str) -> None:
    with pytest.raises(PoError, match=said.replace("[", r"\[")):
        read_sentences(text)
