from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.people import Actor
from jobs.domain.rules.values import LAB, Scope
from jobs.services.house import House
from jobs.services.proposals import Proposals, ProposalState
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice

DAY = timedelta(days=1)
WHY = "A print of four days fits nowhere."


@pytest.fixture
def house(workshop: Workshop, printer: str) -> House:
    return House(workshop)


@pytest.fixture
def proposals(workshop: Workshop, house: House) -> Proposals:
    return Proposals(workshop, house)


def held(house: House, key: str, scope: Scope = LAB) -> object:
    return next(one.value for one in house.rules(scope) if one.spec.key == key)


def test_an_accepted_proposal_holds_at_once_and_is_looked_at_again(
    workshop: Workshop,
    house: House,
    proposals: Proposals,
    admin: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    made = proposals.propose(member, LAB, "longest_min", "5760", WHY, now)
    proposals.comment(other, made, "I would like that.", now)
    with pytest.raises(NotAllowedError):
        proposals.decide(member, made, accepted=True, reason="yes!", review_on="", now=now)
    with pytest.raises(InvalidError):
        proposals.decide(admin, made, accepted=True, reason="ok", review_on="", now=now)
    with pytest.raises(InvalidError):
        proposals.decide(admin, made, accepted=True, reason="good", review_on="2026-03-03", now=now)
    assert held(house, "longest_min") == 72 * 60
    proposals.decide(
        admin, made, accepted=True, reason="For a month.", review_on="2026-04-04", now=now
    )
    assert held(house, "longest_min") == 5760
    [change] = house.history()
    assert (change.proposal_id, change.reason, change.new) == (made, "For a month.", [5760])
    one, comments = proposals.get(made, now)
    assert (one.state, one.wanted, one.old, one.current) == (
        ProposalState.ACCEPTED,
        5760,
        72 * 60,
        5760,
    )
    assert [said.text for said in comments] == ["I would like that."]
    assert (one.is_due, proposals.due(now)) == (False, 0)
    later = now + 31 * DAY
    assert proposals.due(later) == 1
    assert proposals.get(made, later)[0].is_due
    proposals.reviewed(admin, made, "2026-06-01", later)
    assert proposals.due(later) == 0
    assert proposals.due(later + 90 * DAY) == 1
    proposals.reviewed(admin, made, "", later + 90 * DAY)
    assert proposals.due(later + 900 * DAY) == 0
    with pytest.raises(RefusedError):
        proposals.decide(admin, made, accepted=False, reason="late", review_on="", now=later)
    with workshop.database.read() as session:
        told = {tuple(row) for row in session.execute(select(Notice.person_id, Notice.code))}
    assert told == {
        (admin.person_id, "proposal-made"),
        (member.person_id, "proposal-comment"),
        (member.person_id, "proposal-accepted"),
    }


def test_a_rejected_proposal_changes_nothing(
    house: House, proposals: Proposals, admin: Actor, member: Actor, now: datetime
) -> None:
    made = proposals.propose(member, Scope.read("machine:ender"), "gap_min", 30, WHY, now)
    proposals.decide(admin, made, accepted=False, reason="Nobody queues.", review_on="", now=now)
    assert held(house, "gap_min", Scope.read("machine:ender")) is None
    assert house.history() == []
    [one] = proposals.list(now)
    assert (one.state, one.reason) == (ProposalState.REJECTED, "Nobody queues.")


@pytest.mark.parametrize(
    ("key", "value", "why", "code"),
    [
        ("longest_min", "4320", WHY, "proposal.same"),
        ("longest_min", "much", WHY, "rule.number"),
        ("longest_min", "60", "", "proposal.text"),
        ("longest_min", "60", "x" * 2001, "proposal.text"),
        ("nothing", "60", WHY, "rule.unknown"),
    ],
)
def test_a_proposal_that_is_none_says_why(
    proposals: Proposals, member: Actor, now: datetime, key: str, value: str, why: str, code: str
) -> None:
    with pytest.raises(InvalidError) as error:
        proposals.propose(member, LAB, key, value, why, now)
    assert error.value.code == code
    assert proposals.list(now) == []


def test_who_proposes_is_bounded_and_may_withdraw(
    proposals: Proposals, member: Actor, other: Actor, guest: Actor, now: datetime
) -> None:
    made = [proposals.propose(member, LAB, "longest_min", 60 + n, WHY, now) for n in range(10)]
    with pytest.raises(InvalidError):
        proposals.propose(member, LAB, "longest_min", 99, WHY, now)
    with pytest.raises(NotAllowedError):
        proposals.withdraw(other, made[0], now)
    with pytest.raises(NotAllowedError):
        proposals.propose(guest, LAB, "longest_min", 99, WHY, now)
    with pytest.raises(NotFoundError):
        proposals.get("nothing", now)
    proposals.withdraw(member, made[0], now)
    assert proposals.propose(member, LAB, "longest_min", 99, WHY, now)
