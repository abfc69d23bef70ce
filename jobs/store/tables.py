"""Every table of the node. A unit is in each column's name; instants are UTC microseconds.

Migrations make the tables. Here a partial index names its condition for SQLite alone: the word
for PostgreSQL would load that dialect, two megabytes, into every node.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base as Base
from jobs.store.base import Instant

Id = String(36)
Hash = String(64)
JsonObject = dict[str, Any]


class Setting(Base):
    """What the lab decided about itself: mode, privacy salt and the like."""

    __tablename__ = "setting"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String)


class Person(Base):
    """A member of the lab. `login` is case-folded."""

    __tablename__ = "person"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    login: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    simulated: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class PersonAlias(Base):
    """The random id that stands for a person in records; deleting the row forgets who."""

    __tablename__ = "person_alias"
    alias: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), unique=True)


class SignIn(Base):
    """A server-side sign-in; the cookie holds the token, the table only its hash."""

    __tablename__ = "sign_in"
    token_sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    way: Mapped[str] = mapped_column(String(16), default="password")  # a word of `Way`
    device: Mapped[str] = mapped_column(String(80), default="")  # as its browser names itself
    proved_at: Mapped[datetime | None] = mapped_column(Instant)  # when the person last did


class SignInLink(Base):
    """A one-time link that signs a person in, such as the admin's first."""

    __tablename__ = "sign_in_link"
    token_sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class ApiKey(Base):
    """A key of a program that acts for a person; shown once, kept as a hash.

    `scopes` are words of `domain.scopes.Scope` with blanks between them.
    """

    __tablename__ = "api_key"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str] = mapped_column(String(80))
    key_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    scopes: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)  # to the minute
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class CalendarLink(Base):
    """The secret link of a person's calendar, kept as a hash; a new one ends the old."""

    __tablename__ = "calendar_link"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant)


class SignInFailure(Base):
    """A try that was not right, kept a while to slow guessing down.

    `login` is whom it was about: a login, or the id of a person or a device, as `kind` has it.
    """

    __tablename__ = "sign_in_failure"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), default="password")  # a word of `Tried`
    login: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    forget_at: Mapped[datetime] = mapped_column(Instant)


class Machine(Base):
    """One physical machine. `limits` holds `MachineLimits.to_json()`, units in its keys."""

    __tablename__ = "machine"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(16))
    control: Mapped[str] = mapped_column(String(16))
    profile: Mapped[str | None] = mapped_column(String(64))
    port: Mapped[str | None] = mapped_column(String(255))
    baud: Mapped[int | None] = mapped_column(Integer)
    limits: Mapped[JsonObject] = mapped_column(JSON)
    simulated: Mapped[bool] = mapped_column(default=False)
    stop_note: Mapped[str] = mapped_column(String(200), default="")  # where the hardware stop is
    switching: Mapped[JsonObject] = mapped_column(JSON, default=dict)  # Switching.to_json()
    to_check_since: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)


