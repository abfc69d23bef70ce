"""Tables of what waits: what machines have loaded, what jobs ask for, their order and promises."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Id, JsonObject


class Loaded(Base):
    """What a person said lies in one place of a machine; the row without an end is the present.

    :param place: `plate`, `tool` or `slot`.
    :param number: of the tool or slot, from 0; 0 for the plate.
    """

    __tablename__ = "loaded"
    __table_args__ = (
        Index(
            "uq_loaded_current",
            "machine_id",
            "place",
            "number",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
        ),
        Index("ix_loaded_machine_at", "machine_id", "at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    place: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer)
    nozzle_um: Mapped[int | None] = mapped_column(Integer)  # of a tool
    plate: Mapped[str] = mapped_column(String(40), default="")
    material: Mapped[str] = mapped_column(String(40), default="")  # of a slot; "" for empty
    colour: Mapped[str] = mapped_column(String(40), default="")
    lot: Mapped[str] = mapped_column(String(80), default="")
    left_mg: Mapped[int | None] = mapped_column(BigInteger)  # when the person said it
    used_mg: Mapped[int] = mapped_column(BigInteger, default=0)  # by runs since then
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    simulated: Mapped[bool] = mapped_column(default=False)
    doubt: Mapped[str] = mapped_column(String(16), default="")  # a word of `domain.loading.Doubt`
    doubted_at: Mapped[datetime | None] = mapped_column(Instant)
    superseded_at: Mapped[datetime | None] = mapped_column(Instant)


class MachineTerms(Base):
    """What may run on a machine with nobody there. No row: whatever the kind allows."""

    __tablename__ = "machine_terms"
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    unattended: Mapped[str] = mapped_column(String(16))  # never, opening, overnight
    longest_min: Mapped[int | None] = mapped_column(Integer)  # of a run that goes on after closing
    materials: Mapped[list[Any]] = mapped_column(JSON, default=list)  # that may; none: every one
    must_fit: Mapped[bool] = mapped_column(default=False)  # before closing
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)


class JobGroup(Base):
    """Parts of one thing, or copies of one part, that belong together."""

    __tablename__ = "job_group"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)


class JobAsk(Base):
    """What a job asks of a machine and of the queue. No row: what its program says, no more."""

    __tablename__ = "job_ask"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    nozzle_um: Mapped[int | None] = mapped_column(Integer)
    plate: Mapped[str] = mapped_column(String(40), default="")
    tools: Mapped[list[Any]] = mapped_column(JSON, default=list)  # [{tool, material, colour}]
    deadline_at: Mapped[datetime | None] = mapped_column(Instant)
    group_id: Mapped[str | None] = mapped_column(ForeignKey("job_group.id"), index=True)
    copy_of: Mapped[str | None] = mapped_column(ForeignKey("job.id"))
    detail: Mapped[JsonObject] = mapped_column(JSON, default=dict)


class JobAfter(Base):
    """A job that waits until another is done."""

    __tablename__ = "job_after"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    after_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)


class QueuePromise(Base):
    """When a waiting job is expected to start and end; `told_*` is what its owner knows."""

    __tablename__ = "queue_promise"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))
    made_at: Mapped[datetime] = mapped_column(Instant)
    start_p50_at: Mapped[datetime | None] = mapped_column(Instant)
    start_p90_at: Mapped[datetime | None] = mapped_column(Instant)
    end_p50_at: Mapped[datetime | None] = mapped_column(Instant)
    end_p90_at: Mapped[datetime | None] = mapped_column(Instant)
    told_at: Mapped[datetime | None] = mapped_column(Instant)
    told_end_p50_at: Mapped[datetime | None] = mapped_column(Instant)
    moves: Mapped[int] = mapped_column(Integer, default=0)


class PlannedRun(Base):
    """A hold that is for one job: the calendar and the queue then say the same."""

    __tablename__ = "planned_run"
    allocation_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
