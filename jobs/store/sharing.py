"""Tables of sharing: notices and how they reach people, offers, waiting, series, swaps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Id, JsonObject


class Preference(Base):
    """What a person chose for themselves: `notices.<topic>`, `calendar.show-name` and the like."""

    __tablename__ = "preference"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))


class Notice(Base):
    """Something a person should know; written in the transaction that made it true.

    :param key: of what is told only once, whoever says it how often.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_person_at", "person_id", "at"),
        Index("ix_notice_at", "at"),  # the sweep asks for the oldest
        Index(
            "ix_notice_unread",
            "person_id",
            sqlite_where=text("read_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    code: Mapped[str] = mapped_column(String(64))
    fields: Mapped[JsonObject] = mapped_column(JSON)
    about: Mapped[str] = mapped_column(String(80), default="")  # `job:<id>`, `booking:<id>` …
    key: Mapped[str | None] = mapped_column(String(120), unique=True)
    read_at: Mapped[datetime | None] = mapped_column(Instant)


class NoticeAddress(Base):
    """Where a person is told things outside the house: an e-mail address or an ntfy topic."""

    __tablename__ = "notice_address"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    way: Mapped[str] = mapped_column(String(16))  # email, ntfy
    target: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(Instant)
    reached_at: Mapped[datetime | None] = mapped_column(Instant)
    problem: Mapped[str] = mapped_column(
        String(200), default=""
    )  # of the last try; "" after success


class NoticeDelivery(Base):
    """One notice on its way to one address."""

    __tablename__ = "notice_delivery"
    __table_args__ = (
        Index("uq_notice_delivery_notice_address", "notice_id", "address_id", unique=True),
        Index("ix_notice_delivery_due", "state", "next_at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(ForeignKey("notice.id"))
    address_id: Mapped[str] = mapped_column(ForeignKey("notice_address.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime] = mapped_column(Instant)


class Series(Base):
    """A booking that comes again each week at the same time of the lab's wall clock."""

    __tablename__ = "series"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    first_local: Mapped[str] = mapped_column(String(16))  # YYYY-MM-DDTHH:MM
    zone: Mapped[str] = mapped_column(String(64))  # IANA name
    length_min: Mapped[int] = mapped_column(Integer)
    weeks: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant)


class Offer(Base):
    """What a person gets instead of a claim that a fact displaced; one of them can be taken.

    :param hold_id: the allocation that keeps the time for them; none for a refund.
    """

    __tablename__ = "offer"
    __table_args__ = (
        Index("ix_offer_state_expires", "state", "expires_at"),
        # The database itself lets only one offer be taken for a claim.
        Index(
            "uq_offer_taken",
            "allocation_id",
            unique=True,
            sqlite_where=text("state = 'taken'"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    allocation_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    hold_id: Mapped[str | None] = mapped_column(ForeignKey("allocation.id"), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Wait(Base):
    """A person who waits for time on a machine within a window."""

    __tablename__ = "wait"
    __table_args__ = (
        Index("ix_wait_machine_state", "machine_id", "state", "created_at"),
        # One place in the line for each person and machine.
        Index(
            "uq_wait_open",
            "machine_id",
            "person_id",
            unique=True,
            sqlite_where=text("state IN ('waiting', 'held')"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    from_at: Mapped[datetime] = mapped_column(Instant)
    until_at: Mapped[datetime] = mapped_column(Instant)
    length_min: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    hold_id: Mapped[str | None] = mapped_column(ForeignKey("allocation.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)


class Swap(Base):
    """A person's offer to change bookings with another; done when that person agrees."""

    __tablename__ = "swap"
    __table_args__ = (
        Index(
            "uq_swap_open",
            "give_id",
            "take_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    give_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"))  # of who offers
    take_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"), index=True)
    give_sequence: Mapped[int] = mapped_column(Integer)  # what was agreed on is what is swapped
    take_sequence: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
