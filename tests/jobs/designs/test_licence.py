"""The table of the design, row by row, and expressions that mix them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.licence import (
    Duty,
    LicenceClass,
    LicenceJudgement,
    Permission,
    Purpose,
    judge,
)
from jobs.domain.preflight import FindingCode, Severity

YES, DECLARE, UNCLEAR, NO = Permission
ROWS = [
    ("CC0-1.0", LicenceClass.PUBLIC, (YES, YES, YES, YES)),
    ("CC-BY-4.0", LicenceClass.ATTRIBUTION, (YES, YES, YES, YES)),
    ("CERN-OHL-P-2.0", LicenceClass.ATTRIBUTION, (YES, YES, YES, YES)),
    ("SHL-0.51", LicenceClass.ATTRIBUTION, (YES, YES, YES, YES)),
    ("CC-BY-SA-4.0", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("CERN-OHL-S-2.0", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("CERN-OHL-W-2.0", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("CERN-OHL-1.2", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("TAPR-OHL-1.0", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("GPL-3.0-or-later", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("AGPL-3.0-only", LicenceClass.SHARE_ALIKE, (YES, YES, YES, YES)),
    ("CC-BY-ND-4.0", LicenceClass.NO_DERIVATIVES, (YES, YES, YES, YES)),
    ("CC-BY-NC-4.0", LicenceClass.NON_COMMERCIAL, (YES, YES, DECLARE, NO)),
    ("CC-BY-NC-ND-4.0", LicenceClass.NON_COMMERCIAL, (YES, YES, DECLARE, NO)),
    ("LicenseRef-AllRightsReserved", LicenceClass.PROPRIETARY, (DECLARE, DECLARE, DECLARE, NO)),
    ("LicenseRef-NOASSERTION", LicenceClass.UNKNOWN, (UNCLEAR, UNCLEAR, UNCLEAR, NO)),
    ("LicenseRef-NONE", LicenceClass.UNKNOWN, (UNCLEAR, UNCLEAR, UNCLEAR, NO)),
    ("", LicenceClass.UNKNOWN, (UNCLEAR, UNCLEAR, UNCLEAR, NO)),
    ("ask me nicely", LicenceClass.UNKNOWN, (UNCLEAR, UNCLEAR, UNCLEAR, NO)),
]


@pytest.mark.parametrize(("written", "licence_class", "permissions"), ROWS)
def test_a_licence_has_its_class_and_permissions(written, licence_class, permissions):
    judged = judge(written)
    assert judged.licence_class is licence_class
    assert tuple(judged.permissions[purpose] for purpose in Purpose) == permissions
    assert not judged.guessed
    assert Duty.PROVENANCE in judged.duties


def test_duties_follow_the_class():
    assert judge("CC0-1.0").duties == (Duty.PROVENANCE,)
    assert set(judge("CERN-OHL-P-2.0").duties) == {Duty.PROVENANCE, Duty.ATTRIBUTION}
    assert {Duty.SOURCE_LOCATION, Duty.SHARE_CHANGES} <= set(judge("CERN-OHL-S-2.0").duties)
    assert Duty.NO_CHANGES in judge("CC-BY-NC-ND-4.0").duties
    assert Duty.SHARE_CHANGES in judge("CC-BY-NC-SA-4.0").duties
    assert {Duty.KEEP_PRIVATE, Duty.DECLARATION} <= set(judge("who knows").duties)


def test_and_is_the_strictest_of_all():
    both = judge("CERN-OHL-P-2.0 AND CC-BY-NC-4.0")
    assert both.permissions == judge("CC-BY-NC-4.0").permissions
    assert Duty.SHARE_CHANGES in judge("CC-BY-4.0 AND CC-BY-SA-4.0").duties


def test_or_is_the_best_choice():
    either = judge("CC-BY-NC-4.0 OR CERN-OHL-P-2.0")
    assert either.permissions == judge("CERN-OHL-P-2.0").permissions
    assert either.expression == "CC-BY-NC-4.0 OR CERN-OHL-P-2.0"


def test_an_exception_needs_a_person():
    judged = judge("GPL-2.0-only WITH Classpath-exception-2.0")
    assert set(judged.permissions.values()) == {UNCLEAR}


def test_case_and_old_names_are_normalized_without_being_guesses():
    assert judge("cern-ohl-p-2.0").expression == "CERN-OHL-P-2.0"
    assert judge("GPL-3.0+").expression == "GPL-3.0-or-later"
    assert not judge("GPL-3.0+").guessed


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BY-SA 4.0", "CC-BY-SA-4.0"),
        ("CC-BY-SA 4.0", "CC-BY-SA-4.0"),
        ("CC BY NC SA 3.0", "CC-BY-NC-SA-3.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International License", "CC-BY-SA-4.0"),
        ("Creative Commons - Attribution - Non-Commercial 4.0", "CC-BY-NC-4.0"),
        ("CERN OHL v2 S", "CERN-OHL-S-2.0"),
        ("Public Domain", "CC0-1.0"),
    ],
)
def test_what_people_write_is_read_but_a_person_must_confirm(written, meant):
    judged = judge(written)
    assert (judged.expression, judged.guessed) == (meant, True)
    assert YES not in judged.permissions.values()


def test_a_no_is_a_finding_that_blocks_and_a_doubt_one_that_warns():
    nc = judge("CC-BY-NC-4.0")
    forbidden, unclear = nc.finding(Purpose.SALE), nc.finding(Purpose.CLIENT)
    assert forbidden is not None
    assert unclear is not None
    assert (forbidden.code, forbidden.severity) == (FindingCode.LICENCE_FORBIDS, Severity.BLOCK)
    assert forbidden.fields == {"licence": "CC-BY-NC-4.0", "purpose": "sale"}
    assert (unclear.code, unclear.severity) == (FindingCode.LICENCE_UNCLEAR, Severity.NOTE)
    assert nc.finding(Purpose.OWN) is None


NAMES = st.sampled_from([written for written, *_ in ROWS if written and " " not in written])
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: st.builds("({}) {} ({})".format, inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=5,
)


@given(one=EXPRESSIONS, other=EXPRESSIONS)
def test_and_never_permits_more_than_either_side(one, other):
    strictness = list(Permission).index
    both, a, b = judge(f"({one}) AND ({other})"), judge(one), judge(other)
    for purpose in Purpose:
        assert strictness(both.permissions[purpose]) >= max(
            strictness(a.permissions[purpose]), strictness(b.permissions[purpose])
        )


@given(st.text(max_size=60) | EXPRESSIONS)
def test_any_text_is_always_judged_and_survives_its_json(written):
    judged = judge(written)
    assert LicenceJudgement.from_json(judged.to_json()) == judged
