"""Databases for tests: one migrated SQLite file to copy, one real PostgreSQL to ask."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from jobs.store.database import Database
from jobs.store.migrate import upgrade


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest revision; copy it, never write to it."""
    path = tmp_path_factory.mktemp("migrated") / "fabnode.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A SQLite database of this test's own."""
    path = tmp_path / "fabnode.db"
    shutil.copyfile(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


def _postgresql_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


def _unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL prefix of a PostgreSQL server that lives as long as the tests do."""
    programs = _postgresql_bin()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here (apt install postgresql)")
    who = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="fabnode-pg-", dir="/tmp"))
    if who:
        os.chown(folder, who["user"], who["group"])  # type: ignore[arg-type]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*argv: str) -> None:
        subprocess.run(
            argv,
            check=True,
            cwd=folder,
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **who,  # type: ignore[call-overload]
        )

    place = folder / "data"
    # Durability is PostgreSQL's business; here it would only cost time.
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
        "-c fsync=off -c shared_buffers=16MB -c max_connections=80"
    )
    try:
        run(
            str(programs / "initdb"), "-D", str(place), "-U", "fabnode", "-A", "trust",
            "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        control = str(programs / "pg_ctl")
        run(control, "-D", str(place), "-w", "-t", "30", "-l", str(folder / "log"),
            "-o", options, "start")  # fmt: skip
        try:
            yield f"postgresql+psycopg://fabnode@127.0.0.1:{port}"
        finally:
            run(control, "-D", str(place), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgresql(postgresql_server: str) -> Callable[[str, str], str]:
    """Create a database by name, from a template, and return its URL."""

    def create(name: str, template: str = "template0") -> str:
        engine = create_engine(f"{postgresql_server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        engine.dispose()
        return f"{postgresql_server}/{name}"

    return create


@pytest.fixture(scope="session")
def migrated_postgresql(new_postgresql: Callable[..., str]) -> str:
    """Name of a PostgreSQL database at the newest revision, to be used as a template."""
    upgrade(new_postgresql("migrated"))
    return "migrated"


@pytest.fixture
def postgresql_database(
    new_postgresql: Callable[[str, str], str],
    migrated_postgresql: str,
    request: pytest.FixtureRequest,
) -> Iterator[Database]:
    """A PostgreSQL database of this test's own."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    database = Database(new_postgresql(name, migrated_postgresql))
    yield database
    database.close()
