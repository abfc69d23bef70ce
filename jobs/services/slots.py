"""Which slots a job's tools draw from on each machine: chosen by its people, or matched for them.

What was chosen is kept with the job; what its stream was written with is kept with the preflight,
and only that counts for checks, rules and what is taken from the spools.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.slots import Slots, checked, proposed, slots_from, slots_to_json
from jobs.services.asking import MATCH, SLOTS, ask_row, asks_of
from jobs.services.loaded import loads_of
from jobs.services.renewing import prepare_again
from jobs.services.resumed import is_resume
from jobs.services.starting import preflight_for
from jobs.services.targets import Target, target_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Machine
from jobs.store.waiting import JobAsk

_CHANGEABLE: Final = (JobState.PREPARING, JobState.WAITING, JobState.HELD)


def chosen(ask: JobAsk | None, machine_id: str) -> Slots:
    """Return what was chosen for one machine; nothing where every tool draws from its own."""
    return slots_from(_kept(ask).get(machine_id))


def match(session: Session, job: Job, targets: Sequence[Target]) -> bool:
    """Choose what fits to what is loaded, where a job asked for that; once for each machine.

    :returns: whether any program has to be examined again, with other numbers.
    """
    ask = session.get(JobAsk, job.id)
    if ask is None or not ask.detail.get(MATCH):
        return False
    kept = dict(_kept(ask))
    is_new = False
    for target in targets:
        if target.machine_id in kept or not target.maps_slots:
            continue
        asks = asks_of(preflight_for(session, job.id, target.machine_id), ask)
        found = proposed(asks, loads_of(session, target.machine_id)) or {}
        kept[target.machine_id] = slots_to_json(found)
        is_new = is_new or bool(found)
    ask.detail = {**ask.detail, SLOTS: kept}
    return is_new


class SlotChoice:
    """Use cases of whoever says where a job's tools draw from."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def choose(
        self,
        actor: Actor,
        job_id: str,
        slug: str,
        pairs: Collection[tuple[int, int]],
        now: datetime,
    ) -> None:
        """Take the owner's or an operator's word for one machine; the program is checked again.

        :param pairs: tool and slot, from 0; a tool that is left out draws from its own.
        :raises InvalidError: `slots.number`, `slots.twice`, `slots.firmware`.
        """
        slots = checked(pairs)
        with self._workshop.database.write() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise NotFoundError("job.unknown")
            if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
                raise NotAllowedError("job.not-yours")
            if job.state not in _CHANGEABLE:
                fields = {"state": job.state, "wanted": JobState.WAITING.value}
                raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            if machine is None:
                raise NotFoundError("machine.unknown", machine=slug)
            preflight = preflight_for(session, job.id, machine.id)
            if is_resume(preflight):
                raise InvalidError("job.cannot-move", field="slots")
            target = target_of(machine, self._workshop.profiles_dir)
            if slots and (target is None or not target.maps_slots):
                raise InvalidError("slots.firmware", field="slots", machine=machine.name)
            row = ask_row(session, job_id)
            before = chosen(row, machine.id)
            row.detail = {
                **row.detail,
                SLOTS: {**_kept(row), machine.id: slots_to_json(slots)},
            }
            if slots != before and job.state != JobState.PREPARING:
                prepare_again(session, job, now)
        self._workshop.live.touch()

    def on_machine(self, slug: str, job_ids: Collection[str]) -> Mapping[str, Slots]:
        """Return, for jobs on one machine, where tools draw from other slots than their own."""
        query = (
            select(JobAsk, Machine.id)
            .join(Machine, Machine.slug == slug)
            .where(JobAsk.job_id.in_(job_ids))
        )
        with self._workshop.database.read() as session:
            found = {row.job_id: chosen(row, of) for row, of in session.execute(query)}
        return {job_id: slots for job_id, slots in found.items() if slots}


def _kept(ask: JobAsk | None) -> Mapping[str, object]:
    kept = ask.detail.get(SLOTS) if ask else None
    return kept if isinstance(kept, Mapping) else {}
