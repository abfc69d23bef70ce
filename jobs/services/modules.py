"""Which parts of the house are on: `is_on` for services, the use case for the admin's page."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import NotAllowedError
from jobs.domain.modules import Module, modules_from, modules_text
from jobs.domain.people import Actor, Role
from jobs.services.outbox import FROM_SEQ
from jobs.services.workshop import Workshop
from jobs.store.tables import OutboxMessage, Setting

MONEY_SINCE: Final = "money.since"  # setting: when money was switched on last
_KEY: Final = "lab.modules"

log = logging.getLogger(__name__)


def modules_of(session: Session) -> frozenset[Module]:
    """Return the modules that are on."""
    row = session.get(Setting, _KEY)
    return modules_from("" if row is None else row.value)


def is_on(session: Session, module: Module) -> bool:
    """Return whether a part of the house is on."""
    return module in modules_of(session)


class Modules:
    """Use cases about the parts of the house."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def on(self) -> frozenset[Module]:
        """Return the modules that are on."""
        with self._workshop.database.read() as session:
            return modules_of(session)

    def choose(self, actor: Actor, on: Collection[Module], now: datetime) -> None:
        """Have just these on. Work that runs goes on, and nothing that is kept is lost.

        What happened while the network was off is not published afterwards either, nor charged
        what was used while money was.
        """
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        with self._workshop.database.write() as session:
            before = modules_of(session)
            if Module.NETWORK in on and Module.NETWORK not in before:
                newest = session.scalar(select(func.max(OutboxMessage.seq))) or 0
                session.merge(Setting(key=FROM_SEQ, value=str(newest)))
            if Module.MONEY in on and Module.MONEY not in before:
                session.merge(Setting(key=MONEY_SINCE, value=now.isoformat()))
            session.merge(Setting(key=_KEY, value=modules_text(on)))
        log.info("modules on: %s; by %s", ", ".join(sorted(on)), actor.person_id or actor.name)
        self._workshop.live.touch()
