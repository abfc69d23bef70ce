"""The table of who is in the house: members by their account, visitors by name and host."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.store.base import Base, Instant
from jobs.store.tables import Id


class HouseVisit(Base):
    """One stay in the house. It is kept for some days, then deleted.

    :param ends_at: when it ends by itself: as the lab closes, or after so many hours.
    :param out_by: who said that it is over; nobody, where it ended by itself.
    """

    __tablename__ = "house_visit"
    __table_args__ = (
        CheckConstraint("(person_id IS NULL) <> (visitor = '')", name="person_or_visitor"),
        CheckConstraint("in_at < ends_at", name="grows"),
        Index("ix_house_visit_in_at", "in_at"),
        # Nobody is in the house twice; and the few who are in are found without the history.
        Index(
            "uq_house_visit_open",
            "person_id",
            unique=True,
            sqlite_where=text("out_at IS NULL"),
        ),
        Index(
            "ix_house_visit_ends",
            "ends_at",
            sqlite_where=text("out_at IS NULL"),
        ),
        Index("ix_house_visit_out_at", "out_at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    visitor: Mapped[str] = mapped_column(String(120), default="")
    host_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))  # of a visitor
    is_minor: Mapped[bool] = mapped_column(default=False)  # of a visitor
    in_at: Mapped[datetime] = mapped_column(Instant)
    in_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    ends_at: Mapped[datetime] = mapped_column(Instant)
    out_at: Mapped[datetime | None] = mapped_column(Instant)
    out_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
