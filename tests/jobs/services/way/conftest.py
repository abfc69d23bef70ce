"""Jobs on their way: a house with all services, and jobs that are ready to start."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from jobs.domain.did import did_key
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.services.live import LiveState
from jobs.services.targets import target_of
from jobs.store.tables import Attempt, Job, Machine, OutboxMessage, Preflight
from tests.there import stand_at

if TYPE_CHECKING:
    from jobs.services import Services
    from jobs.services.workshop import Workshop
    from jobs.store.database import Database


class KeyedSigner:
    """The test run's identity under its real name, so that a chain can be verified by it."""

    def __init__(self, signer: Any) -> None:
        self._signer = signer
        self.did = did_key(signer.public_key.public_bytes_raw())

    def sign(self, body: bytes) -> str:
        return self._signer.sign(body)


@dataclass
class House:
    """All services on one workshop, and short ways to look at what they wrote."""

    services: Services
    workshop: Workshop
    now: datetime

    def at(self, actor: Actor, slug: str) -> None:
        """Have *actor* prove that they are at a machine, by the code on its display."""
        stand_at(self.services, actor, slug, self.now)

    def later(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now

    def rows(self, table: type, **where: object) -> list[Any]:
        with self.workshop.database.read() as session:
            return list(session.scalars(select(table).filter_by(**where)))

    def row(self, table: type, **where: object) -> Any:
        (row,) = self.rows(table, **where)
        return row

    def job(self, job_id: str) -> Job:
        return self.row(Job, id=job_id)

    def attempt(self, job_id: str) -> Attempt:
        return self.rows(Attempt, job_id=job_id)[-1]

    def said(self) -> list[str]:
        """The events of the outbox, oldest first."""
        with self.workshop.database.read() as session:
            return list(session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.seq)))

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(row.body) for row in self.rows(OutboxMessage)]

    def event(self, run: str, seq: int, kind: str, **fields: object) -> dict[str, object]:
        at_us = round(self.now.timestamp() * 1e6)
        return {"run": run, "seq": seq, "at_us": at_us, "kind": kind, **fields}


@pytest.fixture
def house(workshop: Workshop, now: datetime) -> House:
    return open_house(workshop, now)


def open_house(workshop: Workshop, now: datetime) -> House:
    from jobs.services import build_services

    workshop = replace(workshop, signer=KeyedSigner(workshop.signer))
    return House(build_services(workshop), workshop, now)


@pytest.fixture
def add_waiting(house: House) -> Callable[..., str]:
    """Write a job that passed preflight on a machine: `add_waiting(member, machine_id)`."""
    return waiting_adder(house)


@pytest.fixture
def ready_house(
    make_workshop: Callable[[Database], Workshop],
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
    now: datetime,
) -> Callable[[Database], tuple[House, Actor, list[str]]]:
    """Build a house on any database: (house, member, two waiting jobs for its one machine)."""

    def build(database: Database) -> tuple[House, Actor, list[str]]:
        house = open_house(make_workshop(database), now)
        member = add_person(house.workshop, "mia", Role.OPERATOR)
        machine_id = add_machine(house.workshop, "ender")
        house.workshop.live.put("ender", LiveState(phase="idle", connected=True))
        add = waiting_adder(house)
        return house, member, [add(member, machine_id), add(member, machine_id)]

    return build


def waiting_adder(house: House) -> Callable[..., str]:
    def add(
        owner: Actor,
        *machine_ids: str,
        planned_s: float = 600.0,
        lines: int = 100,
        verdict: str = "pass",
        simulated: bool = False,
        mass_mg: int = 12_000,
        state: JobState = JobState.WAITING,
    ) -> str:
        workshop = house.workshop
        job_id = workshop.new_id()
        plan = array("f", [planned_s * (line + 1) / lines for line in range(lines)])
        (workshop.work_dir / "programs").mkdir(exist_ok=True)
        (workshop.work_dir / "programs" / ("f" * 64)).write_bytes(plan.tobytes())
        with workshop.database.write() as session:
            machines = [session.get_one(Machine, one) for one in machine_ids]
            numbers = [job.number for job in session.scalars(select(Job))]
            session.add(
                Job(
                    id=job_id,
                    number=max(numbers, default=0) + 1,
                    title="Part of Mia Secret",
                    person_id=owner.person_id,
                    kind=machines[0].kind,
                    state=state.value,
                    input_kind="program",
                    input_name="mia-secret.gcode",
                    input_sha256="0" * 64,
                    input_bytes=10,
                    simulated=simulated,
                    findings=[],
                    created_at=house.now,
                    queued_at=house.later(seconds=1),
                )
            )
            session.flush()
            for machine in machines:
                target = target_of(machine, workshop.profiles_dir)
                assert target is not None
                session.add(
                    Preflight(
                        id=workshop.new_id(),
                        job_id=job_id,
                        machine_id=machine.id,
                        verdict=verdict,
                        findings=[],
                        report={},
                        limits_sha256=target.limits.sha256(),
                        target_sha256=target.sha256(),
                        program_sha256="a" * 64,
                        stream_sha256="b" * 64,
                        index_sha256="c" * 64,
                        planned_sha256="f" * 64,
                        stream_lines=lines,
                        planned_ms=round(planned_s * 1000),
                        filament_um=4_000_000,
                        mass_mg=mass_mg,
                        made_at=house.now,
                    )
                )
        return job_id

    return add


@pytest.fixture
def running(
    house: House, add_waiting: Callable[..., str], printer: str, member: Actor
) -> tuple[str, str]:
    """(job, run) of a job that streams on `ender`."""
    job_id = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    return job_id, run