class MachineEvent(Base):
    """What happened at a machine beside its jobs; only ever added to."""

    __tablename__ = "machine_event"
    __table_args__ = (Index("ix_machine_event_machine_at", "machine_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    kind: Mapped[str] = mapped_column(String(32))
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    detail: Mapped[JsonObject] = mapped_column(JSON)


class Allocation(Base):
    """Any claim on a machine's time, half-open. Guarded by the database: see `guards`."""

    __tablename__ = "allocation"
    __table_args__ = (
        CheckConstraint("start_at < end_at", name="grows"),
        # By its end: who asks of today or later then never reads ten years of what is over.
        Index("ix_allocation_machine_end", "machine_id", "end_at", "start_at"),
        Index("ix_allocation_person_end", "person_id", "end_at"),
        # For sweeps: what begins now, and the few that lapse.
        Index("ix_allocation_start", "start_at"),
        Index(
            "ix_allocation_expires",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    attempt_id: Mapped[str | None] = mapped_column(Id, index=True)
    displaced_by: Mapped[str | None] = mapped_column(Id)
    displaced_reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(String(200), default="")
    sequence: Mapped[int] = mapped_column(Integer, default=0)  # grows with each change
    created_at: Mapped[datetime] = mapped_column(Instant)
    series_id: Mapped[str | None] = mapped_column(Id, index=True)
    purpose: Mapped[str | None] = mapped_column(String(16))  # of a hold, by `HoldFor`
    expires_at: Mapped[datetime | None] = mapped_column(Instant)  # of a hold
    checked_in_at: Mapped[datetime | None] = mapped_column(Instant)
    missed_at: Mapped[datetime | None] = mapped_column(Instant)  # nobody came: given free then
    shows_name: Mapped[bool | None] = mapped_column()  # None: as the person chose for all


class Design(Base):
    """A design that was taken from a commons, with the evidence for its licence."""

    __tablename__ = "design"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(80))
    source_ref: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(200))
    version: Mapped[str] = mapped_column(String(80))
    licence: Mapped[str] = mapped_column(String(200))
    licensor: Mapped[str] = mapped_column(String(200))
    release_sha256: Mapped[str] = mapped_column(Hash, unique=True)
    manifest_sha256: Mapped[str] = mapped_column(Hash)
    summary: Mapped[JsonObject] = mapped_column(JSON)  # description, problems, printable files
    fetched_at: Mapped[datetime] = mapped_column(Instant)


class DesignFile(Base):
    """One file of a design; its bytes lie in the content-addressed library."""

    __tablename__ = "design_file"
    design_id: Mapped[str] = mapped_column(ForeignKey("design.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(500), primary_key=True)
    sha256: Mapped[str] = mapped_column(Hash)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    printable: Mapped[bool] = mapped_column(default=False)


class Job(Base):
    """A wish to make something once."""

    __tablename__ = "job"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)  # what people say aloud
    title: Mapped[str] = mapped_column(String(200))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # of machine
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))  # only this one
    state: Mapped[str] = mapped_column(String(16), index=True)
    hold_reason: Mapped[str | None] = mapped_column(String(32))
    input_kind: Mapped[str] = mapped_column(String(16))
    input_name: Mapped[str] = mapped_column(String(200))
    input_sha256: Mapped[str] = mapped_column(Hash)
    input_bytes: Mapped[int] = mapped_column(BigInteger)
    design_id: Mapped[str | None] = mapped_column(ForeignKey("design.id"))
    recipe: Mapped[str | None] = mapped_column(String(80))
    purpose: Mapped[str] = mapped_column(String(16), default="own")
    simulated: Mapped[bool] = mapped_column(default=False)  # never teaches the promises
    report: Mapped[JsonObject | None] = mapped_column(JSON)  # what inspection measured
    findings: Mapped[list[Any]] = mapped_column(JSON, default=list)  # on the input itself
    created_at: Mapped[datetime] = mapped_column(Instant)
    queued_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant, index=True)


class JobStep(Base):
    """How far a job came on its way through the house."""

    __tablename__ = "job_step"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    detail: Mapped[JsonObject] = mapped_column(JSON, default=dict)


