"""What stands between a job and a machine besides the machine itself: spools, hours, other jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.burning import burn_fields, burn_problem
from jobs.domain.job import JobState
from jobs.domain.loading import Asks, Loads, Mismatch, has_room, mismatches
from jobs.domain.machine import Control, MachineLimits
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.slots import proposed
from jobs.domain.unattended import Terms, Unattended, must_end_before_closing
from jobs.kinds import KINDS, has_beam
from jobs.services.live import LiveState
from jobs.services.terms import Stretches
from jobs.store.tables import Job, Machine
from jobs.store.waiting import JobAfter


def loading_refusals(asks: Asks, loads: Loads, *, maps_slots: bool = False) -> Iterator[Refusal]:
    """Yield what a person has to change or confirm first: never a silent mismatch.

    :param maps_slots: tools can draw from other slots on that machine.
    """
    better = Way(WayKind.MAP_SLOTS) if maps_slots and proposed(asks, loads) is not None else None
    for one in mismatches(asks, loads):
        wants = str(one.fields.get("wants", "-"))
        is_spool = one.what in (Mismatch.MATERIAL, Mismatch.NOT_ENOUGH) and wants != "-"
        way = Way(WayKind.LOAD, name=wants) if is_spool else Way(WayKind.SAY_LOADED)
        is_drawn = one.what in (Mismatch.MATERIAL, Mismatch.COLOUR, Mismatch.NOT_ENOUGH)
        ways = (better, way) if better is not None and is_drawn else (way,)
        yield Refusal(Reason(one.what.value), one.fields, ways=ways)


def size_refusals(asks: Asks, limits: MachineLimits) -> Iterator[Refusal]:
    """Yield that a machine does not reach as far as the job's people asked for."""
    if not has_room(asks.size_mm, limits.envelope_mm) and asks.size_mm is not None:
        texts = [
            " × ".join(f"{one:g}" for one in each) for each in (limits.envelope_mm, asks.size_mm)
        ]
        yield Refusal(Reason.TOO_SMALL, {"has": texts[0], "wants": texts[1]})


def burning_refusals(kind: str, limits: MachineLimits, asks: Asks) -> Iterator[Refusal]:
    """Yield why a laser must not burn what the job is to be made of; nothing of other kinds."""
    known = KINDS.get(kind)
    if known is None or not known.has_beam:
        return
    for material in {one.material for one in asks.tools} or {""}:
        if (problem := burn_problem(material, limits.materials)) is not None:
            yield Refusal(Reason(problem.value), burn_fields(material, limits.materials))


def vigil_refusals(machine: Machine, live: LiveState) -> Iterator[Refusal]:
    """Yield why the host of a laser would not let it burn: nobody's word would reach it."""
    if not has_beam(machine.kind) or machine.control != Control.SERIAL:
        return
    if live.phase != "offline" and live.watch.every_s is None:
        yield Refusal(Reason.NO_VIGIL)
    bad = sorted(name for name, how in live.watch.interlocks.items() if how != "good")
    if bad:
        yield Refusal(Reason.INTERLOCK_OPEN, {"inputs": ", ".join(bad)})


def hours_refusals(
    terms: Terms,
    stretches: Stretches | None,
    asks: Asks,
    length: timedelta,
    now: datetime,
    *,
    started_by_person: bool,
) -> Iterator[Refusal]:
    """Yield what the machine's terms have against a start now.

    They say when a run may start; nothing here ever ends one.

    :param stretches: when somebody is there; None where nobody said.
    """
    if terms.unattended is Unattended.NEVER and not started_by_person:
        yield Refusal(Reason.UNATTENDED_NEVER)
    materials = [one.material for one in asks.tools if one.material]
    seconds = length.total_seconds()
    if stretches is None or not must_end_before_closing(terms, seconds, materials):
        return
    at = now.timestamp()
    closes = next((end for start, end in stretches if start <= at < end), at)
    if at + seconds > closes:
        closing = datetime.fromtimestamp(closes, UTC).isoformat()
        opens = next(
            (start for start, end in stretches if start > at and end - start >= seconds), 0
        )
        passes = datetime.fromtimestamp(opens, UTC) if opens else None
        yield Refusal(Reason.MUST_END_BEFORE_CLOSING, {"at": closing}, passes, overridable=True)


def open_before(session: Session, job_ids: Collection[str]) -> Mapping[str, Sequence[Job]]:
    """Return, by job, those that have to be done first and are not."""
    rows = session.execute(
        select(JobAfter.job_id, Job)
        .join(Job, Job.id == JobAfter.after_id)
        .where(JobAfter.job_id.in_(job_ids), Job.state != JobState.DONE.value)
        .order_by(Job.number)
    ).all()
    found: dict[str, list[Job]] = {}
    for job_id, before in rows:
        found.setdefault(job_id, []).append(before)
    return found


def order_refusals(before: Sequence[Job]) -> Iterator[Refusal]:
    """Yield the jobs that have to be done first."""
    for one in before:
        yield Refusal(Reason.AFTER_ANOTHER, {"number": one.number, "state": one.state})
