"""The kiosk: a person says who they are, does one thing at a machine there, and is forgotten.

Who a badge or a login names is asked for their PIN; guessing is bounded in `pins`. A visit ends
when something dangerous is done, when nothing is touched, or when the next person comes.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.domain.presence import How
from jobs.services import passwords
from jobs.services.at_kiosk import DeviceKind, idle_of, visit_lives
from jobs.services.badges import Badges, badge_owner, may_set_first_pin
from jobs.services.devices import DeviceView
from jobs.services.pins import Pins
from jobs.services.proving import Proving
from jobs.services.signing_in import fold_login
from jobs.services.workshop import Workshop
from jobs.store.presence import KioskVisit
from jobs.store.tables import Person

_NOBODY: Final = "nobody"  # whose PIN is tried where no such person is: that takes as long
_TOUCH: Final = timedelta(seconds=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VisitView:
    """Somebody at a kiosk.

    :param actor: acts through this visit alone.
    :param idle_s: so long without a touch, and they are forgotten.
    """

    actor: Actor
    csrf: str
    how: How
    idle_s: int


class Kiosk:
    """Use cases of a shared screen at machines."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._pins = Pins(workshop)
        self._badges = Badges(workshop)
        self._proving = Proving(workshop)

    def needs_first_pin(self, badge: str, now: datetime) -> bool:
        """Return whether a badge is shown for the first time, and its person chooses a PIN."""
        with self._database.read() as session:
            person = self._named(session, badge, "")
            return person is not None and may_set_first_pin(session, person.id, now)

    def identify(self, device: DeviceView, badge: str, login: str, pin: str, now: datetime) -> str:
        """Begin a visit of whoever has that badge or login, and that PIN; return its token.

        With a badge that was never used here the PIN is set by it. Whether there is such a badge
        or login is not told.

        :raises InvalidError: as `Pins.prove`; `pin.digits`, `pin.simple` of a first one.
        """
        if device.kind is not DeviceKind.KIOSK:
            raise NotAllowedError("device.no-kiosk")
        how = How.BADGE if badge else How.KIOSK
        with self._database.read() as session:
            person = self._named(session, badge, login)
            whom = _NOBODY if person is None else person.id
            first = bool(badge) and may_set_first_pin(session, whom, now)
        if first:
            self._badges.set_first_pin(whom, pin, now)
        else:
            self._pins.prove(whom, pin, now, device=device.id)
        return self._begin(device, whom, how, now)

    def visit(self, device: DeviceView, token: str, now: datetime) -> VisitView | None:
        """Return who is at a kiosk; None where nobody is, any more. Asking is a touch."""
        key = passwords.fingerprint(token)
        with self._database.read() as session:
            row = session.get(KioskVisit, key)
            if row is None or row.device_id != device.id or not visit_lives(session, key, now):
                return None
            person = session.get(Person, row.person_id)
            if person is None or person.disabled_at is not None:
                return None
            idle_s = int(idle_of(session).total_seconds())
        if now - row.seen_at >= _TOUCH:
            with self._database.write() as session:
                session.execute(
                    update(KioskVisit).where(KioskVisit.token_sha256 == key).values(seen_at=now)
                )
        actor = Actor(person.id, person.name, Role(person.role), person.simulated, key)
        return VisitView(actor, row.csrf, How(row.how), idle_s)

    def stand(self, device: DeviceView, visit: VisitView, slug: str, now: datetime) -> None:
        """Take it that who has just said who they are stands at a machine of this kiosk.

        :raises NotFoundError: if it is none of them.
        """
        if slug not in {one for one, _ in device.machines}:
            raise NotFoundError("machine.unknown", machine=slug)
        self._proving.at_device(visit.actor, slug, visit.how, device.id, now)

    def leave(self, device: DeviceView) -> None:
        """Forget who is at a kiosk; where nobody is, nothing changes."""
        with self._database.write() as session:
            session.execute(delete(KioskVisit).where(KioskVisit.device_id == device.id))

    def _named(self, session: Session, badge: str, login: str) -> Person | None:
        if badge:
            try:
                return badge_owner(session, self._workshop, badge)
            except InvalidError:
                return None
        query = select(Person).where(
            Person.login == fold_login(login)[:64], Person.disabled_at.is_(None)
        )
        return session.scalar(query)

    def _begin(self, device: DeviceView, person_id: str, how: How, now: datetime) -> str:
        token = self._workshop.new_token()
        with self._database.write() as session:
            session.execute(delete(KioskVisit).where(KioskVisit.device_id == device.id))
            session.add(
                KioskVisit(
                    token_sha256=passwords.fingerprint(token),
                    device_id=device.id,
                    person_id=person_id,
                    csrf=self._workshop.new_token(),
                    how=how.value,
                    began_at=now,
                    seen_at=now,
                )
            )
        log.info("kiosk %s: %s is there", device.id, person_id)
        return token


def is_from(visit: VisitView, given: str) -> bool:
    """Return whether a form came from this visit's own page."""
    return hmac.compare_digest(visit.csrf.encode(), given.encode())
