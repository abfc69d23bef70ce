"""The board: every machine as its card shows it, from the database and the hosts' newest word.

A board of any size is five queries; what changes every second comes from memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState, Interval
from jobs.domain.job import AttemptState
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.people import Actor
from jobs.domain.promise import Span
from jobs.domain.switching import Switching
from jobs.kinds import has_beam
from jobs.services.armings import is_valid
from jobs.services.fire_watch import open_watches
from jobs.services.live import LiveState
from jobs.services.planned import planned_share, program_path
from jobs.services.promising import Extent, stood_ms, time_left
from jobs.services.used import uses_of
from jobs.services.views import ArmingView, MachineView, RunView
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Arming, Attempt, Job, Machine, Person, Preflight, RunTime

FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)  # free without an end in sight
_OUT_OF_SERVICE: Final = frozenset({AllocationKind.OUTAGE, AllocationKind.CLOSURE})
_BROKEN: Final = frozenset({"stopped", "fault"})
_AT_REST: Final = frozenset({"", "Idle", "Alarm"})  # of a controller that has words for its state
_MOVES: Final = frozenset({"Jog", "Home", "Run"})


@dataclass(frozen=True, slots=True)
class Taken:
    """One active entry of a calendar, from now on."""

    kind: AllocationKind
    interval: Interval


def read_board(
    session: Session,
    workshop: Workshop,
    machines: Sequence[Machine],
    viewer: Actor | None,
    now: datetime,
) -> list[MachineView]:
    """Return the machines' cards, in the order given."""
    ids = [machine.id for machine in machines]
    taken = _taken(session, ids, now)
    runs = open_runs(session, workshop, ids, viewer, now)
    armings = _armings(session, ids, now)
    uses = uses_of(session, ids)
    beams = [machine.id for machine in machines if has_beam(machine.kind)]
    watches = open_watches(session, beams) if beams else {}
    return [
        _view(
            machine,
            workshop.live.get(machine.slug),
            taken.get(machine.id, []),
            runs.get(machine.id),
            armings.get(machine.id),
            now,
            is_used=machine.id in uses,
            watched_until=watches.get(machine.id),
        )
        for machine in machines
    ]


def state_of(
    machine: Machine,
    live: LiveState,
    taken: Sequence[Taken],
    attempt: AttemptState | None,
    now: datetime,
    *,
    is_used: bool = False,
    is_watched: bool = False,
) -> MachineState:
    """Return what a machine is doing, in one word; the gravest word wins."""
    is_serial = machine.control == Control.SERIAL
    current = {one.kind for one in taken if one.interval.start <= now}
    # A board that was stopped is often silent until its reset: halted says more than away.
    is_told = is_serial and live.phase != "offline"
    if is_told and live.phase in _BROKEN:
        return MachineState.ERROR
    if is_told and (live.stopped or live.in_use or live.differs):
        return MachineState.ATTENTION
    is_away = is_serial and (not live.connected or live.phase in ("offline", "connecting"))
    if attempt is not None and not is_away:
        return _busy(attempt, live if is_serial else None)
    if current & _OUT_OF_SERVICE:
        return MachineState.MAINTENANCE
    if is_away:
        return MachineState.OFFLINE
    if is_serial and live.phase != "idle":
        return _busy(AttemptState.RUNNING, live)
    if is_serial and (word := live.controller.partition(":")[0]) not in _AT_REST:
        # Moved by hand through us, or held at the machine: nothing may start into that.
        return MachineState.RUNNING if word in _MOVES else MachineState.ATTENTION
    if is_used and not is_serial:
        return MachineState.RUNNING
    if machine.to_check_since is not None or is_watched:
        return MachineState.TO_CHECK
    return MachineState.RESERVED if current & CLAIMS or is_used else MachineState.IDLE


def needs_look(live: LiveState) -> bool:
    """Tell whether a machine was stopped or failed, and nobody has looked since."""
    return live.stopped or live.phase in _BROKEN


def _busy(attempt: AttemptState, live: LiveState | None) -> MachineState:
    if attempt is AttemptState.PREPARING:
        return MachineState.PREPARING
    is_paused = attempt is AttemptState.PAUSED or (live is not None and live.phase == "paused")
    return MachineState.PAUSED if is_paused else MachineState.RUNNING


def open_runs(
    session: Session,
    workshop: Workshop,
    machine_ids: Sequence[str],
    viewer: Actor | None,
    now: datetime,
) -> Mapping[str, RunView]:
    """Return what each machine is making now, by machine id."""
    found = session.execute(
        select(Attempt, Job, Machine.slug, RunTime, Preflight.planned_sha256)
        .join(Job, Job.id == Attempt.job_id)
        .join(Machine, Machine.id == Attempt.machine_id)
        .outerjoin(Preflight, Preflight.id == Attempt.preflight_id)
        .outerjoin(RunTime, RunTime.attempt_id == Attempt.id)
        .where(Attempt.ended_at.is_(None), Attempt.machine_id.in_(machine_ids))
    )
    return {
        attempt.machine_id: _run(
            workshop, attempt, job, workshop.live.get(slug), promised, planned, viewer, now
        )
        for attempt, job, slug, promised, planned in found
    }


