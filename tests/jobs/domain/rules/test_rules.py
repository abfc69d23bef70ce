"""Every "no" of the house says what would make it pass, and that is true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from jobs.domain.calendar import Interval
from jobs.domain.people import Role
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.prices import Tariff
from jobs.domain.rules import (
    FOR_EVER,
    RULES,
    Act,
    Facts,
    OwnBooking,
    TrainingOffer,
    Values,
    key_of,
    keys_elsewhere,
    next_start,
    passes,
    refusals_of,
    slots,
    taking,
)
from jobs.domain.rules.facts import Purse
from jobs.domain.rules.values import SPECS, Level
from tests.jobs.domain.rules.wishes import DAY, HOUR, MINUTE, NOW, a_purse, a_wish, wishes

# What no time, place, person or thing changes; staff may not let it pass either.
HOPELESS = {Reason.BOOKING_HIDDEN, Reason.MACHINE_RETIRED}


def reasons(facts: Facts, values: Values) -> set[Reason]:
    return {one.reason for one in refusals_of(facts, values)}


def the(reason: Reason, facts: Facts, values: Values) -> Refusal:
    [found] = [one for one in refusals_of(facts, values) if one.reason is reason]
    return found


def taken_way(way: Way, facts: Facts) -> Facts | None:
    """The wish of somebody who took a way; None where it is no matter of facts."""
    match way.kind:
        case WayKind.TRAINING:
            return replace(facts, qualified_until=FOR_EVER)
        case WayKind.GIVE_BACK:
            return replace(facts, own=tuple(one for one in facts.own if one.id != way.ref))
        case WayKind.ACCEPT:
            left = tuple(one for one in facts.to_accept if one.ref != way.ref)
            return replace(facts, to_accept=left)
        case WayKind.COME_TOGETHER:
            return replace(facts, people_here=way.count)
        case WayKind.TOP_UP:
            assert facts.purse is not None
            more = replace(facts.purse, minor=facts.purse.minor + way.count)
            return replace(facts, purse=more)
        case WayKind.PROLONG:
            return replace(facts, stay_ends=None)
        case WayKind.NAME_MACHINE:
            return replace(facts, named=True)
        case WayKind.CONSENT:
            return replace(facts, has_consent=True)
        case WayKind.SUPERVISOR:
            return replace(facts, is_supervised=True)
        case WayKind.ASK_STAFF | WayKind.OTHER_MACHINE:
            return None
        case _:
            return taking(way, facts)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(wishes())
def test_every_way_removes_its_refusal_and_one_that_clears_removes_all(wish) -> None:
    facts, values = wish
    for refusal in refusals_of(facts, values):
        assert refusal.overridable == any(way.kind is WayKind.ASK_STAFF for way in refusal.ways), (
            refusal
        )
        for way in refusal.ways:
            after = taken_way(way, facts)
            if after is None:
                continue
            left = reasons(after, values)
            assert refusal.reason not in left, (refusal, way)
            if way.clears:
                assert left <= {Reason.NEEDS_APPROVAL}, (refusal, way, left)
            if way.kind is WayKind.LATER:
                assert after.start > facts.start, (refusal, way)
                assert after.length == facts.length
            if way.kind is WayKind.EARLIER:
                assert facts.now <= after.start < facts.start, (refusal, way)
            if way.kind is WayKind.SHORTER:
                assert after.start == facts.start, (refusal, way)
                assert values.shortest <= after.length < facts.length or (
                    refusal.reason is Reason.TOO_LONG
                )


@settings(max_examples=120, deadline=None, derandomize=True)
@given(wishes())
def test_every_refusal_says_when_or_how_it_passes(wish) -> None:
    facts, values = wish
    for refusal in refusals_of(facts, values):
        if refusal.passes_at is not None:
            asked_then = replace(facts, now=refusal.passes_at)
            moved = facts.at(refusal.passes_at, refusal.passes_at + facts.length)
            by_asking = any(way.kind is WayKind.ASK_AGAIN for way in refusal.ways)
            assert refusal.reason not in reasons(asked_then if by_asking else moved, values)
        if refusal.reason in HOPELESS:
            continue
        is_full = refusal.reason in (Reason.TAKEN, Reason.OUT_OF_SERVICE)
        # Where a machine is taken as far as one can see there is no other time; but nothing that
        # a test draws here reaches as far.
        assert refusal.ways or not is_full, refusal
        assert refusal.ways, refusal


@settings(max_examples=80, deadline=None, derandomize=True)
@given(wishes())
def test_the_next_start_passes_every_rule_of_time_and_none_before_it_does(wish) -> None:
    facts, values = wish
    timely = {rule.reason for rule in RULES if rule.of_time}
    found = next_start(facts, values)
    if found is None:
        return
    assert found.start >= facts.start
    assert not reasons(facts.at(found.start, found.end), values) & timely
    step = 15 * MINUTE
    tried = facts.start
    for _ in range(40):  # bounded: the first ten hours tell enough
        if tried >= found.start:
            break
        assert reasons(facts.at(tried, tried + facts.length), values) & timely, tried
        tried += step


def test_slots_begin_on_quarters_pass_and_do_not_overlap() -> None:
    taken = (Interval(NOW + 7 * MINUTE, NOW + 68 * MINUTE),)
    wish = a_wish(NOW, taken=taken)
    values = Values(opening="Mo-Fr 09:00-13:00")
    found = [one for one, _ in zip(slots(wish, values, 15 * MINUTE), range(4), strict=False)]
    assert [one.start - NOW for one in found] == [75 * MINUTE, DAY - HOUR, DAY, DAY + HOUR]
    assert all(passes(wish.at(one.start, one.end), values) for one in found)


def test_what_is_taken_names_the_nearest_times_around_it() -> None:
    taken = (Interval(NOW + 4 * HOUR, NOW + 6 * HOUR), Interval(NOW + 7 * HOUR, NOW + 9 * HOUR))
    refused = the(Reason.TAKEN, a_wish(NOW + 3 * HOUR, 2 * HOUR, taken=taken), Values())
    ways = {way.kind: (way.start - NOW, way.end - NOW) for way in refused.ways}
    assert ways == {
        WayKind.EARLIER: (2 * HOUR, 4 * HOUR),
        WayKind.SHORTER: (3 * HOUR, 4 * HOUR),
        WayKind.LATER: (9 * HOUR, 11 * HOUR),
    }
    assert refused.passes_at == NOW + 9 * HOUR


def test_all_reasons_come_at_once() -> None:
    wish = a_wish(NOW - DAY, 5 * MINUTE, role=Role.GUEST, machine_retired=True)
    assert reasons(wish, Values()) == {
        Reason.MACHINE_RETIRED,
        Reason.ROLE_TOO_LOW,
        Reason.IN_THE_PAST,
        Reason.TOO_SHORT,
    }


def test_a_lab_that_decided_nothing_is_generous() -> None:
    values = Values()
    own = tuple(OwnBooking(Interval(NOW + n * DAY, NOW + n * DAY + HOUR)) for n in range(50))
    wish = a_wish(length=72 * HOUR, own=own, qualified_until=None, people_here=0)
    assert refusals_of(wish, values) == []
    assert refusals_of(replace(wish, act=Act.START), values) == []


def test_the_horizon_is_longer_for_those_who_plan_for_others() -> None:
    values = Values(horizon_days=14, horizon_trainer_days=60, horizon_staff_days=200)
    for role, days in ((Role.MEMBER, 14), (Role.TRAINER, 60), (Role.OPERATOR, 200)):
        assert refusals_of(a_wish(NOW + days * DAY, role=role), values) == []
        refused = the(Reason.TOO_FAR_AHEAD, a_wish(NOW + days * DAY + MINUTE, role=role), values)
        assert refused.passes_at == NOW + MINUTE
    assert key_of(Reason.TOO_FAR_AHEAD, Role.TRAINER) == "horizon_trainer_days"


def test_a_training_with_a_free_seat_is_named() -> None:
    full, free = (
        TrainingOffer("a", "Saw", NOW + DAY, 0),
        TrainingOffer("b", "Saw", NOW + 2 * DAY, 1),
    )
    wish = a_wish(qualified_until=None, trainings=(full, free))
    refused = the(Reason.NOT_QUALIFIED, wish, Values(qualification_needed=True))
    [way] = [one for one in refused.ways if one.kind is WayKind.TRAINING]
    assert (way.ref, way.name, way.at, way.count) == ("b", "Saw", NOW + 2 * DAY, 1)


def test_a_qualification_must_last_to_the_end_of_the_booking() -> None:
    values = Values(qualification_needed=True)
    wish = a_wish(length=4 * HOUR, qualified_until=NOW + 3 * HOUR)
    refused = the(Reason.QUALIFICATION_ENDS, wish, values)
    kinds = {way.kind: way for way in refused.ways}
    assert kinds[WayKind.SHORTER].end == NOW + 3 * HOUR
    assert refusals_of(a_wish(length=2 * HOUR, qualified_until=NOW + 3 * HOUR), values) == []


@pytest.mark.parametrize(
    ("level", "counted"), [(Level.LAB, 3), (Level.KIND, 2), (Level.MACHINE, 1)]
)
def test_a_quota_counts_as_far_as_it_was_set(level: Level, counted: int) -> None:
    own = tuple(
        OwnBooking(Interval(NOW + n * HOUR, NOW + (n + 1) * HOUR), machine, machine, kind)
        for n, (machine, kind) in enumerate((("ender", "fdm"), ("prusa", "fdm"), ("saw", "saw")))
    )
    values = Values(day_quota_min=60 * counted, levels={"day_quota_min": level})
    refused = the(Reason.DAY_QUOTA, a_wish(NOW + 5 * HOUR, own=own), values)
    assert refused.fields["used_min"] == 60 * counted
    more = Values(day_quota_min=60 * counted + 60, levels={"day_quota_min": level})
    assert refusals_of(a_wish(NOW + 5 * HOUR, own=own), more) == []


def test_a_quota_names_a_shorter_slot_and_the_next_day() -> None:
    own = (OwnBooking(Interval(NOW, NOW + 90 * MINUTE), "x", "ender", "fdm"),)
    wish = a_wish(NOW + 3 * HOUR, own=own)
    refused = the(Reason.DAY_QUOTA, wish, Values(day_quota_min=120))
    ways = {way.kind: way for way in refused.ways}
    assert ways[WayKind.SHORTER].end == wish.start + 30 * MINUTE
    midnight = NOW + 14 * HOUR  # in Berlin
    assert ways[WayKind.LATER].start == midnight
    assert refused.passes_at == midnight


def test_no_chains_of_one_persons_bookings_on_one_machine() -> None:
    own = (OwnBooking(Interval(NOW, NOW + HOUR), "x", "ender", "fdm"),)
    values = Values(gap_min=30)
    refused = the(Reason.TOO_CLOSE, a_wish(NOW + HOUR, own=own), values)
    assert refused.passes_at == NOW + HOUR + 30 * MINUTE
    assert refusals_of(a_wish(NOW + HOUR + 30 * MINUTE, own=own), values) == []
    assert refusals_of(a_wish(NOW + HOUR, own=own, machine="prusa"), values) == []


def test_between_two_people_a_machine_is_set_up_and_who_goes_on_needs_none() -> None:
    before = (Interval(NOW - HOUR, NOW),)
    values = Values(buffer_min=30)
    refused = the(Reason.SET_UP, a_wish(NOW + 10 * MINUTE, neighbours=before), values)
    assert refused.passes_at == NOW + 30 * MINUTE
    assert refused.overridable
    assert refusals_of(a_wish(NOW + 30 * MINUTE, neighbours=before), values) == []
    assert refusals_of(a_wish(NOW + 10 * MINUTE, neighbours=before), Values()) == []
    own = (OwnBooking(before[0], "x", "ender", "fdm"),)
    assert refusals_of(a_wish(NOW, own=own), values) == []
    behind = (Interval(NOW + 2 * HOUR, NOW + 3 * HOUR),)
    refused = the(Reason.SET_UP, a_wish(NOW, 2 * HOUR, neighbours=behind), values)
    assert [way.end for way in refused.ways if way.kind is WayKind.SHORTER] == [NOW + 90 * MINUTE]


def test_of_too_many_bookings_one_given_back_makes_room() -> None:
    own = tuple(
        OwnBooking(Interval(NOW + n * DAY, NOW + n * DAY + HOUR), str(n)) for n in (1, 2, 3)
    )
    refused = the(Reason.TOO_MANY_BOOKINGS, a_wish(own=own), Values(most_bookings=3))
    assert refused.passes_at == NOW + DAY + HOUR
    assert [way.ref for way in refused.ways if way.kind is WayKind.GIVE_BACK] == ["1"]


def test_credit_buys_a_shorter_time() -> None:
    """4.00 an hour and 1.00 for the set-up: 6.00 and 1.00 that may be owed are 90 minutes."""
    values = Values(owing_most=1)
    wish = a_wish(length=3 * HOUR, purse=a_purse(600))
    refused = the(Reason.CREDITS_SHORT, wish, values)
    assert refused.fields == {"needed": "13.00 EUR", "balance": "6.00 EUR"}
    ways = {way.kind: way for way in refused.ways}
    assert ways[WayKind.SHORTER].end == NOW + HOUR + 90 * MINUTE
    assert (ways[WayKind.TOP_UP].count, ways[WayKind.TOP_UP].name) == (600, "6.00 EUR")
    assert refusals_of(replace(wish, purse=None), values) == []
    assert refusals_of(wish, Values()) == []


def test_what_starts_now_is_never_made_shorter_by_credit() -> None:
    wish = a_wish(length=3 * HOUR, purse=a_purse(600), act=Act.START, start=NOW)
    (refused,) = refusals_of(wish, Values(owing_most=0))
    assert [way.kind for way in refused.ways] == [WayKind.TOP_UP, WayKind.ASK_STAFF]


def test_who_owes_may_still_begin_what_is_free() -> None:
    free = Purse(-5000, Tariff("EUR"))
    assert refusals_of(a_wish(purse=free), Values(owing_most=0)) == []


def test_what_was_approved_may_be_made_shorter_and_staff_ask_nobody() -> None:
    values = Values(approval_needed=True)
    assert reasons(a_wish(), values) == {Reason.NEEDS_APPROVAL}
    within = a_wish(moved=Interval(NOW, NOW + 3 * HOUR))
    assert refusals_of(within, values) == []
    assert reasons(a_wish(moved=Interval(NOW, NOW + HOUR)), values) == {Reason.NEEDS_APPROVAL}
    assert refusals_of(a_wish(role=Role.OPERATOR), values) == []


def test_other_machines_of_the_kind_are_named_where_they_would_do() -> None:
    here = Interval(NOW, NOW + 9 * HOUR)
    wish = a_wish(taken=(here,))
    peers = [
        (a_wish(machine="full", taken=(here,)), Values()),
        (a_wish(machine="closed", machine_name="Closed"), Values(opening="Su 10:00-11:00")),
        (a_wish(machine="free", machine_name="Free"), Values()),
    ]
    [refused] = refusals_of(wish, Values(), peers)
    others = [way for way in refused.ways if way.kind is WayKind.OTHER_MACHINE]
    assert [(way.ref, way.name, way.clears) for way in others] == [
        ("free", "Free", True),
        ("closed", "Closed", False),
    ]


def test_the_search_ends_where_nothing_is_free() -> None:
    full = (Interval(NOW, NOW + 400 * DAY),)
    assert next_start(a_wish(taken=full), Values()) is None
    assert list(slots(a_wish(taken=full), Values(), 15 * MINUTE)) == []
    assert next_start(a_wish(length=80 * HOUR), Values()) is None


def test_each_rule_stands_in_the_list_once_and_its_values_exist() -> None:
    found = [rule.reason for rule in RULES]
    assert len(found) == len(set(found))
    keys = {key for rule in RULES for key in rule.keys} | keys_elsewhere()
    assert {spec.key for spec in SPECS} == keys
