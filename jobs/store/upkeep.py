"""Tables of care: the clock, what came off machines, faults, service, checklists, modules."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Id


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
