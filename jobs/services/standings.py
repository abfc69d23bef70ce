"""Terms: until when a person is here, who vouches for them, which machines, whose consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor, Role, call_name, is_at_least
from jobs.services.authority import changeable, must_hold, person_of
from jobs.services.claims import give_back
from jobs.services.clearing import staff_of
from jobs.services.footing import footing_of
from jobs.services.notices import tell
from jobs.services.workshop import Workshop
from jobs.store.persons import PersonMachine, Standing
from jobs.store.tables import Allocation, Machine, Person

_LONGEST: Final = 120  # characters
_FURTHEST: Final = timedelta(days=3 * 366)  # terms are looked at again by then
_SOON: Final = timedelta(days=3)  # who vouches hears of an end so early
_LATE: Final = timedelta(days=30)  # an end that nobody was told of, as after a long power cut
_MOST: Final = 500  # people in one sweep
_MOST_MACHINES: Final = 200


@dataclass(frozen=True, slots=True)
class TermsWish:
    """What staff set for a person; every field as it shall be.

    :param sponsor: login of who vouches for them; "" for nobody.
    :param machines: slugs; they count where the person needs a list.
    :param named_only: a member, too, uses only those.
    """

    ends_at: datetime | None = None
    sponsor: str = ""
    machines: Sequence[str] = ()
    named_only: bool = False
    is_minor: bool = False
    guardian: str = ""
    guardian_reach: str = ""
    has_consent: bool = False


@dataclass(frozen=True, slots=True)
class TermsView:
    """A person's terms as staff and they themselves see them.

    :param full_name: of a minor, whose other name stands everywhere else; else their name.
    """

    full_name: str
    ends_at: datetime | None
    is_over: bool
    sponsor_id: str | None
    sponsor_login: str
    sponsor_name: str
    machines: Sequence[tuple[str, str]]  # slug and name
    needs_list: bool
    named_only: bool
    is_minor: bool
    guardian: str
    guardian_reach: str
    consent_at: datetime | None
    consent_by: str
    vouches_for: Sequence[tuple[str, str]]  # id and name


class Standings:
    """Use cases about people's terms."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def get(self, actor: Actor, person_id: str, now: datetime) -> TermsView:
        """Return a person's terms; for themselves and staff."""
        if actor.person_id != person_id and not actor.is_at_least(Role.TRAINER):
            raise NotAllowedError("person.not-allowed", needed=Role.TRAINER.value)
        with self._database.read() as session:
            return _view(session, person_of(session, person_id), now)

    def set(self, actor: Actor, person_id: str, wish: TermsWish, now: datetime) -> TermsView:
        """Set a person's terms; bookings beyond their end are given back.

        :raises InvalidError: naming the field.
        """
        with self._database.write() as session:
            person = changeable(session, actor, person_id)
            set_terms(session, self._workshop, actor, person, wish, now)
            view = _view(session, person, now)
        self._workshop.live.touch()
        return view

    def tick(self, now: datetime) -> int:
        """Tell who vouches for whom that somebody's days end, or ended; return how many ended.

        Nothing that runs is ended. A second time at once changes nothing.
        """
        ended = 0
        with self._database.write() as session:
            rows = session.scalars(
                select(Standing)
                .join(Person, Person.id == Standing.person_id)
                .where(
                    Standing.ends_at > now - _LATE,
                    Standing.ends_at <= now + _SOON,
                    Person.disabled_at.is_(None),
                )
                .order_by(Standing.ends_at)
                .limit(_MOST)
            )
            for row in rows.all():
                assert row.ends_at is not None
                is_over = row.ends_at <= now
                ended += is_over
                if is_over:
                    _give_back_after(session, self._workshop, row, now)
                self._tell(session, row, row.ends_at, "ended" if is_over else "ends", now)
        return ended

    def _tell(
        self, session: Session, row: Standing, ends_at: datetime, what: str, now: datetime
    ) -> None:
        name = session.get_one(Person, row.person_id).name
        fields = {"person": name, "at": rfc3339(ends_at)}
        key = f"stay-{what}:{row.person_id}:{ends_at.timestamp():.0f}"
        told = [row.sponsor_id] if row.sponsor_id else staff_of(session)
        for one in told:
            about = f"person:{row.person_id}"
            code = f"person-stay-{what}"
            tell(session, self._workshop, one, code, fields, now, about, f"{key}:{one}")
        mine = f"person-your-stay-{what}"
        tell(session, self._workshop, row.person_id, mine, fields, now, "", key)


def set_terms(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    person: Person,
    wish: TermsWish,
    now: datetime,
) -> None:
    """Set a person's terms in the caller's transaction."""
    must_hold(session, actor, Role.OPERATOR)
    role = Role(person.role)
    row = session.get(Standing, person.id) or Standing(person_id=person.id)
    sponsor = _sponsor(session, person, wish.sponsor)
    _check(wish, role, sponsor, now, row.ends_at)
    row.ends_at, row.sponsor_id = wish.ends_at, sponsor.id if sponsor else None
    row.named_only = wish.named_only
    _set_minor(workshop, person, row, wish)
    if wish.is_minor and wish.has_consent:
        if row.consent_at is None:
            row.consent_at, row.consent_by = now, actor.person_id
    else:
        row.consent_at = row.consent_by = None
    session.add(row)
    session.flush()
    _name_machines(session, person.id, wish.machines)
    _give_back_after(session, workshop, row, now)


