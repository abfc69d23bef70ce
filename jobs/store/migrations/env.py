"""Alembic's entry: run the revisions on the database that the configuration names."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool

import jobs.store.house
import jobs.store.instructions
import jobs.store.money
import jobs.store.persons
import jobs.store.power
import jobs.store.presence
import jobs.store.sharing
import jobs.store.signing
import jobs.store.upkeep
import jobs.store.visits
import jobs.store.waiting  # noqa: F401  their tables join the others
from jobs.store import tables


def _run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=tables.Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if __name__ == "env_py":  # so Alembic calls it; whoever else imports it only looks
    _run()
