"""The services for a command that runs beside the node, or without it: same database, no hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from jobs.domain.errors import UnavailableError
from jobs.domain.people import Actor, Role
from jobs.services import Services, build_services
from jobs.services.live import LiveBoard
from node.config import NodeConfig, read_config
from node.home import find_home
from node.runtime import build_workshop, prepare_home, version
from node.supervisor import Layout, Supervisor


@dataclass(frozen=True, slots=True)
class Offline:
    """A data folder, opened for one command."""

    home: Path
    config: NodeConfig
    services: Services


@contextmanager
def opened() -> Iterator[Offline]:
    """Open the node's data folder for one command."""
    home = find_home()
    config = read_config(home)
    with database_errors_said():
        prepare_home(home, config)
        live = LiveBoard()
        supervisor = Supervisor(Layout(home, f"fabnode {version()}", spawn=False), live, list)
        workshop = build_workshop(home, config, live, supervisor)
        try:
            yield Offline(home, config, build_services(workshop))
        finally:
            workshop.database.close()


@contextmanager
def database_errors_said() -> Iterator[None]:
    """Let a database that is damaged, locked or away be one sentence, too.

    :raises UnavailableError: `database.unusable` with the database's own reason.
    """
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        raise UnavailableError("database.unusable", reason=reason.splitlines()[0][:300]) from error


def console_actor() -> Actor:
    """Whoever can write the data folder may do what an admin may; there is no account behind it."""
    return Actor("", "console", Role.ADMIN)
