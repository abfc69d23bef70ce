"""The account of one attempt, in the terms of ValueFlows: cite, use, consume, produce, work."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from jobs.domain.job import AttemptState
from jobs.domain.loading import Asks
from jobs.domain.usage import Json, energy_fact
from jobs.services.asking import asks_of
from jobs.services.behalf import helpers
from jobs.services.loaded import loads_of
from jobs.services.people import alias_of
from jobs.services.planned import planned_share, program_path
from jobs.services.workshop import Workshop
from jobs.store.tables import Arming, Attempt, Design, Job, Machine, Preflight
from jobs.store.waiting import JobAsk


@dataclass(frozen=True, slots=True)
class Account:
    """The rows that one record is made of, and what they come to.

    :param mass_mg: consumed; the planned mass by the share of planned time that was reached.
    """

    attempt: Attempt
    machine: Machine
    job: Job
    preflight: Preflight | None
    design: Design | None
    arming: Arming | None
    mass_mg: int
    length_um: int
    asks: Asks
    lot: str  # of the one spool that it drew from, where somebody said it

    @classmethod
    def of(
        cls, session: Session, workshop: Workshop, attempt: Attempt, machine: Machine, job: Job
    ) -> Account:
        """Gather the rows of an attempt that has ended."""
        preflight = session.get(Preflight, attempt.preflight_id) if attempt.preflight_id else None
        share = _share(workshop, attempt, preflight)
        asks = asks_of(preflight, session.get(JobAsk, job.id))
        drawn_from = asks.slot_of(asks.tools[0].tool if asks.tools else 0)
        slot = loads_of(session, machine.id).slot(drawn_from)
        return cls(
            attempt,
            machine,
            job,
            preflight,
            session.get(Design, job.design_id) if job.design_id else None,
            session.get(Arming, attempt.arming_id) if attempt.arming_id else None,
            round(preflight.mass_mg * share) if preflight else 0,
            round(preflight.filament_um * share) if preflight else 0,
            asks,
            slot.lot if slot and len(asks.tools) <= 1 else "",
        )

    @property
    def is_simulated(self) -> bool:
        """A demo's run: it never teaches the promises."""
        armed = self.arming is not None and self.arming.simulated
        return self.job.simulated or self.machine.simulated or armed

    @property
    def material(self) -> str | None:
        """What its people, its recipe or its program said; None where several or nobody did."""
        said = {one.material for one in self.asks.tools}
        return said.pop() or None if len(said) == 1 else None

    def consumed(self) -> dict[str, Json]:
        """Return the material that went, with the unit in each key."""
        return {
            "material": self.material,
            "lot": self.lot or None,
            "mass_mg": self.mass_mg,
            "length_um": self.length_um,
        }


def _share(workshop: Workshop, attempt: Attempt, preflight: Preflight | None) -> float:
    if attempt.state == AttemptState.FINISHED:
        return 1.0
    if preflight is None:
        return 0.0
    path = program_path(workshop.work_dir, preflight.planned_sha256 or "none")
    return planned_share(path, attempt.acked, attempt.total)


def usage_facts(session: Session, workshop: Workshop, account: Account) -> dict[str, Json]:
    """Return the body of the record: integers only, no names, no file names."""
    attempt, machine, design = account.attempt, account.machine, account.design
    preflight = account.preflight
    assert attempt.ended_at is not None
    return {
        "type": "usage",
        "attempt": attempt.id,
        "machine": {"slug": machine.slug, "kind": machine.kind},
        "agent": alias_of(session, account.job.person_id, workshop),
        "from_us": round(attempt.started_at.timestamp() * 1e6),
        "to_us": round(attempt.ended_at.timestamp() * 1e6),
        "design": (
            {"sha256": design.release_sha256, "licence": design.licence} if design else None
        ),
        "program_sha256": preflight.program_sha256 if preflight else None,
        "stream_sha256": preflight.stream_sha256 if preflight else None,
        "events": _events(session, workshop, account),
        "result": attempt.state,
        "reason": attempt.reason,
        "lines": attempt.acked,
        "resends": attempt.resends,
        "link": _link(attempt),
        "simulated": account.is_simulated,
        "energy": energy_fact(attempt.detail.get("energy_mwh"), attempt.detail.get("energy_by")),
    }


def _link(attempt: Attempt) -> dict[str, Json] | None:
    """Return how good the link was, in whole numbers; None where no host has told."""
    detail = attempt.detail
    quality, starved = detail.get("quality"), detail.get("starvation_s")
    if not isinstance(quality, int):
        return None
    return {
        "quality": quality,
        "damaged": _count(detail.get("damaged")),
        "lost_answers": _count(detail.get("lost_answers")),
        "starved_ms": round(1000 * starved) if isinstance(starved, int | float) else 0,
    }


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _events(session: Session, workshop: Workshop, account: Account) -> list[Json]:
    attempt = account.attempt
    events: list[Json] = []
    if account.design is not None:
        events.append({"action": "cite", "design_sha256": account.design.release_sha256})
    events.append(
        {"action": "use", "machine": account.machine.slug, "effort_ms": attempt.machine_ms}
    )
    if account.mass_mg or account.length_um:
        events.append({"action": "consume", **account.consumed()})
    if attempt.state == AttemptState.FINISHED:
        events.append({"action": "produce", "what": "part", "count": 1})
    elif account.mass_mg:
        events.append({"action": "produce", "what": "waste", "mass_mg": account.mass_mg})
    if account.arming is not None:
        agent = alias_of(session, account.arming.person_id, workshop)
        events.append({"action": "work", "agent": agent, "what": "arming", "count": 1})
    for person_id, count in helpers(session, account.job.id):
        agent = alias_of(session, person_id, workshop)
        events.append({"action": "work", "agent": agent, "what": "on-behalf", "count": count})
    return events
