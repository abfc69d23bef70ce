"""Alembic's scripts; each revision keeps the overlap guard (see `jobs.store.guards`)."""
