"""A beam's person: they say again and again that they are there, and at the end that no fire is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import RefusedError, UnavailableError
from jobs.domain.machine import Control
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.switching import Switching
from jobs.kinds import has_beam
from jobs.services.asked import machine_of
from jobs.services.clearing import staff_of
from jobs.services.clock import is_trusted
from jobs.services.fire_watch import open_watch
from jobs.services.footing import must_use
from jobs.services.logbook import Happening, write
from jobs.services.notices import tell
from jobs.services.presence import presence_refusals, steering_refusals
from jobs.services.workshop import Workshop
from jobs.store.power import FireWatch
from jobs.store.tables import Machine, Person

TELL_AFTER: Final = timedelta(minutes=2)  # of a watch that is over, to whoever was asked to stay

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BeamView:
    """What a laser's page asks of a person.

    :param left_s: time until the run is held; None: nothing burns that waits for a word.
    :param remind_s: from this much left on the page reminds loudly.
    :param withheld: why the run was held: `presence`, `interlock` or "".
    :param bad: names of the inputs that are not good.
    :param watch_until: when the fire watch may end; None: there is none.
    """

    every_s: float
    left_s: float | None
    remind_s: float
    withheld: str
    bad: tuple[str, ...]
    watch_until: datetime | None
    watch_by: str


class Lasers:
    """Use cases of whoever stands at a laser."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def view(self, slug: str) -> BeamView | None:
        """Return what a laser asks now; None for a machine without a beam."""
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            if not has_beam(machine.kind):
                return None
            watch = open_watch(session, machine.id)
            by = session.get_one(Person, watch.person_id).name if watch else ""
            switching = Switching.from_json(machine.switching)
        live = self._workshop.live.get(slug).watch
        return BeamView(
            live.every_s or switching.presence_s,
            live.left_s,
            switching.remind_before_s,
            live.withheld,
            tuple(name for name, how in live.interlocks.items() if how != "good"),
            watch.until_at if watch else None,
            by,
        )

    def present(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a person's word that they are at the machine while its beam burns.

        It only ever prolongs: what was held already is gone on with by *resume*.

        :raises RefusedError: if it is not theirs to watch.
        :raises UnavailableError: with the host's code, if nothing waits for it or it is too late.
        """
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            if not has_beam(machine.kind) or machine.control != Control.SERIAL:
                raise RefusedError([Refusal(Reason.NO_BEAM)])
            refusals = [
                *steering_refusals(session, actor, machine),
                *presence_refusals(session, actor, machine, now),
            ]
            if refusals:
                raise RefusedError(refusals)
        code = self._workshop.gateway.present(slug, actor.name)
        if code is not None:
            raise UnavailableError(code, machine=slug)
        log.info("%s: %s is there", slug, actor.person_id)

    def nothing_smoulders(self, actor: Actor, slug: str, now: datetime) -> None:
        """End the fire watch: the person has stayed, and looked. Twice changes nothing.

        :raises RefusedError: before its time is over.
        """
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            watch = open_watch(session, machine.id)
            if watch is None:
                return
            if now < watch.until_at:
                fields = {"at": watch.until_at.isoformat()}
                raise RefusedError([Refusal(Reason.FIRE_WATCH, fields, passes_at=watch.until_at)])
            if there := presence_refusals(session, actor, machine, now):
                raise RefusedError(there)
            for one in _open(session, machine):
                one.confirmed_at, one.confirmed_by = now, actor.person_id
            by = actor.person_id
            write(session, self._workshop, machine, Happening.NOTHING_SMOULDERS, now, by)
        self._workshop.live.touch()

    def tick(self, now: datetime) -> int:
        """Tell operators of watches that are over and that nobody has ended; each once."""
        late = select(FireWatch).where(
            FireWatch.confirmed_at.is_(None),
            FireWatch.told_at.is_(None),
            FireWatch.until_at <= now - TELL_AFTER,
        )
        with self._workshop.database.read() as session:
            if not is_trusted(session, now) or session.scalars(late.limit(1)).first() is None:
                return 0
        count = 0
        with self._workshop.database.write() as session:
            for watch in session.scalars(late).all():
                watch.told_at = now
                count += 1
                machine = session.get_one(Machine, watch.machine_id)
                owner = session.get_one(Person, watch.person_id)
                fields = {"machine": machine.name, "person": owner.name}
                about, key = f"machine:{machine.slug}", f"fire-watch:{watch.id}"
                for person_id in {*staff_of(session), owner.id}:
                    one = f"{key}:{person_id}"
                    tell(
                        session, self._workshop, person_id, "fire-watch-unconfirmed", fields, now,
                        about, one,
                    )  # fmt: skip
        self._workshop.live.touch()
        return count


def _open(session: Session, machine: Machine) -> list[FireWatch]:
    query = select(FireWatch).where(
        FireWatch.machine_id == machine.id, FireWatch.confirmed_at.is_(None)
    )
    return list(session.scalars(query))
