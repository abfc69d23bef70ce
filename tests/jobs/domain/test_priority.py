"""Who goes first: the parts, and what they can and cannot do to anybody's turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.domain.priority import (
    HOUR,
    Use,
    Weights,
    deadline_part,
    decayed,
    effective_usage,
    night_part,
    role_part,
    share_factor,
    share_part,
    uses,
    waiting_part,
)


def test_slurms_own_example_of_fair_share_comes_out():
    """*Source:* SchedMD/slurm:doc/html/classic_fair_share.shtml, shares 40/60 and below."""
    usage = {"u1": 0.20, "u2": 0.25, "u3": 0.0, "u4": 0.25, "u5": 0.0}
    in_a, in_d = usage["u1"] + usage["u2"] + usage["u3"], usage["u4"] + usage["u5"]
    # Below the root usage counts as it is; what the accounts share is shared from there on.
    b = effective_usage(usage["u1"], in_a, 30, 40)
    c = effective_usage(usage["u2"] + usage["u3"], in_a, 10, 40)
    u2, u3 = (effective_usage(usage[one], c, 1, 2) for one in ("u2", "u3"))
    e = effective_usage(usage["u4"], in_d, 25, 60)
    f = effective_usage(usage["u5"], in_d, 35, 60)
    effective = {"u1": b, "u2": u2, "u3": u3, "u4": e, "u5": f}
    assert effective == pytest.approx(
        {"u1": 0.3875, "u2": 0.275, "u3": 0.15, "u4": 0.25, "u5": 0.1458}, abs=6e-5
    )
    shares = {"u1": 0.3, "u2": 0.05, "u3": 0.05, "u4": 0.25, "u5": 0.35}
    factors = {one: share_factor(effective[one], shares[one]) for one in effective}
    assert factors == pytest.approx(
        {"u1": 0.408479, "u2": 0.022097, "u3": 0.125, "u4": 0.5, "u5": 0.749154}, abs=1e-6
    )


def test_an_hour_one_half_life_ago_counts_half_an_hour():
    half = 7 * 24 * HOUR
    near = decayed([(-HOUR, 0.0)], 0.0, half)
    far = decayed([(-half - HOUR, -half)], 0.0, half)
    assert far == pytest.approx(near / 2)
    assert near == pytest.approx(HOUR, rel=0.01)
    assert decayed([(HOUR, 2 * HOUR)], 0.0, half) == 0.0


def test_who_used_just_their_share_has_half_the_points():
    found = uses({"ana": 100.0, "bo": 100.0}, ["ana", "bo"])
    assert found["ana"].factor == found["bo"].factor == 0.5
    assert uses({}, ["ana"])["ana"].factor == 1.0
    assert uses({"ana": 10.0}, ["bo"])["bo"].factor > uses({"ana": 10.0}, ["bo"])["ana"].factor


def test_a_deadline_counts_more_the_nearer_it_is_and_never_more_than_its_weight():
    weights = Weights()
    points = [deadline_part(hours * HOUR, weights).points for hours in (100, 48, 24, 0, -500)]
    assert points == [0.0, 0.0, 6.0, 12.0, 12.0]
    assert deadline_part(None, weights).points == 0.0


def test_a_part_names_the_numbers_of_its_sentence():
    weights = Weights(roles={"operator": 5.0})
    assert waiting_part(90 * 60, weights).fields == {"hours": 1.5}
    assert share_part(Use(HOUR, 25.4, 0.5), weights).fields == {"used_h": 1.0, "percent": 25}
    assert night_part(2 * HOUR, weights).points == -6.0
    assert role_part(Role.OPERATOR, weights).points == 5.0
    assert role_part(Role.MEMBER, weights).points == 0.0


def test_weights_are_kept_as_they_were_said():
    weights = Weights(share=3.0, roles={"operator": 1.0})
    assert Weights.from_json(weights.to_json()) == weights
    assert Weights.from_json({}) == Weights()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"waiting": 0}, "waiting"),
        ({"half_life_days": 0.0}, "half_life_days"),
        ({"share": -1}, "share"),
        ({"share": "many"}, "share"),
        ({"share": float("nan")}, "share"),
        ({"speed": 1}, "speed"),
        ({"roles": {"king": 1}}, "roles"),
        ({"roles": 3}, "roles"),
    ],
)
def test_weights_that_cannot_be_are_said_with_their_key(values, field):
    with pytest.raises(InvalidError) as error:
        Weights.from_json(values)
    assert error.value.field == field


@given(
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6)),
)
def test_who_waits_longer_has_more_whatever_else_is_the_same(one, more, used):
    weights = Weights()
    assert waiting_part(one + more, weights).points >= waiting_part(one, weights).points
    for use in uses(used, "abcd").values():
        assert 0.0 <= use.factor <= 1.0