def _check(
    wish: TermsWish, role: Role, sponsor: Person | None, now: datetime, before: datetime | None
) -> None:
    if is_at_least(role, Role.OPERATOR):
        if wish != TermsWish():
            raise InvalidError("terms.staff", field="ends_at")
        return
    if wish.ends_at is not None and wish.ends_at != before:
        if wish.ends_at <= now:
            raise InvalidError("terms.past", field="ends_at")
        if wish.ends_at > now + _FURTHEST:
            raise InvalidError("terms.far", field="ends_at", days=_FURTHEST.days)
    if max(len(wish.guardian), len(wish.guardian_reach)) > _LONGEST:
        raise InvalidError("terms.guardian", field="guardian", characters=_LONGEST)
    if wish.is_minor:
        if is_at_least(role, Role.TRAINER):
            raise InvalidError("terms.minor-staff", field="is_minor")
        if wish.ends_at is None:
            raise InvalidError("terms.minor-end", field="ends_at")
        if not wish.guardian.strip() or not wish.guardian_reach.strip():
            raise InvalidError("terms.minor-guardian", field="guardian")
    if role is Role.GUEST:
        if wish.ends_at is None:
            raise InvalidError("terms.guest-end", field="ends_at")
        if sponsor is None:
            raise InvalidError("terms.guest-sponsor", field="sponsor")


def _sponsor(session: Session, person: Person, login: str) -> Person | None:
    """Return who vouches: a grown-up member who is here without an end."""
    login = login.strip().casefold()
    if not login:
        return None
    found = session.scalar(
        select(Person).where(Person.login == login, Person.disabled_at.is_(None))
    )
    if found is None:
        raise InvalidError("terms.no-sponsor", field="sponsor", login=login[:64])
    terms = footing_of(session, found.id)
    is_good = is_at_least(Role(found.role), Role.MEMBER) and not terms.is_minor
    if not is_good or found.id == person.id:
        raise InvalidError("terms.sponsor", field="sponsor")
    return found


def _set_minor(workshop: Workshop, person: Person, row: Standing, wish: TermsWish) -> None:
    """Keep a minor's own name apart: another stands wherever people read names."""
    row.guardian = " ".join(wish.guardian.split()) if wish.is_minor else ""
    row.guardian_reach = " ".join(wish.guardian_reach.split()) if wish.is_minor else ""
    if wish.is_minor and not row.is_minor:
        row.full_name, person.name = person.name, call_name(workshop.new_token())
    elif row.is_minor and not wish.is_minor:
        person.name, row.full_name = row.full_name, ""
    row.is_minor = wish.is_minor


def _name_machines(session: Session, person_id: str, slugs: Sequence[str]) -> None:
    wanted = list(dict.fromkeys(slugs))[:_MOST_MACHINES]
    found = session.execute(select(Machine.slug, Machine.id).where(Machine.slug.in_(wanted)))
    ids = {row.slug: row.id for row in found}
    for slug in wanted:
        if slug not in ids:
            raise InvalidError("terms.machine", field="machines", machine=slug[:32])
    session.execute(delete(PersonMachine).where(PersonMachine.person_id == person_id))
    session.add_all(PersonMachine(person_id=person_id, machine_id=ids[slug]) for slug in wanted)


def _give_back_after(session: Session, workshop: Workshop, row: Standing, now: datetime) -> None:
    if row.ends_at is not None:
        mine = Allocation.person_id == row.person_id
        after = Allocation.end_at > row.ends_at
        begins = Allocation.start_at >= now  # what goes on may go on
        give_back(session, workshop, mine & after & begins, now)


def _view(session: Session, person: Person, now: datetime) -> TermsView:
    row = session.get(Standing, person.id) or Standing(person_id=person.id)
    terms = footing_of(session, person.id)
    machines = session.execute(
        select(Machine.slug, Machine.name)
        .join(PersonMachine, PersonMachine.machine_id == Machine.id)
        .where(PersonMachine.person_id == person.id)
        .order_by(Machine.name, Machine.slug)
    )
    vouched = session.execute(
        select(Person.id, Person.name)
        .join(Standing, Standing.person_id == Person.id)
        .where(Standing.sponsor_id == person.id, Person.disabled_at.is_(None))
        .order_by(Person.name)
    )
    sponsor = session.get(Person, row.sponsor_id) if row.sponsor_id else None
    consent = session.get(Person, row.consent_by) if row.consent_by else None
    return TermsView(
        full_name=row.full_name or person.name,
        ends_at=row.ends_at,
        is_over=row.ends_at is not None and row.ends_at <= now,
        sponsor_id=row.sponsor_id,
        sponsor_login=sponsor.login if sponsor else "",
        sponsor_name=sponsor.name if sponsor else "",
        machines=[(slug, name) for slug, name in machines],
        needs_list=terms.machines is not None,
        named_only=bool(row.named_only),
        is_minor=bool(row.is_minor),
        guardian=row.guardian or "",
        guardian_reach=row.guardian_reach or "",
        consent_at=row.consent_at,
        consent_by=consent.name if consent else "",
        vouches_for=[(person_id, name) for person_id, name in vouched],
    )
