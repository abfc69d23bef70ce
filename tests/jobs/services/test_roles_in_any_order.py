"""Whatever people do, in whatever order: nobody gives, keeps or takes more than they hold.

What may happen is worked out here from the words of the rule, not from the code that keeps it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from jobs.domain.errors import InvalidError, JobsError
from jobs.domain.people import Actor, Role
from jobs.services.badges import Badges
from jobs.services.joining import InviteWish, Joining
from jobs.services.people import People
from jobs.store.database import Database
from jobs.store.tables import Person

RANK = {role: rank for rank, role in enumerate(Role)}
GIVEN = [Role.MEMBER, Role.TRAINER, Role.OPERATOR, Role.ADMIN]  # a guest needs more than a role
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Action:
    """Who does what to whom, with which role; `stale`: by what a page knew at the beginning."""

    verb: str
    who: int
    whom: int
    role: Role
    stale: bool


ACTIONS = st.lists(
    st.builds(
        Action,
        st.sampled_from(
            ["role", "role", "create", "disable", "enable", "invite", "accept", "link", "badge"]
        ),
        st.integers(0, 5),
        st.integers(0, 5),
        st.sampled_from(GIVEN),
        st.booleans(),
    ),
    min_size=3,
    max_size=16,
)


@dataclass
class Known:
    """A person as this test has them."""

    actor: Actor
    role: Role
    is_out: bool = False


class House:
    """The use cases, and beside them who holds what by the rule alone."""

    def __init__(self, workshop, now):
        self.workshop, self.now = workshop, now
        self.people, self.joining = People(workshop), Joining(workshop)
        self.badges = Badges(workshop)
        self.known: list[Known] = []
        self.invites: list[tuple[str, int, Role]] = []
        self.number = 0

    def add(self, view):
        self.known.append(Known(self.people.actor_of(view), view.role))

    def holds(self, index: int) -> int:
        one = self.known[index]
        return -1 if one.is_out else RANK[one.role]

    def admins(self) -> int:
        return sum(one.role is Role.ADMIN and not one.is_out for one in self.known)

    def do(self, action: Action) -> None:
        """Do it, and compare what happened with what the rule says."""
        who, whom = action.who % len(self.known), action.whom % len(self.known)
        actor = self.known[who].actor
        if not action.stale:
            actor = Actor(actor.person_id, actor.name, self.known[who].role)
        power = min(self.holds(who), RANK[actor.role])
        is_staff = power >= RANK[Role.OPERATOR]
        target = self.known[whom]
        over = is_staff and power >= RANK[target.role]
        gives = is_staff and power >= RANK[action.role]
        last = target.role is Role.ADMIN and not target.is_out and self.admins() == 1
        target_id = target.actor.person_id
        match action.verb:
            case "role":
                allowed = over and gives and not (last and action.role is not Role.ADMIN)
                if self.tried(
                    allowed, self.people.set_role, actor, target_id, action.role, self.now
                ):
                    target.role = action.role
            case "create":
                view = self.tried(
                    gives, self.people.create, "", f"P{self.next()}", action.role,
                    actor=actor, now=self.now,
                )  # fmt: skip
                if view:
                    self.add(view)
            case "disable":
                if self.tried(over and not last, self.people.disable, actor, target_id, self.now):
                    target.is_out = True
            case "enable":
                if self.tried(over, self.people.enable, actor, target_id):
                    target.is_out = False
            case "invite":
                token = self.tried(
                    gives, self.joining.invite, actor, InviteWish(action.role), self.now
                )
                if token:
                    self.invites.append((token, who, action.role))
            case "accept" if self.invites:
                token, by, role = self.invites.pop(action.whom % len(self.invites))
                needed = max(RANK[Role.OPERATOR], RANK[role])  # by what the inviter holds now
                view = self.tried(
                    self.holds(by) >= needed, self.joining.accept, token,
                    "New", f"new{self.next()}", PASSWORD, self.now,
                )  # fmt: skip
                if view:
                    assert view.role is role
                    self.add(view)
            case "link":
                allowed = over and not target.is_out
                self.tried(allowed, self.people.link_for, actor, target_id, self.now)
            case "badge":
                number = f"BADGE{self.next():04}"
                allowed = over and not target.is_out
                if badge := self.tried(
                    allowed, self.badges.give, actor, target_id, number, self.now
                ):
                    self.badges.end(target.actor, badge, self.now)
        self.compare()

    def tried(self, allowed, call, *args, **kwargs):
        try:
            found = call(*args, **kwargs)
        except JobsError:
            assert not allowed, (call.__name__, args)
            return None
        assert allowed, (call.__name__, args)
        return found if found is not None else True

    def next(self) -> int:
        self.number += 1
        return self.number

    def compare(self) -> None:
        with self.workshop.database.read() as session:
            rows = session.scalars(select(Person)).all()
            kept = {row.id: (Role(row.role), row.disabled_at is not None) for row in rows}
        assert kept == {one.actor.person_id: (one.role, one.is_out) for one in self.known}
        assert self.admins() >= 1


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch):
    """How a password is hashed is no matter here, and takes its time."""
    monkeypatch.setattr("jobs.services.passwords.hashed", lambda password: "x")


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(ACTIONS)
def test_nobody_gives_keeps_or_takes_more_than_they_hold(
    migrated_file, tmp_path, make_workshop, now, actions
):
    path = tmp_path / "roles.db"
    for one in tmp_path.glob("roles.db*"):
        one.unlink()
    shutil.copyfile(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    try:
        house = House(make_workshop(database), now)
        house.add(house.people.create("ada", "Ada", Role.ADMIN, actor=None, now=now))
        ada = house.known[0].actor
        for name, role in (("otto", Role.OPERATOR), ("olga", Role.OPERATOR), ("mia", Role.MEMBER)):
            house.add(house.people.create(name, name.title(), role, actor=ada, now=now))
        for action in actions:
            house.do(action)
    finally:
        database.close()


def test_the_last_admin_cannot_be_lost_in_any_way(workshop, admin, now):
    people = People(workshop)
    for lose in (
        lambda: people.set_role(admin, admin.person_id, Role.MEMBER, now),
        lambda: people.disable(admin, admin.person_id, now),
    ):
        with pytest.raises(InvalidError, match=r"person\.last-admin"):
            lose()
