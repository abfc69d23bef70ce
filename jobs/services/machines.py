"""Machines of the lab: add, change, retire, and see them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.promise import Promise
from jobs.domain.switching import Switching
from jobs.kinds import has_beam
from jobs.services.armings import withdraw_armings
from jobs.services.asked import machine_of
from jobs.services.board import read_board
from jobs.services.claims import give_back
from jobs.services.machine_specs import MachineSpec as MachineSpec
from jobs.services.machine_specs import parse_machine as parse_machine
from jobs.services.meshes import mesh_machines
from jobs.services.promising import Calibration, calibration_of, history_of, promised_of
from jobs.services.renewing import renew
from jobs.services.turns import take_turn
from jobs.services.views import MachineView
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Attempt, Machine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostNeed:
    """What the supervisor must know to keep one machine host running."""

    slug: str
    kind: str
    port: str
    baud: int | None  # None: as the firmware profile says
    profile: str
    limits: MachineLimits
    limits_sha256: str
    simulated: bool
    heartbeat: str = ""
    plugs: Mapping[str, str] = field(default_factory=dict)
    idle_heat_off_s: float = 0.0  # 0: as the firmware profile says
    presence_s: int = 0  # 0: nobody has to be there while it runs
    interlocks: tuple[str, ...] = ()


class Machines:
    """Use cases about machines."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def board(self, now: datetime, viewer: Actor | None) -> list[MachineView]:
        """Return every machine that is in use, by name."""
        with self._database.read() as session:
            query = select(Machine).where(Machine.retired_at.is_(None))
            machines = session.scalars(query.order_by(Machine.name, Machine.slug)).all()
            return read_board(session, self._workshop, machines, viewer, now)

    def get(self, slug: str, now: datetime, viewer: Actor | None) -> MachineView:
        """Return one machine, retired ones too."""
        with self._database.read() as session:
            machine = machine_of(session, slug)
            return read_board(session, self._workshop, [machine], viewer, now)[0]

    def promised(self, slug: str, report: Mapping[str, object]) -> Promise:
        """Return how long a program takes on a machine, by that machine's past.

        :param report: what inspection says of it, planned with the machine's limits.
        """
        with self._database.read() as session:
            return promised_of(report, history_of(session, machine_of(session, slug).id))

    def calibrations(self, slugs: Collection[str]) -> dict[str, Calibration]:
        """Return how the promises of some machines have turned out."""
        with self._database.read() as session:
            query = select(Machine.slug, Machine.id).where(Machine.slug.in_(slugs))
            return {slug: calibration_of(session, one) for slug, one in session.execute(query)}

    def for_meshes(self) -> list[dict[str, object]]:
        """Return the machines that make things from meshes, as a worker is asked about them."""
        with self._database.read() as session:
            return mesh_machines(session, frozenset())

    def stoppable(self) -> dict[str, str]:
        """Return the names of the machines that a stop from here can reach, by slug."""
        with self._database.read() as session:
            return stoppable(session)

    def add(self, actor: Actor, spec: MachineSpec, now: datetime) -> MachineView:
        """Add a machine; one that was retired under that slug comes back with its records.

        Jobs that wait for a machine of its kind are prepared for it too.
        """
        _must_be_operator(actor)
        try:
            with self._database.write() as session:
                query = select(Machine).where(Machine.slug == spec.slug)
                machine = session.scalar(query)
                if machine is None:
                    machine = Machine(id=self._workshop.new_id(), created_at=now)
                elif machine.retired_at is None:
                    raise InvalidError("machine.slug-taken", field="slug", name=spec.slug)
                machine.retired_at = None
                _write(session, machine, spec)
                renew(session, self._workshop, now)
        except IntegrityError as error:
            raise InvalidError("machine.slug-taken", field="slug", name=spec.slug) from error
        return self._changed(spec.slug, actor, now)

    def change(self, actor: Actor, slug: str, now: datetime, **values: object) -> MachineView:
        """Change some keys of a machine, between runs.

        New limits need a new preflight: waiting jobs go through preparation again.
        """
        _must_be_operator(actor)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            _refuse_in_use(session, machine)
            known = _spec(machine).to_values()
            _write(session, machine, parse_machine({**known, **values, "slug": slug}))
            renew(session, self._workshop, now)
        return self._changed(slug, actor, now)

    def retire(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a machine out of the house: claims are given back, records stay."""
        _must_be_operator(actor)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            _refuse_in_use(session, machine)
            machine.retired_at = machine.retired_at or now
            give_back(session, self._workshop, Allocation.machine_id == machine.id, now)
            withdraw_armings(session, slug, now)
            renew(session, self._workshop, now)
        self._workshop.live.forget(slug)
        self._workshop.gateway.machines_changed()

    def set_to_check(self, actor: Actor, slug: str, now: datetime) -> None:
        """Say that somebody should look at a machine before it is used again."""
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            machine.to_check_since = machine.to_check_since or now
        self._workshop.live.touch()

    def checked(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a person's word that they looked at a machine nobody arms, and found it ready."""
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            _refuse_in_use(session, machine)
            if machine.control == Control.SERIAL:
                # Its arming says the same, and more.
                fields = {"control": machine.control}
                raise RefusedError([Refusal(Reason.NO_SUCH_CONTROL, fields)])
            machine.to_check_since = None
        log.info("%s: looked at by %s at %s", slug, actor.person_id, now.isoformat())
        self._workshop.live.touch()

    def host_needs(self) -> list[HostNeed]:
        """Return what each machine host needs: one for every serial machine in use."""
        with self._database.read() as session:
            query = select(Machine).where(
                Machine.retired_at.is_(None), Machine.control == Control.SERIAL.value
            )
            return [_need(machine) for machine in session.scalars(query.order_by(Machine.slug))]

    def _changed(self, slug: str, actor: Actor, now: datetime) -> MachineView:
        self._workshop.live.touch()
        self._workshop.gateway.machines_changed()
        return self.get(slug, now, actor)


def stoppable(session: Session) -> dict[str, str]:
    """Return the names of the machines that a stop reaches, by slug: by a host, or by a plug."""
    query = select(Machine.slug, Machine.name, Machine.control, Machine.switching).where(
        Machine.retired_at.is_(None)
    )
    return {
        slug: name
        for slug, name, control, switching in session.execute(query.order_by(Machine.name))
        if control == Control.SERIAL or switching.get("mains_plug")
    }


def _need(machine: Machine) -> HostNeed:
    limits = MachineLimits.from_json(machine.limits)
    switching = Switching.from_json(machine.switching)
    return HostNeed(
        slug=machine.slug,
        kind=machine.kind,
        port=machine.port or "",
        baud=machine.baud,
        profile=machine.profile or "",
        limits=limits,
        limits_sha256=limits.sha256(),
        simulated=machine.simulated,
        heartbeat=switching.heartbeat,
        plugs=switching.plugs,
        idle_heat_off_s=60.0 * switching.idle_heat_off_min,
        presence_s=round(switching.presence_s) if has_beam(machine.kind) else 0,
        interlocks=switching.interlocks,
    )


def _spec(machine: Machine) -> MachineSpec:
    return MachineSpec(
        slug=machine.slug,
        name=machine.name,
        kind=machine.kind,
        control=Control(machine.control),
        profile=machine.profile,
        port=machine.port,
        baud=machine.baud,
        limits=MachineLimits.from_json(machine.limits),
        stop_note=machine.stop_note,
        simulated=machine.simulated,
        switching=Switching.from_json(machine.switching),
    )


def _write(session: Session, machine: Machine, spec: MachineSpec) -> None:
    take_turn(session, "machine-port")
    if spec.port is not None:
        holder = session.scalar(
            select(Machine.slug).where(
                Machine.port == spec.port,
                Machine.slug != spec.slug,
                Machine.retired_at.is_(None),
            )
        )
        if holder is not None:
            raise InvalidError("machine.port-taken", field="port", port=spec.port, machine=holder)
    machine.slug, machine.name, machine.kind = spec.slug, spec.name, spec.kind
    machine.control, machine.profile = spec.control.value, spec.profile
    machine.port, machine.baud = spec.port, spec.baud
    machine.limits = spec.limits.to_json()
    machine.stop_note, machine.simulated = spec.stop_note, spec.simulated
    machine.switching = dict(spec.switching.to_json())
    session.add(machine)
    session.flush()


def _refuse_in_use(session: Session, machine: Machine) -> None:
    query = select(Attempt.id).where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
    if session.scalar(query) is not None:
        state = MachineState.RUNNING.value
        raise RefusedError([Refusal(Reason.MACHINE_BUSY, {"state": state})])


def _must_be_operator(actor: Actor) -> None:
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
