"""Tables of what people accept by name before they use a machine: house rules and risk sheets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Hash, Id


class Instruction(Base):
    """One version of a text, for the lab, a kind or a machine; only ever added to.

    :param scope: `lab`, `kind:<kind>`, `machine:<id>`: a machine's by its id, for slugs may change.
    :param must_accept: whether who has accepted an earlier version accepts this one again.
    """

    __tablename__ = "instruction"
    __table_args__ = (Index("uq_instruction_version", "scope", "sort", "version", unique=True),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(String(48))
    sort: Mapped[str] = mapped_column(String(16))  # by `Sort`
    version: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(String(40_000))  # "": it was taken back
    sha256: Mapped[str] = mapped_column(Hash)
    must_accept: Mapped[bool] = mapped_column()
    note: Mapped[str] = mapped_column(String(500))  # what has changed, in the writer's words
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(Instant)


class Acceptance(Base):
    """A person's word that they have read a version and keep to it.

    :param sha256: of exactly the text that was shown.
    :param name: as it was signed with.
    """

    __tablename__ = "acceptance"
    __table_args__ = (Index("ix_acceptance_instruction", "instruction_id"),)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    instruction_id: Mapped[str] = mapped_column(ForeignKey("instruction.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    sha256: Mapped[str] = mapped_column(Hash)
    name: Mapped[str] = mapped_column(String(120))
