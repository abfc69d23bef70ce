"""One after the other, where a number is "the last one plus one"."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session


def take_turn(session: Session, what: str) -> None:
    """Let nobody else number *what* until this transaction is over.

    On SQLite every writing transaction is alone already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})


def take_turns(session: Session, what: Iterable[str]) -> None:
    """Take several turns, in one order everywhere: two who wait for each other wait for ever."""
    for one in sorted(what):
        take_turn(session, one)


def try_turn(session: Session, what: str) -> bool:
    """Take a turn if nobody has it; return whether it is ours."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    query = text("SELECT pg_try_advisory_xact_lock(hashtext(:what))")
    return bool(session.scalar(query, {"what": what}))
