"""What each machine has loaded: said by a named person, with its time and its history.

`loads_of` is what checks and rules read. A row is never changed but by what runs take from it
and by a doubt; a new word ends the old row.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.loading import MOST_SLOTS, Doubt, Loads, Nozzle, Slot
from jobs.domain.people import Actor, Role
from jobs.services.asked import machine_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, Person
from jobs.store.waiting import Loaded

_PLATE, _TOOL, _SLOT = "plate", "tool", "slot"
_LONGEST: Final = 40  # characters
_LONGEST_LOT: Final = 80
_MOST_G: Final = 50_000.0
_NOZZLES: Final = (0.05, 3.0)  # [mm]
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class LoadedView:
    """One line of a machine's history of loading; without an end it is the present."""

    place: str
    number: int
    text: str
    by: str
    at: datetime
    until: datetime | None


def loads_of(session: Session, machine_id: str) -> Loads:
    """Return what is loaded on a machine; empty where nobody ever said."""
    return loads_of_all(session, [machine_id]).get(machine_id, Loads())


def loads_of_all(session: Session, machine_ids: Collection[str]) -> Mapping[str, Loads]:
    """Return what is loaded, by machine, for those that anybody spoke of."""
    rows = session.execute(
        select(Loaded, Person.name)
        .join(Person, Person.id == Loaded.person_id)
        .where(Loaded.machine_id.in_(machine_ids), Loaded.superseded_at.is_(None))
        .order_by(Loaded.place, Loaded.number)
    ).all()
    found: dict[str, list[tuple[Loaded, str]]] = {}
    for row, name in rows:
        found.setdefault(row.machine_id, []).append((row, name))
    return {machine_id: _loads(each) for machine_id, each in found.items()}


def _loads(rows: Sequence[tuple[Loaded, str]]) -> Loads:
    plate = next(((row, by) for row, by in rows if row.place == _PLATE), None)
    return Loads(
        [
            Slot(
                row.number,
                row.material,
                row.colour,
                row.lot,
                None if row.left_mg is None else max(row.left_mg - row.used_mg, 0) / 1000,
                by,
                row.at,
                Doubt(row.doubt) if row.doubt else None,
            )
            for row, by in rows
            if row.place == _SLOT
        ],
        [
            Nozzle(row.number, row.nozzle_um / 1000, by, row.at)
            for row, by in rows
            if row.place == _TOOL and row.nozzle_um is not None
        ],
        plate[0].plate if plate else "",
        plate[1] if plate else "",
        plate[0].at if plate else None,
    )


def doubt(
    session: Session,
    machine_id: str,
    why: Doubt,
    now: datetime,
    numbers: Collection[int] | None = None,
) -> None:
    """Ask for a person's look at slots that somebody spoke of.

    :param numbers: of the slots; None for every one.
    """
    for row in _current(session, machine_id):
        is_meant = row.place == _SLOT and (numbers is None or row.number in numbers)
        if is_meant and row.material and not row.doubt:
            row.doubt, row.doubted_at = why.value, now


def take_from(
    session: Session, machine_id: str, used_mg: Mapping[int, int], start: datetime, end: datetime
) -> None:
    """Take what a run used from what is left, by slot.

    From a spool that somebody spoke of meanwhile only its part is taken, by time.
    """
    for row in _current(session, machine_id):
        if row.place == _SLOT and row.number in used_mg:
            after = (end - row.at) / (end - start) if row.at > start else 1.0
            row.used_mg += round(max(used_mg[row.number], 0) * max(after, 0.0))


