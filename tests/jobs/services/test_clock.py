"""The node's clock: who vouches for it, what a jump costs, and what two days asleep cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.calendar import Interval
from jobs.domain.clock import GAP, STALE, Beat, Reading, Source, is_sound, judge
from jobs.domain.errors import NotAllowedError, UnavailableError
from jobs.domain.people import Actor
from jobs.services import build_services
from jobs.services.clock import Clock, down_within, downs_in, is_trusted
from jobs.services.workshop import Workshop
from jobs.store.tables import SignIn
from tests.jobs.services.conftest import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST = Reading(NOW, HOUR, "boot-1", is_synchronised=True)


def later(reading: Reading, passed: timedelta, jump: timedelta = timedelta()) -> Reading:
    return replace(reading, now=reading.now + passed + jump, steady=reading.steady + passed)


def rebooted(reading: Reading, off: timedelta, **more: bool) -> Reading:
    plain = Reading(reading.now + off, MINUTE, reading.boot + "'")
    return replace(plain, **more)


def trusted(workshop: Workshop, now: datetime) -> bool:
    with workshop.database.read() as session:
        return is_trusted(session, now)


def test_without_a_running_node_the_caller_brings_the_time(workshop: Workshop) -> None:
    assert trusted(workshop, NOW)


@pytest.mark.parametrize(
    ("reading", "source"),
    [
        (Reading(NOW, HOUR, "b"), Source.NONE),
        (Reading(NOW, HOUR, "b", is_synchronised=True), Source.NETWORK),
        (Reading(NOW, HOUR, "b", has_hardware_clock=True), Source.HARDWARE),
        (Reading(NOW, HOUR, "b", is_vouched=True), Source.SETTING),
    ],
)
def test_who_vouches_first(workshop: Workshop, reading: Reading, source: Source) -> None:
    assert Clock(workshop).beat(reading).beat.source is source
    assert trusted(workshop, NOW) is (source is not Source.NONE)


def test_a_hardware_clock_before_the_newest_instant_is_not_believed(workshop: Workshop) -> None:
    clock = Clock(workshop)
    clock.beat(FIRST)
    flat = rebooted(FIRST, -DAY, has_hardware_clock=True)
    assert clock.beat(flat).beat.source is Source.NONE
    assert clock.beat(later(flat, MINUTE)).beat.source is Source.NONE
    synchronised = replace(later(flat, 2 * MINUTE, 3 * DAY), is_synchronised=True)
    assert clock.beat(synchronised).beat.source is Source.NETWORK


def test_a_clock_that_ran_on_stays_right_when_the_network_goes(workshop: Workshop) -> None:
    clock = Clock(workshop)
    clock.beat(FIRST)
    alone = replace(later(FIRST, MINUTE), is_synchronised=False)
    assert clock.beat(alone).beat.source is Source.NETWORK


@pytest.mark.parametrize("jump", [2 * DAY, -2 * DAY, 2 * MINUTE, -2 * MINUTE])
def test_a_jump_is_written_down_and_costs_the_trust(workshop: Workshop, jump: timedelta) -> None:
    clock = Clock(workshop)
    clock.beat(replace(FIRST, is_synchronised=False, has_hardware_clock=True))
    jumped = replace(later(FIRST, MINUTE, jump), is_synchronised=False, has_hardware_clock=True)
    judged = clock.beat(jumped)
    assert (judged.jump, judged.beat.source) == (jump, Source.NONE)
    view = clock.view(jumped.now)
    assert [(one.kind, one.jump) for one in view.events] == [("jump", jump)]
    # It runs on steadily: that proves nothing.
    assert clock.beat(later(jumped, MINUTE)).beat.source is Source.NONE


def test_between_two_beats_a_jump_is_not_believed_either(workshop: Workshop) -> None:
    Clock(workshop).beat(FIRST)
    assert trusted(workshop, NOW + MINUTE)
    assert not trusted(workshop, NOW - MINUTE)
    assert not trusted(workshop, NOW + STALE + MINUTE)


def test_a_persons_word_holds_until_the_restart(
    workshop: Workshop, operator: Actor, member: Actor
) -> None:
    clock = Clock(workshop)
    with pytest.raises(UnavailableError):
        clock.vouch(operator, NOW)
    bare = replace(FIRST, is_synchronised=False)
    clock.beat(bare)
    with pytest.raises(NotAllowedError):
        clock.vouch(member, NOW)
    clock.vouch(operator, NOW + MINUTE)
    assert trusted(workshop, NOW + MINUTE)
    assert clock.beat(later(bare, 2 * MINUTE)).beat.source is Source.PERSON
    assert [(one.kind, one.person_name) for one in clock.view(NOW).events] == [("word", "Otto")]
    assert clock.beat(rebooted(bare, HOUR)).beat.source is Source.NONE


def test_two_days_without_power_count_against_nobody(workshop: Workshop) -> None:
    clock = Clock(workshop)
    clock.beat(FIRST)
    clock.beat(later(FIRST, GAP))
    back = rebooted(FIRST, 2 * DAY, is_synchronised=True)
    clock.beat(back)
    with workshop.database.read() as session:
        assert downs_in(session, Interval(NOW, NOW + 9 * DAY)) == [
            Interval(NOW + GAP, NOW + 2 * DAY)
        ]
        assert down_within(session, NOW + DAY, NOW + 3 * DAY) == DAY
        assert down_within(session, NOW + 2 * DAY, NOW + 3 * DAY) == timedelta()
        assert down_within(session, NOW + DAY, NOW) == timedelta()


def test_minutes_without_a_clock_are_known_once_it_is_trusted(workshop: Workshop) -> None:
    """A Pi without a battery wakes up in the past and hears of the time an hour later."""
    clock = Clock(workshop)
    clock.beat(FIRST)
    woke = rebooted(FIRST, MINUTE)
    assert clock.beat(woke).down_from is None
    heard = replace(later(woke, HOUR, DAY), is_synchronised=True)
    assert clock.beat(heard).down_from == NOW
    with workshop.database.read() as session:
        assert down_within(session, NOW - DAY, heard.now) == heard.now - NOW


def test_the_sweeps_do_nothing_until_the_clock_is_trusted_and_then_catch_up(
    workshop: Workshop, printer: str, member: Actor
) -> None:
    services = build_services(workshop)
    end = NOW + HOUR
    with workshop.database.write() as session:
        session.add(
            SignIn(
                token_sha256="0" * 64,
                person_id=member.person_id,
                csrf="",
                created_at=NOW,
                seen_at=NOW,
                expires_at=end,
            )
        )
    services.clock.beat(FIRST)
    wild = rebooted(FIRST, 2 * DAY)
    services.clock.beat(wild)
    assert services.sweep.tick(wild.now).sign_ins == 0
    assert services.runs.overruns(wild.now) == []
    services.clock.beat(replace(later(wild, MINUTE), is_synchronised=True))
    woken = wild.now + MINUTE
    assert services.sweep.tick(woken).sign_ins == 1
    assert services.sweep.tick(woken).sign_ins == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 7200), st.sampled_from([0, 0, 0, -90, 3600, -86400]), st.booleans()
        ),
        max_size=20,
    )
)
def test_no_believed_instant_ever_goes_back_unless_a_time_server_says_so(
    steps: list[tuple[int, int, bool]],
) -> None:
    reading, beat = replace(FIRST, is_synchronised=False, has_hardware_clock=True), None
    for passed, jump, synchronised in steps:
        before: Beat | None = beat
        reading = later(reading, timedelta(seconds=passed), timedelta(seconds=jump))
        reading = replace(reading, is_synchronised=synchronised)
        beat = judge(beat, reading).beat
        newest = before.sound_at if before else None
        if newest is not None and beat.at < newest and not synchronised:
            assert beat.source is Source.NONE
        assert is_sound(beat, reading.now) is (beat.source is not Source.NONE)
