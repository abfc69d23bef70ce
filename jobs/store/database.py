"""Open the database so that reads never wait and a read-then-write never loses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from jobs.store.guards import OVERLAP

HEAD = "0016"  # the newest revision in migrations/; a test compares

_BUSY_S = 20.0  # how long a writer waits for the one before it
# Each thread that asks has a connection: what it keeps is kept a dozen times. The computer
# keeps the pages of the file as well, and a statement is prepared in some thirty microseconds.
_KEPT_STATEMENTS, _KEPT_PAGES_KIB = 32, 1000


class Database:
    """One engine, two ways in: `write` for a state change, `read` for a look.

    :param url: `sqlite:////path/file.db` or `postgresql+psycopg://…`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _open(url)
        reader = self.engine.execution_options(fabnode_reads=True)
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        self._read = sessionmaker(reader, expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may change state; on SQLite it takes the write lock at once."""
        with self._write.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent look; never waits for a writer."""
        with self._read() as session:
            yield session

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _open(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(
        url, connect_args={"timeout": _BUSY_S, "cached_statements": _KEPT_STATEMENTS}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # pysqlite's own BEGIN comes too late for read-then-write: we send ours below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # A record that was signed must survive a power cut.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{_KEPT_PAGES_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("fabnode_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def is_overlap(error: DBAPIError) -> bool:
    """Return whether the overlap guard refused, whatever the database calls that."""
    return OVERLAP in str(error.orig)
