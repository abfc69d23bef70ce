"""Tables of what power goes with: uses without a job, whose wish it is, and the fire watch."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Id


class MachineUse(Base):
    """What is known of a use that a person opened at a machine, beside its usage event.

    :param until_at: what the person was told: somebody's time begins then, or the house closes.
    :param asked_at: when they were asked whether it goes on; nobody answered since.
    :param end_reason: a word of `domain.using.Ended`.
    """

    __tablename__ = "machine_use"
    usage_id: Mapped[str] = mapped_column(ForeignKey("usage_event.id"), primary_key=True)
    material: Mapped[str] = mapped_column(String(40), default="")  # that a laser is to burn
    until_at: Mapped[datetime | None] = mapped_column(Instant)
    asked_at: Mapped[datetime | None] = mapped_column(Instant)
    said_at: Mapped[datetime | None] = mapped_column(Instant)  # their last word that it goes on
    ended_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    end_reason: Mapped[str] = mapped_column(String(16), default="")
    began_wh_m: Mapped[int | None] = mapped_column(BigInteger)  # of the plug's counter [mWh]
    energy_mwh: Mapped[int | None] = mapped_column(BigInteger)
    energy_by: Mapped[str] = mapped_column(String(40), default="")


class MachinePower(Base):
    """Why the power of a machine is on, where its plug is switched by use. No row: it never was.

    :param by_use: it was switched on for a use or a run, and goes off after the last of them.
    :param off_at: when it goes off, if it has cooled; None while somebody uses it.
    :param told_at: when operators were told that it does not go off.
    """

    __tablename__ = "machine_power"
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    by_use: Mapped[bool] = mapped_column(default=False)
    off_at: Mapped[datetime | None] = mapped_column(Instant)
    asked_at: Mapped[datetime | None] = mapped_column(Instant)  # its plug, to go off
    told_at: Mapped[datetime | None] = mapped_column(Instant)
    override_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    override_at: Mapped[datetime | None] = mapped_column(Instant)


class FireWatch(Base):
    """After a laser's run somebody stays until nothing smoulders; then a person says so."""

    __tablename__ = "fire_watch"
    __table_args__ = (
        Index(
            "ix_fire_watch_open",
            "machine_id",
            sqlite_where=text("confirmed_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    attempt_id: Mapped[str | None] = mapped_column(ForeignKey("attempt.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))  # whose run it was
    began_at: Mapped[datetime] = mapped_column(Instant)
    until_at: Mapped[datetime] = mapped_column(Instant)
    told_at: Mapped[datetime | None] = mapped_column(Instant)  # operators: nobody has said it
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    confirmed_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
