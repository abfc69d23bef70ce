"""Tables of money: what the lab decided, accounts, entries that are only ever added to.

The database itself keeps them: an entry is neither changed nor deleted, a month that is closed
takes none, and a fact is charged once (`money_guards`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Hash, Id, JsonObject


class MoneyTerm(Base):
    """What the lab decided about money; the newest holds."""

    __tablename__ = "money_term"
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Instant)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    terms: Mapped[JsonObject] = mapped_column(JSON)  # MoneyTerms.to_json()


class MoneyGroup(Base):
    """A membership group; who is in none is in the one that is everybody's."""

    __tablename__ = "money_group"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    everybody: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Instant)


class MoneyAccount(Base):
    """A person's account; without the person once they were erased, its entries stay."""

    __tablename__ = "money_account"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"), unique=True)
    group_id: Mapped[str | None] = mapped_column(ForeignKey("money_group.id"))
    opened_at: Mapped[datetime] = mapped_column(Instant)


class MoneyEntry(Base):
    """One entry: minor units, positive in the account's favour.

    :param account_id: None for the house's own costs and income.
    :param fact: what it is for; there is one entry of each, for ever.
    :param of_seq: the entry that it corrects.
    :param lines: the arithmetic, each line with the version of its price.
    """

    __tablename__ = "money_entry"
    __table_args__ = (
        Index("ix_money_entry_account", "account_id", "seq"),
        Index("ix_money_entry_month", "month", "seq"),
    )
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("money_account.id"))
    kind: Mapped[str] = mapped_column(String(16))
    minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    at: Mapped[datetime] = mapped_column(Instant)
    day: Mapped[date] = mapped_column(Date)  # on the lab's wall clock, for good
    month: Mapped[str] = mapped_column(String(7))
    fact: Mapped[str | None] = mapped_column(String(80), unique=True)
    of_seq: Mapped[int | None] = mapped_column(ForeignKey("money_entry.seq"), index=True)
    machine_id: Mapped[str | None] = mapped_column(ForeignKey("machine.id"))
    machine: Mapped[str] = mapped_column(String(32), default="")  # slug, as it was
    machine_kind: Mapped[str] = mapped_column(String(16), default="")
    lines: Mapped[list[Any]] = mapped_column(JSON, default=list)
    why: Mapped[str] = mapped_column(String(40), default="")  # code of a sentence
    text: Mapped[str] = mapped_column(String(200), default="")  # a person's own words
    receipt: Mapped[str] = mapped_column(String(40), default="")
    by_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))  # None: by the node


class MoneyMonth(Base):
    """A month that was closed: how many rows its list had, and their hash."""

    __tablename__ = "money_month"
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(Instant)
    closed_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    entries: Mapped[int] = mapped_column(Integer)
    csv_sha256: Mapped[str] = mapped_column(Hash)


class MoneyPreview(Base):
    """What a job was said to cost on a machine; of a run, it is also what is kept for it.

    :param attempt_id: None while it is only prepared.
    """

    __tablename__ = "money_preview"
    __table_args__ = (
        Index("ix_money_preview_job_at", "job_id", "at"),
        Index("ix_money_preview_person_attempt", "person_id", "attempt_id"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machine.id"))
    attempt_id: Mapped[str | None] = mapped_column(ForeignKey("attempt.id"), unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"))  # who pays
    for_group: Mapped[str] = mapped_column(String(80), default="")
    at: Mapped[datetime] = mapped_column(Instant)
    currency: Mapped[str] = mapped_column(String(3))
    p50_minor: Mapped[int] = mapped_column(BigInteger)
    p90_minor: Mapped[int] = mapped_column(BigInteger)
    lines: Mapped[list[Any]] = mapped_column(JSON)  # of the P90


class Contribution(Base):
    """Work that a person gave to the lab: their word, and another's that it was so."""

    __tablename__ = "contribution"
    __table_args__ = (Index("ix_contribution_state_at", "state", "at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("money_account.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    minutes: Mapped[int] = mapped_column(Integer)
    day: Mapped[date] = mapped_column(Date)
    note: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(16))  # open, confirmed, rejected
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(200), default="")


class MaterialTaken(Base):
    """Material that a person took by hand: what no machine counts."""

    __tablename__ = "material_taken"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("money_account.id"), index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    material: Mapped[str] = mapped_column(String(40))
    lot: Mapped[str] = mapped_column(String(80), default="")
    per: Mapped[str] = mapped_column(String(8))  # gram, ml, m2
    amount: Mapped[int] = mapped_column(BigInteger)  # mg, µl, mm²
    note: Mapped[str] = mapped_column(String(200), default="")
    by_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
