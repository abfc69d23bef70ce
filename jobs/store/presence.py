"""Tables of presence: who proved to be at which machine, and the devices that stand there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Hash, Id


class Device(Base):
    """A kiosk or a display: an account of its own with few rights, its token kept as a hash.

    `machine_ids` are those that it stands at; of a display one, of a wall any number, none: all.
    """

    __tablename__ = "device"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(80))
    machine_ids: Mapped[list[Any]] = mapped_column(JSON)
    made_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime] = mapped_column(Instant)
    pair_sha256: Mapped[str | None] = mapped_column(Hash, unique=True)
    pair_until: Mapped[datetime | None] = mapped_column(Instant)
    token_sha256: Mapped[str | None] = mapped_column(Hash, unique=True)
    paired_at: Mapped[datetime | None] = mapped_column(Instant)
    seen_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class MachineSecret(Base):
    """What a machine's codes are made of; a new one when a display is revoked."""

    __tablename__ = "machine_secret"
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(Instant)


class Presence(Base):
    """One proof that a person is at a machine; at most one at a machine has not ended.

    `seat` is the sign-in or the visit at a kiosk that it holds for, and that it ends with.
    """

    __tablename__ = "presence"
    __table_args__ = (
        Index(
            "ix_presence_one",
            "machine_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index("ix_presence_person_at", "person_id", "at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    seat: Mapped[str] = mapped_column(Hash)
    how: Mapped[str] = mapped_column(String(16))
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    code_window: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    simulated: Mapped[bool] = mapped_column(default=False)


class PresenceTry(Base):
    """A wrong code, kept a day so that guessing stays hopeless."""

    __tablename__ = "presence_try"
    __table_args__ = (Index("ix_presence_try_machine_at", "machine_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)


class KioskVisit(Base):
    """Somebody at a kiosk, from their badge or login until they leave or nothing is touched."""

    __tablename__ = "kiosk_visit"
    token_sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("device.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    csrf: Mapped[str] = mapped_column(String(64))
    how: Mapped[str] = mapped_column(String(16))
    began_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
