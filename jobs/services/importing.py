"""Taking over from another system: people, qualifications, bookings and prices; all or nothing.

A dry run does everything in a transaction and takes it back: what it says is what would happen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import InvalidError, JobsError, NotAllowedError
from jobs.domain.events import EventType
from jobs.domain.importing import (
    LARGEST_BYTES,
    MOST_PROBLEMS,
    MOST_ROWS,
    Problem,
    Row,
    RowError,
    What,
    end_of_day,
    full_name,
    instant_of,
    is_true,
    lacking,
    read_table,
    several,
    start_of_day,
)
from jobs.domain.people import Actor, Role
from jobs.domain.prices import Per, amount_of
from jobs.kinds import KINDS
from jobs.services.badges import give_in
from jobs.services.claims import announce, conflicts
from jobs.services.people import alias_of, checked_login, checked_name
from jobs.services.prices import (
    LONGEST_GROUP,
    LONGEST_LOT,
    LONGEST_MATERIAL,
    Place,
    set_price,
)
from jobs.services.qualifications import grant_in
from jobs.services.qualifying import holds
from jobs.services.standings import TermsWish, set_terms
from jobs.services.turns import take_turn
from jobs.services.workers import Task, run_worker
from jobs.services.workshop import Workshop
from jobs.store.house import Qualification
from jobs.store.tables import Allocation, Machine, Person

_NOTE: Final = 200
_LONGEST: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do.

    :param made: rows that became something; `known` were there already.
    :param taken: False for a dry run, and where a problem kept everything out.
    """

    what: What
    made: int
    known: int
    problems: Sequence[Problem]
    taken: bool


class _TakenBackError(Exception):
    """Ends a transaction that must leave nothing."""


