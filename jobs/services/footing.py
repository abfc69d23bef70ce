"""On what terms a person is here, and what follows from it for a machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import NotAllowedError
from jobs.domain.people import Actor, Footing, Role, is_at_least
from jobs.domain.policy import Refusal
from jobs.domain.rules import Act, Facts, Values, use_refusals
from jobs.services.house_attendance import who_is_in
from jobs.store.persons import PersonMachine, Standing
from jobs.store.tables import Machine, Person

_ANY_ZONE: Final = ZoneInfo("UTC")  # none of these rules asks for the lab's clock


def footing_of(session: Session, person_id: str) -> Footing:
    """Return a person's terms; a guest always needs a list of machines."""
    row = session.get(Standing, person_id)
    person = session.get(Person, person_id)
    is_guest = person is not None and person.role == Role.GUEST.value
    if row is None:
        return Footing(machines=frozenset()) if is_guest else Footing()
    named = None
    if is_guest or row.is_minor or row.named_only:
        found = select(PersonMachine.machine_id).where(PersonMachine.person_id == person_id)
        named = frozenset(session.scalars(found))
    return Footing(row.ends_at, row.sponsor_id, named, row.is_minor, row.consent_at is not None)


def with_footing(session: Session, facts: Facts, person_id: str, machine: Machine) -> Facts:
    """Return the facts of a wish with the terms of the person whose it is."""
    terms = footing_of(session, person_id)
    if terms == Footing():
        return facts
    return replace(
        facts,
        stay_ends=terms.ends_at,
        named=None if terms.machines is None else machine.id in terms.machines,
        is_minor=terms.is_minor,
        has_consent=terms.has_consent,
        is_supervised=terms.is_minor
        and facts.act is Act.START
        and _is_supervised(session, terms, facts.now),
    )


def person_refusals(
    session: Session, actor: Actor, machine: Machine, now: datetime
) -> list[Refusal]:
    """Return why *actor* may not use a machine at all now: their days, list, guardian, company.

    Their role is asked elsewhere: `may_use` says whether it is enough.
    """
    facts = Facts(
        start=now,
        end=now + timedelta(minutes=1),
        now=now,
        role=Role.MEMBER,
        zone=_ANY_ZONE,
        known_until=now,
        act=Act.START,
        machine=machine.slug,
        machine_name=machine.name,
        kind=machine.kind,
    )
    return use_refusals(with_footing(session, facts, actor.person_id, machine), Values())


def may_use(session: Session, actor: Actor, machine: Machine | None = None) -> bool:
    """Return whether a role is enough to use a machine: a member's, or a guest's if it is named.

    :param machine: None: any at all.
    """
    if actor.is_at_least(Role.MEMBER):
        return True
    named = footing_of(session, actor.person_id).machines if actor.person_id else None
    if not named:
        return False
    return machine is None or machine.id in named


def must_use(session: Session, actor: Actor, machine: Machine | None = None) -> None:
    """Refuse who may not.

    :raises NotAllowedError: `person.not-allowed`.
    """
    if not may_use(session, actor, machine):
        raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)


def _is_supervised(session: Session, terms: Footing, now: datetime) -> bool:
    """Tell whether somebody is in the house who answers for a minor: staff, or who vouches."""
    here = [one.person_id for one in who_is_in(session, now) if one.person_id and not one.is_minor]
    if terms.sponsor_id in here:
        return True
    roles = session.scalars(select(Person.role).where(Person.id.in_(here)))
    return any(is_at_least(Role(role), Role.TRAINER) for role in roles)