def _run(
    workshop: Workshop,
    attempt: Attempt,
    job: Job,
    live: LiveState,
    promised: RunTime | None,
    planned_sha256: str | None,
    viewer: Actor | None,
    now: datetime,
) -> RunView:
    # The host's word is newer than the row, unless it speaks of another run.
    newest = live if live.run == attempt.id else attempt
    share = 0.0
    if planned_sha256 is not None:
        path = program_path(workshop.work_dir, planned_sha256)
        share = planned_share(path, newest.acked, newest.total)
    rest: Span | None = None
    if promised is not None:
        extent = Extent(newest.acked, newest.total, stood_ms(attempt, now))
        rest = time_left(workshop, promised, planned_sha256, extent, now)
    is_moving = attempt.state == AttemptState.RUNNING and live.phase != "paused"
    return RunView(
        job_id=job.id,
        job_number=job.number,
        job_title=job.title if viewer is not None else "",
        attempt_id=attempt.id,
        state=AttemptState(attempt.state),
        progress=share,
        remaining_s=rest.p50 if rest else None,
        remaining_p90_s=rest.p90 if rest else None,
        rests_on_runs=promised.runs if promised else 0,
        ends_at=now + timedelta(seconds=rest.p50) if rest and rest.p50 and is_moving else None,
        line=newest.source_line,
        acked=newest.acked,
        total=newest.total,
        resends=newest.resends,
        mine=viewer is not None and viewer.person_id == job.person_id,
    )


def _taken(
    session: Session, machine_ids: Sequence[str], now: datetime
) -> Mapping[str, list[Taken]]:
    found = session.execute(
        select(Allocation.machine_id, Allocation.kind, Allocation.start_at, Allocation.end_at)
        .where(
            Allocation.machine_id.in_(machine_ids),
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
        )
        .order_by(Allocation.start_at)
    )
    taken: dict[str, list[Taken]] = {}
    for machine_id, kind, start, end in found:
        one = Taken(AllocationKind(kind), Interval(start, end))
        taken.setdefault(machine_id, []).append(one)
    return taken


def _armings(
    session: Session, machine_ids: Sequence[str], now: datetime
) -> Mapping[str, ArmingView]:
    found = session.execute(
        select(Arming, Person.name)
        .join(Person, Person.id == Arming.person_id)
        .join(Machine, Machine.id == Arming.machine_id)
        .where(Arming.machine_id.in_(machine_ids), is_valid(now))
        .order_by(Arming.at)
    )
    return {
        arming.machine_id: ArmingView(name, arming.at, arming.expires_at, arming.simulated)
        for arming, name in found
    }


def _view(
    machine: Machine,
    live: LiveState,
    taken: Sequence[Taken],
    run: RunView | None,
    armed: ArmingView | None,
    now: datetime,
    *,
    is_used: bool,
    watched_until: datetime | None,
) -> MachineView:
    next_taken = taken[0].interval if taken else None
    if run is not None or is_used or (next_taken is not None and next_taken.start <= now):
        free_until = None
    else:
        free_until = FOREVER if next_taken is None else next_taken.start
    return MachineView(
        id=machine.id,
        slug=machine.slug,
        name=machine.name,
        kind=machine.kind,
        control=Control(machine.control),
        profile=machine.profile,
        port=machine.port,
        baud=machine.baud,
        limits=MachineLimits.from_json(machine.limits),
        state=state_of(
            machine,
            live,
            taken,
            None if run is None else run.state,
            now,
            is_used=is_used,
            is_watched=watched_until is not None,
        ),
        phase=live.phase,
        firmware=live.firmware,
        message=live.message,
        prompt=live.prompt,
        notice=live.notice,
        step=live.step,
        tool=live.tool,
        back_mm=live.back_mm,
        temperatures=live.temperatures,
        position_mm=live.position_mm,
        spindle_on=live.spindle_on,
        run=run,
        armed=armed,
        to_check=machine.to_check_since is not None,
        stopped=live.stopped,
        heat_off_s=live.heat_off_s,
        heat_kept_by=live.heat_kept_by,
        power=live.power,
        plugs=live.plugs,
        in_use=live.in_use,
        differs=live.differs,
        identity=live.identity,
        next_taken=next_taken,
        free_now_until=free_until,
        stop_note=machine.stop_note,
        simulated=machine.simulated,
        retired=machine.retired_at is not None,
        controller=live.controller,
        overrides=live.overrides,
        acts=live.acts,
        homed=live.homed,
        laser=live.laser,
        told=live.told,
        switching=Switching.from_json(machine.switching),
        watch=live.watch,
        plugs_said=live.plugs_said,
        power_off_s=live.power_off_s,
        is_used=is_used,
        watched_until=watched_until,
    )
