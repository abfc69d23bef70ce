"""Trainings as people see them, many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationState
from jobs.domain.learning import CalledOff, SeatState
from jobs.domain.people import Actor, Role
from jobs.store.house import (
    Training,
    TrainingGrant,
    TrainingMachine,
    TrainingSeat,
    TrainingTrainer,
)
from jobs.store.tables import Allocation, Machine, Person


@dataclass(frozen=True, slots=True)
class GrantView:
    """What a training qualifies for: one machine, or all of a kind."""

    kind: str  # "" for a machine
    machine_slug: str
    machine_name: str

    @property
    def scope(self) -> str:
        """Return it as forms and the API write it."""
        return f"kind:{self.kind}" if self.kind else f"machine:{self.machine_slug}"


@dataclass(frozen=True, slots=True)
class MachineKept:
    """A machine of a training; *lost* where something has taken its time since."""

    slug: str
    name: str
    lost: bool


@dataclass(frozen=True, slots=True)
class SeatView:
    """One person's seat, or their place in the line."""

    person_id: str
    person: str
    attended_at: datetime | None
    state: SeatState = SeatState.TAKEN


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One training as a viewer may see it; the names are for its trainers.

    :param free: seats that nobody has and nobody is asked about.
    :param waiting: how many wait for one.
    :param state: of one's own seat; None without any.
    :param held_until: until when a seat is held for oneself.
    :param place: one's own in the line, from 1; 0: not in it.
    """

    id: str
    title: str
    grants: Sequence[GrantView]
    machines: Sequence[MachineKept]
    trainer: str
    trainer_id: str
    others: Sequence[tuple[str, str]]  # id and name of who teaches as well
    start: datetime
    end: datetime
    seats: int
    free: int
    waiting: int
    valid_days: int | None
    note: str
    minimum: int | None
    decide_at: datetime | None
    taken: int
    cancelled: bool
    called_off: CalledOff | None
    series_id: str | None
    sequence: int
    state: SeatState | None
    held_until: datetime | None
    place: int
    attended: bool
    people: Sequence[SeatView]

    @property
    def mine(self) -> bool:
        """Return whether one has a seat."""
        return self.state is SeatState.TAKEN

    @property
    def trainers(self) -> Sequence[str]:
        """Return the names of all who teach."""
        return [self.trainer, *(name for _, name in self.others)]

    def is_taught_by(self, person_id: str) -> bool:
        """Tell whether a person teaches it."""
        return person_id == self.trainer_id or any(key == person_id for key, _ in self.others)


def views_of(session: Session, rows: Sequence[Training], actor: Actor) -> list[TrainingView]:
    """Return trainings in their order; a handful of queries, however many they are."""
    ids = [row.id for row in rows]
    called_off = {row.id for row in rows if row.cancelled_at is not None}
    grants: dict[str, list[GrantView]] = defaultdict(list)
    for key, kind, slug, name in session.execute(
        select(TrainingGrant.training_id, TrainingGrant.kind, Machine.slug, Machine.name)
        .outerjoin(Machine, Machine.id == TrainingGrant.machine_id)
        .where(TrainingGrant.training_id.in_(ids))
        .order_by(TrainingGrant.id)
    ):
        grants[key].append(GrantView(kind or "", slug or "", name or ""))
    machines: dict[str, list[MachineKept]] = defaultdict(list)
    for key, slug, name, state in session.execute(
        select(TrainingMachine.training_id, Machine.slug, Machine.name, Allocation.state)
        .join(Machine, Machine.id == TrainingMachine.machine_id)
        .join(Allocation, Allocation.id == TrainingMachine.allocation_id)
        .where(TrainingMachine.training_id.in_(ids))
        .order_by(Machine.name)
    ):
        gone = state in (AllocationState.DISPLACED.value, AllocationState.CANCELLED.value)
        machines[key].append(MachineKept(slug, name, gone and key not in called_off))
    others: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, person_id, name in session.execute(
        select(TrainingTrainer.training_id, Person.id, Person.name)
        .join(Person, Person.id == TrainingTrainer.person_id)
        .where(TrainingTrainer.training_id.in_(ids))
        .order_by(func.lower(Person.name))
    ):
        others[key].append((person_id, name))
    teach = Person.id.in_({row.trainer_id for row in rows})
    names = dict(session.execute(select(Person.id, Person.name).where(teach)).all())
    seats: dict[str, list[tuple[TrainingSeat, str]]] = defaultdict(list)
    for seat, name in session.execute(
        select(TrainingSeat, Person.name)
        .join(Person, Person.id == TrainingSeat.person_id)
        .where(TrainingSeat.training_id.in_(ids))
        .order_by(TrainingSeat.taken_at, TrainingSeat.person_id)
    ):
        seats[seat.training_id].append((seat, name))
    return [
        _view(row, actor, grants[row.id], machines[row.id], names[row.trainer_id], others[row.id],
              seats[row.id])
        for row in rows
    ]  # fmt: skip


def _view(
    row: Training,
    actor: Actor,
    grants: Sequence[GrantView],
    machines: Sequence[MachineKept],
    trainer: str,
    others: Sequence[tuple[str, str]],
    seats: Sequence[tuple[TrainingSeat, str]],
) -> TrainingView:
    line = [seat.person_id for seat, _ in seats if seat.state == SeatState.WAITING.value]
    own = next((seat for seat, _ in seats if seat.person_id == actor.person_id), None)
    free = row.seats - (len(seats) - len(line))
    people = [
        SeatView(seat.person_id, name, seat.attended_at, SeatState(seat.state))
        for seat, name in sorted(seats, key=lambda one: (one[0].state, one[1].casefold()))
    ]
    return TrainingView(
        id=row.id,
        title=row.title,
        grants=grants,
        machines=machines,
        trainer=trainer,
        trainer_id=row.trainer_id,
        others=others,
        start=row.start_at,
        end=row.end_at,
        seats=row.seats,
        free=max(free, 0),
        waiting=len(line),
        valid_days=row.valid_days,
        note=row.note,
        minimum=row.minimum,
        decide_at=row.decide_at,
        taken=sum(seat.state == SeatState.TAKEN.value for seat, _ in seats),
        cancelled=row.cancelled_at is not None,
        called_off=CalledOff(row.cancelled_why) if row.cancelled_why else None,
        series_id=row.series_id,
        sequence=row.sequence,
        state=SeatState(own.state) if own else None,
        held_until=own.held_until if own else None,
        place=line.index(actor.person_id) + 1 if actor.person_id in line else 0,
        attended=own is not None and own.attended_at is not None,
        people=people if actor.is_at_least(Role.TRAINER) else [],
    )