class Importing:
    """Use case of an admin who brings a lab along."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def run(
        self, actor: Actor, what: What, name: str, data: bytes, now: datetime, *, dry: bool
    ) -> Imported:
        """Take a list in, in one transaction; any problem keeps all of it out.

        :param name: of the file: one that ends in `.ics` is a calendar.
        :param dry: only tell what would happen.
        """
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        if len(data) > LARGEST_BYTES:
            raise InvalidError("import.too-large", field="file", limit_mb=LARGEST_BYTES >> 20)
        if name.lower().endswith(".ics"):
            if what is not What.BOOKINGS:
                raise InvalidError("import.calendar", field="what")
            rows, problems = self._calendar(data, actor)
        else:
            rows, problems = read_table(data, what)
        problems += lacking(what, rows)
        if any(one.blocks for one in problems):
            return Imported(what, 0, 0, problems[:MOST_PROBLEMS], taken=False)
        take = {
            What.PEOPLE: self._person,
            What.QUALIFICATIONS: self._qualification,
            What.BOOKINGS: self._booking,
            What.PRICES: self._price,
        }[what]
        counts = {True: 0, False: 0}
        taken = False
        try:
            with self._workshop.database.write() as session:
                for machine_id in session.scalars(select(Machine.id).order_by(Machine.id)):
                    take_turn(session, machine_id)
                for row in rows:
                    self._take(session, take, row, actor, now, counts, problems)
                _take_back(dry or any(one.blocks for one in problems))
            taken = True
            self._workshop.live.touch()
        except _TakenBackError:
            pass
        return Imported(what, counts[True], counts[False], problems[:MOST_PROBLEMS], taken=taken)

    def _take(
        self,
        session: Session,
        take: Callable[[Session, Row, Actor, datetime], bool],
        row: Row,
        actor: Actor,
        now: datetime,
        counts: dict[bool, int],
        problems: list[Problem],
    ) -> None:
        try:
            is_new = take(session, row, actor, now)
        except RowError as error:
            problems.append(Problem(row.line, error.field, error.code, error.values))
            return
        except JobsError as error:
            name = error.field if isinstance(error, InvalidError) else ""
            problems.append(Problem(row.line, name, "refused", {"why": error.code}))
            return
        counts[is_new] += 1
        if not is_new:
            problems.append(Problem(row.line, "", "known", blocks=False))

    def _person(self, session: Session, row: Row, actor: Actor, now: datetime) -> bool:
        cells = row.cells
        if not is_true(cells, "active", default=True):
            raise RowError("active", "inactive")
        login = checked_login(_login(cells.get("login", "")))
        if session.scalar(select(Person.id).where(Person.login == login)) is not None:
            return False
        role = cells.get("role", "").casefold()
        known = {one.value: one for one in Role if actor.is_at_least(one)}
        if role and role not in known and "role" in cells and role in {r.value for r in Role}:
            raise RowError("role", "role", text=role)
        person = Person(
            id=self._workshop.new_id(),
            login=login,
            name=checked_name(full_name(cells)),
            role=known.get(role, Role.MEMBER).value,
            simulated=False,
            created_at=now,
        )
        session.add(person)
        session.flush()
        alias_of(session, person.id, self._workshop)
        self._terms(session, person, cells, actor, now)
        if number := cells.get("number"):
            give_in(session, self._workshop, actor, person.id, number, now)
        return True

    def _terms(
        self,
        session: Session,
        person: Person,
        cells: Mapping[str, str],
        actor: Actor,
        now: datetime,
    ) -> None:
        """Set the terms that a row names; without any the person is here without an end."""
        machines = several(cells, "machines")
        wish = TermsWish(
            ends_at=end_of_day(cells, "until", self._workshop.zone),
            sponsor=cells.get("sponsor", ""),
            machines=machines,
            named_only=bool(machines) and person.role != Role.GUEST.value,
            is_minor=is_true(cells, "minor", default=False),
            guardian=cells.get("guardian", ""),
            guardian_reach=cells.get("reach", ""),
            has_consent=is_true(cells, "consent", default=False),
        )
        if wish != TermsWish(machines=[]):
            set_terms(session, self._workshop, actor, person, wish, now)

    def _qualification(self, session: Session, row: Row, actor: Actor, now: datetime) -> bool:
        cells = row.cells
        person = _person_of(session, cells)
        kind = cells.get("kind", "").casefold() if not cells.get("machine") else ""
        machine = _machine_of(session, cells) if cells.get("machine") else None
        if machine is None and kind not in KINDS:
            raise RowError("kind", "kind", text=kind[:40])
        until = end_of_day(cells, "until", self._workshop.zone)
        if until is not None and until <= now:
            raise RowError("until", "over")
        same = select(Qualification.id).where(
            Qualification.person_id == person.id,
            _is_for_same(machine, kind),
            Qualification.expires_at.is_(None)
            if until is None
            else Qualification.expires_at == until,
            holds(now),
        )
        if session.scalar(same) is not None:
            return False
        grant_in(session, self._workshop, actor, person.id, machine, kind, until, now)
        session.flush()
        return True

    def _booking(self, session: Session, row: Row, actor: Actor, now: datetime) -> bool:
        del actor
        cells = row.cells
        if cells.get("cancelled", "").casefold() not in {"", "0", "false", "no"}:
            raise RowError("cancelled", "was-cancelled")
        person, machine = _person_of(session, cells), _machine_of(session, cells)
        start = instant_of(cells, "start", self._workshop.zone)
        end = instant_of(cells, "end", self._workshop.zone)
        if end <= start:
            raise RowError("end", "ends-before")
        if end - start > _LONGEST:
            raise RowError("end", "too-long", days=_LONGEST.days)
        if start < now:
            raise RowError("start", "past")
        same = select(Allocation.id).where(
            Allocation.machine_id == machine.id,
            Allocation.person_id == person.id,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.start_at == start,
            Allocation.end_at == end,
        )
        if session.scalar(same) is not None:
            return False
        kind = AllocationKind.RESERVATION
        in_the_way = conflicts(machine.id, kind, person.id, Interval(start, end))
        if session.scalar(select(Allocation.id).where(in_the_way).limit(1)) is not None:
            raise RowError("start", "taken", machine=machine.name)
        made = Allocation(
            id=self._workshop.new_id(),
            machine_id=machine.id,
            kind=kind.value,
            state=AllocationState.ACTIVE.value,
            start_at=start,
            end_at=end,
            person_id=person.id,
            note=" ".join(cells.get("note", "").split())[:_NOTE],
            sequence=0,
            created_at=now,
        )
        session.add(made)
        session.flush()
        announce(session, self._workshop, EventType.RESERVATION_MADE, made, now)
        return True

    def _price(self, session: Session, row: Row, actor: Actor, now: datetime) -> bool:
        cells = row.cells
        given = [name for name in ("machine", "kind", "material") if cells.get(name)]
        if len(given) != 1:
            raise RowError("machine", "price-of")
        machine = _machine_of(session, cells) if given == ["machine"] else None
        kind = cells.get("kind", "").casefold()
        if kind and kind not in KINDS:
            raise RowError("kind", "kind", text=kind[:40])
        material = cells.get("material", "").casefold()[:LONGEST_MATERIAL]
        amount = amount_of(cells, Per.GRAM if material else Per.HOUR)
        group = cells.get("group", "")[:LONGEST_GROUP]
        lot = cells.get("lot", "").casefold()[:LONGEST_LOT] if material else ""
        place = Place(machine.id if machine else None, kind, material, lot, group)
        zone = self._workshop.zone
        since, until = start_of_day(cells, "from", zone), end_of_day(cells, "until", zone)
        return set_price(session, self._workshop, place, amount, actor.person_id, now, since, until)

    def _calendar(self, data: bytes, actor: Actor) -> tuple[list[Row], list[Problem]]:
        """Return the entries of an .ics file as a worker read them."""
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "calendar.ics"
            file.write_bytes(data)
            request = {"most": MOST_ROWS}
            result = run_worker(Task.CALENDAR, request, {"calendar.ics": file})
        found = result.result.get("events")
        if not result.ok or not isinstance(found, list):
            return [], [Problem(1, "", "not-ics")]
        rows, problems = [], []
        for number, one in enumerate(found, start=1):
            cells = {str(key): str(value) for key, value in one.items() if value}
            if "repeats" in cells:
                problems.append(Problem(number, "", "repeats"))
            with_owner = {"login": actor.person_id} | cells
            rows.append(Row(number, with_owner))
        return rows, problems


def _is_for_same(machine: Machine | None, kind: str) -> ColumnElement[bool]:
    if machine is not None:
        return Qualification.machine_id == machine.id
    return Qualification.kind == kind


def _take_back(is_wanted: object) -> None:
    if is_wanted:
        raise _TakenBackError


def _login(text: str) -> str:
    """Return a login; of an e-mail address the part before its @."""
    return text.partition("@")[0]


def _person_of(session: Session, cells: Mapping[str, str]) -> Person:
    text = cells.get("login", "")
    if not text:
        raise RowError("login", "missing")
    found = session.scalars(
        select(Person).where(
            or_(
                Person.id == text,
                Person.login == text.casefold(),
                Person.login == _login(text).casefold(),
                func.lower(Person.name) == text.lower(),
            ),
            Person.disabled_at.is_(None),
        )
    ).all()
    if len(found) != 1:
        raise RowError("login", "nobody" if not found else "several", text=text[:60])
    return found[0]


def _machine_of(session: Session, cells: Mapping[str, str]) -> Machine:
    text = cells.get("machine", "")
    if not text:
        raise RowError("machine", "missing")
    query = select(Machine).where(
        or_(Machine.slug == text.lower(), func.lower(Machine.name) == text.lower()),
        Machine.retired_at.is_(None),
    )
    found = session.scalars(query).all()
    if len(found) != 1:
        raise RowError("machine", "no-machine" if not found else "several", text=text[:60])
    return found[0]
