"""Every machine kind says everything that the others do."""

import pytest

from jobs.domain.errors import InvalidError
from jobs.domain.preflight import FindingCode
from jobs.kinds import KINDS, MachineKind, Start, kind_named


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_is_whole(kind: MachineKind) -> None:
    assert KINDS[kind.name] is kind
    assert kind.programs
    assert kind.program_suffix.startswith(".")
    for dialect in kind.programs:
        assert kind.switch_off[dialect]
        assert kind.forbidden[dialect]
    assert FindingCode.OUTSIDE_ENVELOPE in kind.findings


def test_a_person_starts_what_cuts() -> None:
    assert KINDS["mill"].start is Start.PERSON
    assert KINDS["laser"].start is Start.PERSON
    assert KINDS["fdm"].start is Start.DISPATCH


def test_what_a_person_starts_is_looked_at_first() -> None:
    for kind in KINDS.values():
        assert bool(kind.checklist) is (kind.start is Start.PERSON)
    assert {"lid", "air", "material"} <= set(KINDS["laser"].checklist)


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(InvalidError) as error:
        kind_named("lathe")
    assert error.value.fields == {"name": "lathe", "known": "fdm, mill, laser, garden"}


def test_switching_off_never_moves_the_machine() -> None:
    for kind in KINDS.values():
        for lines in kind.switch_off.values():
            assert not any(line.startswith("G") for line in lines)
