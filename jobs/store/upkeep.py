"""Tables of care: the clock, what came off machines, faults, service, checklists, modules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Hash, Id


class Heartbeat(Base):
    """The newest beat of the node's clock: one row."""

    __tablename__ = "heartbeat"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    steady_us: Mapped[int] = mapped_column(BigInteger)
    boot: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(16))
    sound_at: Mapped[datetime | None] = mapped_column(Instant)


class Downtime(Base):
    """When the node was down, asleep or without a clock; its minutes count against nobody."""

    __tablename__ = "downtime"
    __table_args__ = (Index("ix_downtime_until_at", "until_at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    from_at: Mapped[datetime] = mapped_column(Instant)
    until_at: Mapped[datetime] = mapped_column(Instant)


class ClockEvent(Base):
    """The clock jumped, or a person said that it is right; only ever added to."""

    __tablename__ = "clock_event"
    __table_args__ = (Index("ix_clock_event_at", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    kind: Mapped[str] = mapped_column(String(16))  # jump, word
    jump_us: Mapped[int | None] = mapped_column(BigInteger)  # forward is positive
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))


class Clearing(Base):
    """What a person took off a machine, how it had become, and where it lies.

    Only added to; the photo alone goes when its time is over.
    """

    __tablename__ = "clearing"
    __table_args__ = (Index("ix_clearing_machine_at", "machine_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    attempt_id: Mapped[str | None] = mapped_column(ForeignKey("attempt.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    outcome: Mapped[str] = mapped_column(String(16))  # good, failed, unsure
    cause: Mapped[str] = mapped_column(String(80), default="")
    shelf: Mapped[str] = mapped_column(String(40), default="")
    note: Mapped[str] = mapped_column(String(200), default="")
    photo_sha256: Mapped[str | None] = mapped_column(Hash)


class Contest(Base):
    """A person's "that is wrong" about a result, its use or a no-show, once, and the decision."""

    __tablename__ = "contest"
    __table_args__ = (Index("ix_contest_state_at", "state", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    about: Mapped[str] = mapped_column(
        String(80), unique=True
    )  # attempt:<id>, use:<id>, booking:<id>
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    note: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(16))  # open, upheld, rejected
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(500), default="")
    record_id: Mapped[str | None] = mapped_column(Id)  # the correction in the ledger


class Fault(Base):
    """Something wrong with a machine, reported by a person, until a person has mended it."""

    __tablename__ = "fault"
    __table_args__ = (Index("ix_fault_machine_at", "machine_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    severity: Mapped[str] = mapped_column(String(16))  # note, limits, unusable, danger
    text: Mapped[str] = mapped_column(String(1000))
    photo_sha256: Mapped[str | None] = mapped_column(Hash)
    outage_id: Mapped[str | None] = mapped_column(ForeignKey("allocation.id"))
    mended_at: Mapped[datetime | None] = mapped_column(Instant)
    mended_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    resolution: Mapped[str] = mapped_column(String(500), default="")


class NearMiss(Base):
    """What nearly went wrong; kept apart from faults, and read by few."""

    __tablename__ = "near_miss"
    __table_args__ = (Index("ix_near_miss_at", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))  # None: did not say
    at: Mapped[datetime] = mapped_column(Instant)
    text: Mapped[str] = mapped_column(String(2000))
    photo_sha256: Mapped[str | None] = mapped_column(Hash)
    answer: Mapped[str] = mapped_column(String(2000), default="")
    answered_at: Mapped[datetime | None] = mapped_column(Instant)
    answered_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))


class ServiceCounter(Base):
    """Work that a machine needs after so many hours, or metres of filament or of travel."""

    __tablename__ = "service_counter"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    every_s: Mapped[int | None] = mapped_column(BigInteger)  # of running
    every_mm: Mapped[int | None] = mapped_column(BigInteger)  # of filament
    every_travel_mm: Mapped[int | None] = mapped_column(BigInteger)  # of its axes
    since_at: Mapped[datetime] = mapped_column(Instant)  # of the last time it was done
    retired_at: Mapped[datetime | None] = mapped_column(Instant)


class ServiceDone(Base):
    """Somebody did the work of a counter; only ever added to."""

    __tablename__ = "service_done"
    __table_args__ = (Index("ix_service_done_counter_at", "counter_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    counter_id: Mapped[str] = mapped_column(ForeignKey("service_counter.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    used_s: Mapped[int] = mapped_column(BigInteger)
    used_mm: Mapped[int] = mapped_column(BigInteger)
    used_travel_mm: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(String(200), default="")


class Checklist(Base):
    """One version of a list of things to look at; a change writes a new version."""

    __tablename__ = "checklist"
    __table_args__ = (Index("ix_checklist_place", "machine_id", "moment", "version"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))  # None: the lab
    moment: Mapped[str] = mapped_column(String(16))  # before-use, after-use, opening, closing
    version: Mapped[int] = mapped_column(Integer)
    items: Mapped[list[Any]] = mapped_column(JSON)  # texts; none: there is no list any more
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)


class ChecklistAnswer(Base):
    """What a person answered to one version of a list; only ever added to."""

    __tablename__ = "checklist_answer"
    __table_args__ = (Index("ix_checklist_answer_at", "checklist_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    checklist_id: Mapped[str] = mapped_column(ForeignKey("checklist.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    ticked: Mapped[list[Any]] = mapped_column(JSON)  # numbers of items, from 0
    note: Mapped[str] = mapped_column(String(500), default="")