class Preflight(Base):
    """The examined program of one job for one machine; the host asks for its hashes.

    A new preparation writes new rows: what an attempt ran on stays as it was.
    """

    __tablename__ = "preflight"
    __table_args__ = (
        Index(
            "uq_preflight_current",
            "job_id",
            "machine_id",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    verdict: Mapped[str] = mapped_column(String(8))
    findings: Mapped[list[Any]] = mapped_column(JSON)
    report: Mapped[JsonObject] = mapped_column(JSON)
    limits_sha256: Mapped[str] = mapped_column(Hash)
    target_sha256: Mapped[str] = mapped_column(Hash)  # limits, kind, dialect, rules
    program_sha256: Mapped[str] = mapped_column(Hash)  # the G-code that was examined
    stream_sha256: Mapped[str | None] = mapped_column(Hash)
    index_sha256: Mapped[str | None] = mapped_column(Hash)
    planned_sha256: Mapped[str | None] = mapped_column(Hash)
    stream_lines: Mapped[int] = mapped_column(Integer, default=0)
    planned_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    filament_um: Mapped[int] = mapped_column(BigInteger, default=0)
    mass_mg: Mapped[int] = mapped_column(BigInteger, default=0)
    made_at: Mapped[datetime] = mapped_column(Instant)
    superseded_at: Mapped[datetime | None] = mapped_column(Instant)


class Arming(Base):
    """A named person's word that a machine is clear; good for one start."""

    __tablename__ = "arming"
    __table_args__ = (
        # The few words that may still start something: asked every second.
        Index(
            "ix_arming_unused",
            "machine_id",
            "expires_at",
            sqlite_where=text("attempt_id IS NULL AND withdrawn_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    simulated: Mapped[bool] = mapped_column(default=False)
    attempt_id: Mapped[str | None] = mapped_column(Id)  # which start used it
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)


class Waiver(Base):
    """A person's written word that one finding may stand; only ever added to.

    It holds for one program on one machine with these limits, whichever job brings it.
    """

    __tablename__ = "waiver"
    __table_args__ = (Index("ix_waiver_machine_program", "machine_id", "program_sha256"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    reason: Mapped[str] = mapped_column(String(500))
    program_sha256: Mapped[str] = mapped_column(Hash)
    limits_sha256: Mapped[str] = mapped_column(Hash)
    code: Mapped[str] = mapped_column(String(32))
    line: Mapped[int | None] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(String(200))  # of that line, as it was shown
    fields: Mapped[JsonObject] = mapped_column(JSON)  # as they were shown: old and new value, …
    simulated: Mapped[bool] = mapped_column(default=False)


class MachineAct(Base):
    """What a person had a machine do by hand; `refused` is the machine's own "no"."""

    __tablename__ = "machine_act"
    __table_args__ = (Index("ix_machine_act_machine_at", "machine_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    attempt_id: Mapped[str | None] = mapped_column(Id)  # the run that was open then
    at: Mapped[datetime] = mapped_column(Instant)
    act: Mapped[str] = mapped_column(String(32))
    amounts: Mapped[JsonObject] = mapped_column(JSON, default=dict)  # units in the names
    refused: Mapped[str] = mapped_column(String(64), default="")
    simulated: Mapped[bool] = mapped_column(default=False)


class Attempt(Base):
    """One run of a job on one machine. Its id is the run's UUID at the machine host."""

    __tablename__ = "attempt"
    __table_args__ = (
        # The database itself forbids two open attempts on one machine.
        Index(
            "uq_attempt_open_machine",
            "machine_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    # Who removes an old examination or word asks, with the database, for its runs.
    preflight_id: Mapped[str | None] = mapped_column(ForeignKey("preflight.id"), index=True)
    arming_id: Mapped[str | None] = mapped_column(ForeignKey("arming.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    event_seq: Mapped[int] = mapped_column(Integer, default=0)  # last host event taken in
    acked: Mapped[int] = mapped_column(Integer, default=0)  # stream lines
    sent: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    source_line: Mapped[int] = mapped_column(Integer, default=0)
    resends: Mapped[int] = mapped_column(Integer, default=0)
    machine_ms: Mapped[int] = mapped_column(BigInteger, default=0)  # by the host's clock
    reason: Mapped[str | None] = mapped_column(String(200))  # of an end that was not asked for
    detail: Mapped[JsonObject] = mapped_column(JSON, default=dict)


class RunTime(Base):
    """What was promised of an attempt, and what it took without its pauses.

    Actual times are there once it has finished as planned; `teaches` then says whether it
    counts for the next promises: no demo does, nor what began in the middle.
    """

    __tablename__ = "run_time"
    __table_args__ = (Index("ix_run_time_machine_at", "machine_id", "at"),)
    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempt.id"), primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    at: Mapped[datetime] = mapped_column(Instant)  # of its beginning
    slicer: Mapped[str] = mapped_column(String(40))
    planned_start_ms: Mapped[int] = mapped_column(BigInteger)
    planned_work_ms: Mapped[int] = mapped_column(BigInteger)
    start_p50_ms: Mapped[int] = mapped_column(BigInteger)
    start_p90_ms: Mapped[int] = mapped_column(BigInteger)
    work_p50_ms: Mapped[int] = mapped_column(BigInteger)
    work_p90_ms: Mapped[int] = mapped_column(BigInteger)
    p50_ms: Mapped[int] = mapped_column(BigInteger)
    p90_ms: Mapped[int] = mapped_column(BigInteger)
    runs: Mapped[int] = mapped_column(Integer)  # finished ones that the promise rests on
    start_ms: Mapped[int | None] = mapped_column(BigInteger)
    work_ms: Mapped[int | None] = mapped_column(BigInteger)
    teaches: Mapped[bool] = mapped_column(default=False)


class UsageEvent(Base):
    """Who used which machine from when to when; at most one open per machine."""

    __tablename__ = "usage_event"
    __table_args__ = (
        Index(
            "uq_usage_open_machine",
            "machine_id",
            unique=True,
            sqlite_where=text("end_at IS NULL"),
        ),
        Index("ix_usage_event_start_at", "start_at"),  # fair share asks of the last weeks
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    attempt_id: Mapped[str | None] = mapped_column(ForeignKey("attempt.id"))
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime | None] = mapped_column(Instant)


class Record(Base):
    """One link of the signed chain; `body` is exactly what was signed."""

    __tablename__ = "record"
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Id, unique=True)
    attempt_id: Mapped[str | None] = mapped_column(Id, unique=True)
    prev: Mapped[str] = mapped_column(Hash)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(Hash, unique=True)
    signature: Mapped[str] = mapped_column(String(128))
    made_at: Mapped[datetime] = mapped_column(Instant)


class OutboxMessage(Base):
    """An event on its way out; written in the transaction that made it true."""

    __tablename__ = "outbox"
    # Without AUTOINCREMENT, SQLite gives the number of a deleted last row again.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  SQLAlchemy's own form
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    acked_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    job_id: Mapped[str | None] = mapped_column(Id)
