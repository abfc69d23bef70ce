"""Tables of people: terms, machines, badges, invitations; who did what for whom, who looked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Hash, Id


class Standing(Base):
    """On what terms a person is here; who has no row is here without an end.

    :param is_minor: kept instead of a birth date, with `ends_at`: when somebody looks again.
    :param full_name: of a minor: `Person.name` is then another that stands on every page, display
        and record, and only staff and they themselves read this one.
    :param named_only: they use only the machines of `person_machine`.
    :param consent_at: when staff saw the guardian's consent.
    :param erased_at: they left, and their name went.
    :param applied_at: they asked to be let in, and nobody has decided.
    """

    __tablename__ = "standing"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    sponsor_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"), index=True)
    ends_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    is_minor: Mapped[bool] = mapped_column(default=False)
    named_only: Mapped[bool] = mapped_column(default=False)
    full_name: Mapped[str] = mapped_column(String(120), default="")
    guardian: Mapped[str] = mapped_column(String(120), default="")
    guardian_reach: Mapped[str] = mapped_column(String(120), default="")
    consent_at: Mapped[datetime | None] = mapped_column(Instant)
    consent_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    applied_at: Mapped[datetime | None] = mapped_column(Instant)
    erased_at: Mapped[datetime | None] = mapped_column(Instant)


class PersonMachine(Base):
    """A machine that a guest or a minor may use."""

    __tablename__ = "person_machine"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), primary_key=True)


class Badge(Base):
    """A badge that somebody carries; its number is kept only as a keyed hash."""

    __tablename__ = "badge"
    __table_args__ = (
        # A badge that was lost and found may be given anew.
        Index(
            "uq_badge_number",
            "number_hmac",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    number_hmac: Mapped[str] = mapped_column(Hash)
    given_at: Mapped[datetime] = mapped_column(Instant)
    given_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[datetime | None] = mapped_column(Instant)


class Pin(Base):
    """The PIN beside a badge; without a hash the person sets it when the badge is first used.

    :param settable_until: until when that first use is awaited.
    """

    __tablename__ = "pin"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    pin_hash: Mapped[str | None] = mapped_column(String(255))
    settable_until: Mapped[datetime | None] = mapped_column(Instant)


class Invite(Base):
    """A one-time link by which somebody becomes a person of the house, on terms set before."""

    __tablename__ = "invite"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    role: Mapped[str] = mapped_column(String(16))
    sponsor_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    ends_at: Mapped[datetime | None] = mapped_column(Instant)  # of the person, not of the link
    machines: Mapped[list[str]] = mapped_column(JSON, default=list)  # ids
    made_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))  # who came of it


class OnBehalf(Base):
    """What staff did for a person: both are named; only ever added to."""

    __tablename__ = "on_behalf"
    __table_args__ = (Index("ix_on_behalf_person_at", "person_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    actor_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    what: Mapped[str] = mapped_column(String(32))
    about: Mapped[str] = mapped_column(String(80), index=True)  # `job:<id>`, `booking:<id>` …


class Look(Base):
    """Somebody looked at what is another person's."""

    __tablename__ = "look"
    __table_args__ = (
        Index("ix_look_person_at", "person_id", "at"),
        Index("ix_look_at", "at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    viewer_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    what: Mapped[str] = mapped_column(String(32))
