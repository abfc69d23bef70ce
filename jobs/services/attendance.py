"""What a person at a machine says of it: nobody uses it, this is its board, which one is it?"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from jobs.domain.errors import RefusedError, UnavailableError
from jobs.domain.people import Actor, Role
from jobs.services import logbook
from jobs.services.asked import machine_of, must_be
from jobs.services.logbook import Happening
from jobs.services.presence import presence_refusals
from jobs.services.views import MachineEventView
from jobs.services.workshop import Workshop

log = logging.getLogger(__name__)


class Attendance:
    """Use cases of somebody who stands at a machine."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def free(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a person's word that nobody uses the machine by hand; it is written down."""
        must_be(actor, Role.MEMBER)
        with self._workshop.database.read() as session:
            if found := presence_refusals(session, actor, machine_of(session, slug), now):
                raise RefusedError(found)
        _demand(self._workshop.gateway.release(slug, actor.name), slug)
        self._write(slug, Happening.FREED, actor, now, {})

    def own_board(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take an operator's word that the board there is the machine's; it is written down."""
        must_be(actor, Role.OPERATOR)
        self._known(slug)
        differs = ", ".join(self._workshop.live.get(slug).differs)
        _demand(self._workshop.gateway.own_board(slug, actor.name), slug)
        self._write(slug, Happening.OWN_BOARD, actor, now, {"differs": differs})

    def identify(self, actor: Actor, slug: str) -> None:
        """Have the machine beep or show a text.

        :raises UnavailableError: `host.cannot_identify` if it can do neither.
        """
        must_be(actor, Role.MEMBER)
        self._known(slug)
        _demand(self._workshop.gateway.identify(slug), slug)

    def book(self, actor: Actor, slug: str) -> Sequence[MachineEventView]:
        """Return what happened at a machine lately, newest first."""
        must_be(actor, Role.MEMBER)
        with self._workshop.database.read() as session:
            return logbook.recent(session, machine_of(session, slug))

    def _known(self, slug: str) -> None:
        with self._workshop.database.read() as session:
            machine_of(session, slug)

    def _write(
        self, slug: str, kind: Happening, actor: Actor, now: datetime, detail: dict[str, str]
    ) -> None:
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            logbook.write(session, self._workshop, machine, kind, now, actor.person_id, detail)
        log.info("%s: %s by %s", slug, kind, actor.person_id or actor.name)
        self._workshop.live.touch()


def _demand(code: str | None, slug: str) -> None:
    if code is not None:
        raise UnavailableError(code, machine=slug)
