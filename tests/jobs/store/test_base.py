"""Instants in the database: exact, aware, and never naive; and how transactions begin."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from jobs.store.base import Instant
from jobs.store.database import Database
from jobs.store.tables import OutboxMessage, Person, Setting

AT = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
seconds = st.integers(-(2**40), 2**40)


@given(seconds, offsets)
def test_an_instant_comes_back_as_it_was_to_the_microsecond(micros: int, zone: timezone) -> None:
    at = (AT + timedelta(microseconds=micros)).astimezone(zone)
    column, dialect = Instant(), sqlite.dialect()
    stored = column.process_bind_param(at, dialect)
    back = column.process_result_value(stored, dialect)
    assert back == at
    assert back.utcoffset() == timedelta(0)


def test_a_naive_instant_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        session.add(
            Person(id="x", login="x", name="x", role="guest", created_at=AT.replace(tzinfo=None))
        )


def test_a_writer_holds_the_write_lock_from_its_first_look(database: Database) -> None:
    """Read, add one, write: with a late lock two threads would both read the same number."""
    with database.write() as session:
        session.add(Setting(key="n", value="0"))

    def count() -> None:
        for _ in range(10):
            with database.write() as session:
                row = session.get_one(Setting, "n")
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    with database.read() as session:
        assert session.get_one(Setting, "n").value == "40"


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as writing:
        writing.add(Setting(key="n", value="0"))
        writing.flush()
        with database.read() as reading:
            assert reading.get(Setting, "n") is None


def test_the_database_survives_a_power_cut_and_keeps_its_references(database: Database) -> None:
    with database.read() as session:
        answers = [
            session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert answers == ["wal", 2, 1]


def test_a_sequence_number_is_never_given_twice(database: Database) -> None:
    def add(number: int) -> int:
        with database.write() as session:
            row = OutboxMessage(id=str(number), kind="x", body=b"", created_at=AT, tries=0)
            session.add(row)
            session.flush()
            return row.seq

    last = [add(number) for number in range(3)][-1]
    with database.write() as session:
        session.execute(text("DELETE FROM outbox"))
    assert add(9) == last + 1
