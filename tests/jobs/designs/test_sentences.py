"""Whatever designs can say to a person has a sentence in the catalogue."""

from enum import StrEnum

import pytest

from jobs.designs.licence import Duty, LicenceClass, Permission
from jobs.designs.problems import ProblemCode
from jobs.domain.sentences import Catalogue


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("problem", ProblemCode),
        ("licence-class", LicenceClass),
        ("permission", Permission),
        ("duty", Duty),
    ],
)
def test_every_word_of_designs_has_its_sentence(prefix: str, words: type[StrEnum]):
    codes = Catalogue().codes
    assert [word.value for word in words if f"{prefix}.{word}" not in codes] == []