class Loading:
    """Use cases of whoever changes a spool, a nozzle or a plate."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def view(self, slug: str) -> Loads:
        """Return what is loaded on a machine."""
        with self._workshop.database.read() as session:
            return loads_of(session, machine_of(session, slug).id)

    def history(self, slug: str) -> Sequence[LoadedView]:
        """Return what was loaded lately, the newest first."""
        with self._workshop.database.read() as session:
            rows = session.execute(
                select(Loaded, Person.name)
                .join(Person, Person.id == Loaded.person_id)
                .where(Loaded.machine_id == machine_of(session, slug).id)
                .order_by(Loaded.at.desc(), Loaded.id.desc())
                .limit(_SHOWN)
            ).all()
            return [
                LoadedView(row.place, row.number, _text(row), name, row.at, row.superseded_at)
                for row, name in rows
            ]

    def say_slot(
        self,
        actor: Actor,
        slug: str,
        number: int,
        now: datetime,
        *,
        material: str,
        colour: str = "",
        lot: str = "",
        left_g: float | None = None,
    ) -> None:
        """Take a person's word about one slot; an empty material says that it is empty.

        :raises InvalidError: naming the field and what is wrong.
        """
        material, colour = _word("material", material), _word("colour", colour)
        lot = _word("lot", lot, _LONGEST_LOT)
        if not 0 <= number < MOST_SLOTS:
            raise InvalidError("loaded.slot", field="slot", most=MOST_SLOTS)
        if left_g is not None and not (math.isfinite(left_g) and 0.0 <= left_g <= _MOST_G):
            raise InvalidError("loaded.left", field="left_g", most_g=_MOST_G)
        left_mg = None if left_g is None else round(1000 * left_g)
        row = Loaded(place=_SLOT, number=number, material=material, colour=colour, lot=lot)
        row.left_mg = left_mg if material else None
        self._say(actor, slug, row, now)

    def say_nozzle(
        self, actor: Actor, slug: str, tool: int, nozzle_mm: float, now: datetime
    ) -> None:
        """Take a person's word about the nozzle of one tool."""
        if not 0 <= tool < MOST_SLOTS:
            raise InvalidError("loaded.slot", field="tool", most=MOST_SLOTS)
        if not _NOZZLES[0] <= nozzle_mm <= _NOZZLES[1]:
            low, high = _NOZZLES
            raise InvalidError("loaded.nozzle", field="nozzle_mm", low_mm=low, high_mm=high)
        row = Loaded(place=_TOOL, number=tool, nozzle_um=round(1000 * nozzle_mm))
        self._say(actor, slug, row, now)

    def say_plate(self, actor: Actor, slug: str, plate: str, now: datetime) -> None:
        """Take a person's word about the plate."""
        row = Loaded(place=_PLATE, number=0, plate=_word("plate", plate))
        self._say(actor, slug, row, now)

    def confirm(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a person's word that all is as it is written: each line gets their name and time."""
        _must_be_member(actor)
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            for row in _current(session, machine.id):
                again = Loaded(
                    place=row.place,
                    number=row.number,
                    nozzle_um=row.nozzle_um,
                    plate=row.plate,
                    material=row.material,
                    colour=row.colour,
                    lot=row.lot,
                    left_mg=None if row.left_mg is None else max(row.left_mg - row.used_mg, 0),
                )
                self._replace(session, actor, machine, again, now)
        self._workshop.live.touch()

    def _say(self, actor: Actor, slug: str, row: Loaded, now: datetime) -> None:
        _must_be_member(actor)
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            self._replace(session, actor, machine, row, now)
        self._workshop.live.touch()

    def _replace(
        self, session: Session, actor: Actor, machine: Machine, row: Loaded, now: datetime
    ) -> None:
        for old in _current(session, machine.id):
            if (old.place, old.number) == (row.place, row.number):
                old.superseded_at = now
        session.flush()  # there is one present row only, by the database's own word
        row.id = self._workshop.new_id()
        row.machine_id = machine.id
        row.person_id = actor.person_id
        row.simulated = actor.simulated
        row.at = now
        session.add(row)
        session.flush()


def _current(session: Session, machine_id: str) -> Sequence[Loaded]:
    return session.scalars(
        select(Loaded).where(Loaded.machine_id == machine_id, Loaded.superseded_at.is_(None))
    ).all()


def _text(row: Loaded) -> str:
    if row.place == _PLATE:
        return row.plate
    if row.place == _TOOL:
        return f"{(row.nozzle_um or 0) / 1000:g} mm"
    left = "" if row.left_mg is None else f"{row.left_mg / 1000:g} g"
    return " · ".join(part for part in (row.material, row.colour, row.lot, left) if part)


def _word(field: str, text: str, longest: int = _LONGEST) -> str:
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(clean) > longest:
        raise InvalidError("loaded.too-long", field=field, most=longest)
    return clean


def _must_be_member(actor: Actor) -> None:
    if not actor.person_id or not actor.is_at_least(Role.MEMBER):
        raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
