"""Tables of signing in beside the password: second step, passkeys, other houses' word."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Instant
from jobs.store.tables import Base, Hash, Id


class SecondStep(Base):
    """The secret of a person's authenticator app, sealed with a key that the database lacks.

    Until it is confirmed by a first code, nobody is asked for one.
    """

    __tablename__ = "second_step"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_window: Mapped[int] = mapped_column(BigInteger, default=0)  # whose code was used
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)


class RecoveryCode(Base):
    """One code that stands in for the authenticator app once; kept as a hash."""

    __tablename__ = "recovery_code"
    code_sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)


class Passkey(Base):
    """A WebAuthn credential: its public key and how often it was used, as it says itself."""

    __tablename__ = "passkey"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    credential_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    credential: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    rp_id: Mapped[str] = mapped_column(String(255))  # the name of the node that it is for
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class OutsideIdentity(Base):
    """Who a person is at an OpenID provider: by issuer and subject, never by e-mail."""

    __tablename__ = "outside_identity"
    issuer: Mapped[str] = mapped_column(String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    linked_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime] = mapped_column(Instant)


class Workstation(Base):
    """A shared computer that may send files and nothing else; its key is kept as a hash."""

    __tablename__ = "workstation"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    key_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))  # who made it
    created_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class UnclaimedUpload(Base):
    """A file that a shared computer sent; it is nobody's until a member claims it."""

    __tablename__ = "unclaimed_upload"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workstation_id: Mapped[str] = mapped_column(ForeignKey("workstation.id"))
    name: Mapped[str] = mapped_column(String(200))
    machine_slug: Mapped[str] = mapped_column(String(32), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)


class CredentialEvent(Base):
    """What happened to the ways in which a person proves who they are; only ever added to."""

    __tablename__ = "credential_event"
    __table_args__ = (Index("ix_credential_event_person_at", "person_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    by_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))  # None: at the console
    at: Mapped[datetime] = mapped_column(Instant)
    what: Mapped[str] = mapped_column(String(24))  # a word of `Happened`
    detail: Mapped[str] = mapped_column(String(80), default="")
