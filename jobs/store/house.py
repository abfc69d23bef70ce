"""Tables of the house's rules: who is qualified, what staff decided, what members propose."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Instant
from jobs.store.tables import Base, Id


class RuleChange(Base):
    """One value of a rule, changed; only ever added to. None: as it is by default."""

    __tablename__ = "rule_change"
    __table_args__ = (Index("ix_rule_change_at", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    scope: Mapped[str] = mapped_column(String(48))  # lab, kind:<kind>, machine:<slug>
    rule: Mapped[str] = mapped_column(String(40))
    old: Mapped[Any] = mapped_column(JSON)
    new: Mapped[Any] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(String(500), default="")
    proposal_id: Mapped[str | None] = mapped_column(Id)


class Training(Base):
    """An event that qualifies whoever was there, by what `training_grant` names.

    :param decide_at: until then *minimum* people must have a seat, or it is called off.
    """

    __tablename__ = "training"
    __table_args__ = (
        CheckConstraint("start_at < end_at", name="grows"),
        Index("ix_training_start_at", "start_at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    trainer_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    seats: Mapped[int] = mapped_column(Integer)
    valid_days: Mapped[int | None] = mapped_column(Integer)  # of what it grants; None: no end
    note: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    cancelled_at: Mapped[datetime | None] = mapped_column(Instant)
    cancelled_why: Mapped[str] = mapped_column(String(16), default="")  # by `CalledOff`
    minimum: Mapped[int | None] = mapped_column(Integer)  # people with a seat; None: any number
    decide_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)  # enough had a seat then
    series_id: Mapped[str | None] = mapped_column(Id, index=True)
    sequence: Mapped[int] = mapped_column(Integer, default=0)  # grows with each change


class TrainingGrant(Base):
    """One machine, or one kind, that a training qualifies for."""

    __tablename__ = "training_grant"
    __table_args__ = (
        CheckConstraint("(machine_id IS NULL) <> (kind IS NULL)", name="machine_or_kind"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    training_id: Mapped[str] = mapped_column(ForeignKey("training.id"), index=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))
    kind: Mapped[str | None] = mapped_column(String(16))


class TrainingMachine(Base):
    """A machine whose time is kept for a training, by a claim that the database guards."""

    __tablename__ = "training_machine"
    training_id: Mapped[str] = mapped_column(ForeignKey("training.id"), primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    allocation_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"), unique=True)


class TrainingTrainer(Base):
    """Somebody who teaches beside the trainer who announced it."""

    __tablename__ = "training_trainer"
    training_id: Mapped[str] = mapped_column(ForeignKey("training.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)


class TrainingSeat(Base):
    """A person's seat in a training, or their place in its line, and whether they were there.

    :param state: by `SeatState`.
    :param taken_at: since when it is theirs, or since when they wait.
    """

    __tablename__ = "training_seat"
    __table_args__ = (
        Index("ix_training_seat_state", "state", "held_until"),
        Index("ix_training_seat_person", "person_id"),
    )
    training_id: Mapped[str] = mapped_column(ForeignKey("training.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(Instant)
    attended_at: Mapped[datetime | None] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(16), default="taken")
    held_at: Mapped[datetime | None] = mapped_column(Instant)
    held_until: Mapped[datetime | None] = mapped_column(Instant)


class Qualification(Base):
    """Permission to use one machine or all of a kind; it ends, and is never deleted.

    :param withdrawn_at: when it ended, however it did; *withdrawn_by*: who ended it, nobody
        where it ended by itself.
    :param ended_how: by `Ended`; "" while it holds.
    """

    __tablename__ = "qualification"
    __table_args__ = (
        CheckConstraint("(machine_id IS NULL) <> (kind IS NULL)", name="machine_or_kind"),
        Index("ix_qualification_person", "person_id"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"), index=True)
    kind: Mapped[str | None] = mapped_column(String(16), index=True)
    granted_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    granted_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    training_id: Mapped[str | None] = mapped_column(ForeignKey("training.id"))
    note: Mapped[str] = mapped_column(String(200), default="")
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)
    withdrawn_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    ended_how: Mapped[str] = mapped_column(String(16), default="")
    ended_why: Mapped[str] = mapped_column(String(200), default="")


class Approval(Base):
    """What staff were asked to let pass, or let pass of themselves, with the reason.

    Of a booking or of a job on a machine. Until it is decided, and not after it has expired, a
    booking that was asked for holds its time.
    """

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("(allocation_id IS NULL) <> (job_id IS NULL)", name="booking_or_job"),
        Index("ix_approval_open", "decided_at", "expires_at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    allocation_id: Mapped[str | None] = mapped_column(ForeignKey("allocation.id"), index=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id"), index=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))  # whose it is
    reasons: Mapped[list[Any]] = mapped_column(JSON)  # codes of what is to pass
    asked_at: Mapped[datetime] = mapped_column(Instant)
    asked_why: Mapped[str] = mapped_column(String(500), default="")
    expires_at: Mapped[datetime] = mapped_column(Instant)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    granted: Mapped[bool | None] = mapped_column()  # None once expired
    reason: Mapped[str] = mapped_column(String(500), default="")


class Proposal(Base):
    """A member's wish to change a value of a rule; the lab decides and looks at it again."""

    __tablename__ = "proposal"
    __table_args__ = (Index("ix_proposal_state_at", "state", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    scope: Mapped[str] = mapped_column(String(48))
    rule: Mapped[str] = mapped_column(String(40))
    old: Mapped[Any] = mapped_column(JSON)  # what held when it was proposed
    wanted: Mapped[Any] = mapped_column(JSON)
    why: Mapped[str] = mapped_column(String(2000))
    state: Mapped[str] = mapped_column(String(16))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(2000), default="")
    review_on: Mapped[date | None] = mapped_column(Date)
    reviewed_at: Mapped[datetime | None] = mapped_column(Instant)
    reviewed_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))


class ProposalComment(Base):
    """What a member says to a proposal."""

    __tablename__ = "proposal_comment"
    __table_args__ = (Index("ix_proposal_comment_proposal_at", "proposal_id", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    proposal_id: Mapped[str] = mapped_column(ForeignKey("proposal.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)
    text: Mapped[str] = mapped_column(String(2000))


class Price(Base):
    """What something costs a group; a new price supersedes the one before and keeps it.

    :param at: valid from then on; before *until_at*, and before *superseded_at*, from which a
        newer one holds in its place.
    """

    __tablename__ = "price"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16), default="")  # of machine, where no machine is
    material: Mapped[str] = mapped_column(String(40), default="")
    lot: Mapped[str] = mapped_column(String(80), default="")  # of that material; "": of any
    for_group: Mapped[str] = mapped_column(String(80), default="")
    per: Mapped[str] = mapped_column(String(8))  # hour, block, start, gram, ml, m2
    block_min: Mapped[int] = mapped_column(Integer, default=0)
    micro: Mapped[int] = mapped_column(BigInteger)  # millionths of the currency
    currency: Mapped[str] = mapped_column(String(3))
    at: Mapped[datetime] = mapped_column(Instant)
    until_at: Mapped[datetime | None] = mapped_column(Instant)
    made_at: Mapped[datetime | None] = mapped_column(Instant)  # where it was written ahead
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    superseded_at: Mapped[datetime | None] = mapped_column(Instant)
