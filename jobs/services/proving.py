"""Proving to be at a machine: by the code on its display, or at a device that stands there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, RefusedError
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.presence import (
    AT_ONCE,
    DAY,
    MOST_WRONG_A_DAY,
    MOST_WRONG_AT_ONCE,
    MOST_WRONG_OF_ONE,
    How,
    Need,
    code_of,
    tidy_code,
    window_shown,
)
from jobs.services.asked import machine_of
from jobs.services.at_kiosk import devices_at
from jobs.services.house_rules import values_of
from jobs.services.presence import need, presence_refusals, present
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.presence import MachineSecret, Presence, PresenceTry
from jobs.store.tables import Machine

_KEPT: Final = timedelta(days=30)  # of who was where

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PresenceView:
    """How one person stands with one machine.

    :param need: what it asks for.
    :param until: the person counts as standing there until then; None: not at all.
    :param shows_code: a display there shows it.
    :param kiosks: names of devices at which they can say who they are.
    """

    need: Need
    until: datetime | None
    how: How | None
    shows_code: bool
    kiosks: Sequence[str]
    minutes: int


class Proving:
    """Use cases of somebody who comes to a machine."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def view(self, actor: Actor, slug: str, now: datetime) -> PresenceView:
        """Return what the machine asks of *actor*, and whether that is there."""
        with self._database.read() as session:
            machine = machine_of(session, slug)
            row = present(session, actor, machine.id, now)
            display, kiosks = devices_at(session, machine.id)
            return PresenceView(
                need=need(session, machine),
                until=row.expires_at if row else None,
                how=How(row.how) if row else None,
                shows_code=display,
                kiosks=kiosks,
                minutes=values_of(session, machine).presence_min,
            )

    def by_code(self, actor: Actor, slug: str, typed: str, now: datetime) -> datetime:
        """Take the code that the machine's display shows, and say until when it holds.

        :raises RefusedError: for a program with a key.
        :raises InvalidError: `presence.code`, `presence.code-used`, or `presence.too-many`.
        """
        if not actor.seat:
            raise RefusedError([Refusal(Reason.KEY_NOT_PRESENT)])
        code = tidy_code(typed)
        if not code:
            raise InvalidError("presence.code", field="code")
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, f"presence {machine.id}")
            self._refuse_guessing(session, machine, actor, now)
            secret = session.get(MachineSecret, machine.id)
            window = None
            if secret is not None and devices_at(session, machine.id)[0]:
                window = window_shown(
                    code, lambda one: code_of(secret.secret, machine.id, one), now
                )
            if window is None:
                # Kept before the "no" is said: guesses side by side are all counted.
                self._note_wrong(session, machine, actor, now)
                until = None
            else:
                until = self._by_window(session, machine, actor, window, now)
        if until is None:
            log.info("%s: wrong code typed by %s", slug, actor.person_id)
            raise InvalidError("presence.code", field="code")
        self._workshop.live.touch()
        return until

    def at_device(
        self, actor: Actor, slug: str, how: How, device_id: str, now: datetime
    ) -> datetime:
        """Take it that *actor*, who has just said who they are there, stands at a machine."""
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, f"presence {machine.id}")
            row = self._row(session, machine, actor, how, now)
            row.device_id = device_id
            session.add(row)
        self._workshop.live.touch()
        return row.expires_at

    def leave(self, actor: Actor, slug: str, now: datetime) -> None:
        """Say that one goes; who was not there changes nothing."""
        with self._database.write() as session:
            row = present(session, actor, machine_of(session, slug).id, now)
            if row is not None:
                row.ended_at = now
        self._workshop.live.touch()

    def refusals(self, actor: Actor, slug: str, now: datetime) -> Sequence[Refusal]:
        """Return why *actor* does not count as standing there, with the way; none: they do."""
        with self._database.read() as session:
            return presence_refusals(session, actor, machine_of(session, slug), now)

    def _by_window(
        self, session: Session, machine: Machine, actor: Actor, window: int, now: datetime
    ) -> datetime:
        used = session.scalar(
            select(Presence.id).where(
                Presence.machine_id == machine.id,
                Presence.person_id == actor.person_id,
                Presence.code_window == window,
            )
        )
        if used is not None:
            raise InvalidError("presence.code-used", field="code")
        row = self._row(session, machine, actor, How.CODE, now)
        row.code_window = window
        session.add(row)
        return row.expires_at

    def _row(
        self, session: Session, machine: Machine, actor: Actor, how: How, now: datetime
    ) -> Presence:
        """Return a new proof, not yet added; whoever stood there before does no more."""
        session.execute(
            update(Presence)
            .where(Presence.machine_id == machine.id, Presence.ended_at.is_(None))
            .values(ended_at=now)
        )
        session.execute(
            delete(Presence).where(
                Presence.machine_id == machine.id, Presence.ended_at < now - _KEPT
            )
        )
        minutes = values_of(session, machine).presence_min
        log.info("%s: %s is there, by %s", machine.slug, actor.person_id, how)
        return Presence(
            id=self._workshop.new_id(),
            machine_id=machine.id,
            person_id=actor.person_id,
            seat=actor.seat,
            how=how.value,
            at=now,
            expires_at=now + timedelta(minutes=minutes),
            simulated=actor.simulated,
        )

    def _refuse_guessing(
        self, session: Session, machine: Machine, actor: Actor, now: datetime
    ) -> None:
        wrong = session.execute(
            select(PresenceTry.person_id, PresenceTry.at).where(
                PresenceTry.machine_id == machine.id, PresenceTry.at > now - DAY
            )
        ).all()
        own = [at for person_id, at in wrong if person_id == actor.person_id]
        lately = [at for at in own if at > now - AT_ONCE]
        if len(wrong) >= MOST_WRONG_A_DAY or len(own) >= MOST_WRONG_OF_ONE:
            raise InvalidError("presence.too-many-day", field="code")
        if len(lately) >= MOST_WRONG_AT_ONCE:
            minutes = int(AT_ONCE.total_seconds() // 60)
            raise InvalidError("presence.too-many", field="code", minutes=minutes)

    def _note_wrong(self, session: Session, machine: Machine, actor: Actor, now: datetime) -> None:
        session.execute(delete(PresenceTry).where(PresenceTry.at <= now - DAY))
        session.add(
            PresenceTry(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                person_id=actor.person_id,
                at=now,
            )
        )
