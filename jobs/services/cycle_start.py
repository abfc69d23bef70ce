"""Cycle start of a mill or laser: a person at the machine, a checklist, and the offsets of now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from jobs.domain.errors import NotFoundError, RefusedError, UnavailableError
from jobs.domain.machine import MachineLimits
from jobs.domain.people import Actor
from jobs.domain.placing import AXES, Box, Point, keep_outs, misplaced, shift_of
from jobs.domain.policy import Reason, Refusal
from jobs.kinds import KINDS, MILL, Item
from jobs.services.dispatch import Dispatch
from jobs.services.pathways import SYSTEMS, Pathways, clear
from jobs.services.starting import preflight_for
from jobs.services.workshop import LiveOffsets, Workshop
from jobs.store.tables import Job, Machine, Preflight

_TRACE_MM: Final = 1.0  # below the top, where the outline is shown

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartCheck:
    """How a start stands at this moment.

    :param items: what a person confirms by looking at this kind of machine.
    :param has_beam: it cuts with light.
    :param tools: number and name, as the program calls them.
    :param size_mm: of all its motion.
    :param zero_mm: work zero in machine coordinates, by the system that the program uses.
    :param reasons: all that speaks against it now; what is not confirmed comes on top.
    :param can_trace: the outline can be shown in the air.
    """

    job_id: str
    job_title: str
    machine_slug: str
    machine_name: str
    items: Sequence[Item]
    has_beam: bool
    tools: Sequence[tuple[int, str]]
    size_mm: Point
    zero_mm: Mapping[str, Point]
    homed: bool
    reasons: Sequence[Refusal]
    can_trace: bool
    top_mm: float  # of the machine's Z


class CycleStart:
    """Use cases of the start checklist; nothing of a mill starts another way."""

    def __init__(self, workshop: Workshop, dispatch: Dispatch) -> None:
        self._workshop = workshop
        self._dispatch = dispatch
        self._pathways = Pathways(workshop)

    def check(self, actor: Actor, slug: str, job_id: str) -> StartCheck:
        """Read the controller's offsets now, and say how the start stands; nothing moves."""
        del actor  # everybody may look
        told = self._workshop.gateway.offsets(slug)
        with self._workshop.database.read() as session:
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            job = session.get(Job, job_id)
            if machine is None or job is None:
                raise NotFoundError("machine.unknown" if machine is None else "job.unknown")
            preflight = preflight_for(session, job_id, machine.id)
            return self._stands(machine, job, preflight, told)

    def start(
        self,
        actor: Actor,
        slug: str,
        job_id: str,
        confirmed: Collection[str],
        now: datetime,
    ) -> str:
        """Start the job by a person's hand; every reason against it at once.

        :param confirmed: the items of the checklist that the person has looked at.
        :returns: the attempt.
        :raises RefusedError: with what is not confirmed and what does not fit, together.
        """
        stands = self.check(actor, slug, job_id)
        missing = [Refusal(Reason.NOT_CONFIRMED, {"item": one}) for one in stands.items]
        missing = [one for one in missing if one.fields["item"] not in confirmed]
        if found := [*missing, *stands.reasons]:
            raise RefusedError(found)
        attempt = self._dispatch.start(actor, job_id, slug, now, checked=True)
        log.info("%s: cycle start by %s", slug, actor.person_id)
        return attempt

    def trace(
        self, actor: Actor, slug: str, job_id: str, now: datetime, *, confirmed: bool
    ) -> None:
        """Drive around the program's outline high in the air, spindle off; or with a dark beam.

        :param confirmed: a person has said that the way is free: it moves only then.
        """
        stands = self.check(actor, slug, job_id)
        reasons = list(stands.reasons)
        if not confirmed:
            reasons.insert(0, Refusal(Reason.NOT_CONFIRMED, {"item": "trace"}))
        if reasons or not stands.can_trace:
            raise RefusedError(reasons or [Refusal(Reason.NOT_HOMED)])
        self._dispatch.may_move(actor, slug, now)
        code = self._workshop.gateway.trace(slug, self._outline(slug, job_id, stands), actor.name)
        if code is not None:
            raise UnavailableError(code, machine=slug)

    def _outline(self, slug: str, job_id: str, stands: StartCheck) -> list[str]:
        with self._workshop.database.read() as session:
            machine = session.scalars(select(Machine).where(Machine.slug == slug)).one()
            preflight = preflight_for(session, job_id, machine.id)
        assert preflight is not None
        box = _box_of(preflight)
        assert box is not None
        # A laser stays in its focus: nothing sticks out of it that could hit something.
        up = [] if stands.has_beam else [f"G53 G0 Z{stands.top_mm - _TRACE_MM:.3f}"]
        return [
            *("M5", f"G21 G90 {next(iter(stands.zero_mm))}"),
            *up,
            *(f"G0 X{x:.3f} Y{y:.3f}" for x, y, _ in _outline(box, 0.0)),
        ]

    def _stands(
        self,
        machine: Machine,
        job: Job,
        preflight: Preflight | None,
        told: LiveOffsets | str,
    ) -> StartCheck:
        limits = MachineLimits.from_json(machine.limits)
        box = _box_of(preflight) if preflight is not None else None
        kind = KINDS.get(machine.kind, MILL)
        reasons = list(self._wrong_mode(machine.slug, has_beam=kind.has_beam))
        zeros: dict[str, Point] = {}
        homed, can_home, top, is_free = False, True, 0.0, True
        if isinstance(told, str):
            reasons.append(Refusal(Reason.OFFSETS_UNKNOWN, {"code": told}))
        else:
            homed, can_home = told.homed, told.can_home
            # Without switches nobody knows where it is, and no place can be judged.
            if told.can_home and not homed:
                reasons.append(Refusal(Reason.NOT_HOMED))
            zeros = _zeros(preflight, told)
            if not zeros:
                reasons.append(Refusal(Reason.OFFSETS_UNKNOWN, {"code": "G54"}))
            reach = _reach_of(told, limits)
            top = reach.high[2]
            if homed and box is not None and preflight is not None:
                placed = [box.moved(zero) for zero in zeros.values()]
                for one in placed:
                    reasons += misplaced(one, reach)
                at = self._workshop.live.get(machine.slug).position_mm or ()
                reasons += self._pathways.refusals(preflight, limits, told, at, placed, reach)
                height = None if kind.has_beam else top - _TRACE_MM
                is_free = clear(_way_around(placed, at, height), keep_outs(limits.keep_out_mm))
        # A laser without switches goes only where its program would go at once after.
        knows_way = homed or (kind.has_beam and not can_home)
        size = (0.0, 0.0, 0.0)
        if box is not None:
            low, high = box.low, box.high
            size = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
        return StartCheck(
            job_id=job.id,
            job_title=job.title,
            machine_slug=machine.slug,
            machine_name=machine.name,
            items=kind.checklist,
            has_beam=kind.has_beam,
            tools=_tools(preflight),
            size_mm=size,
            zero_mm=zeros,
            homed=homed,
            reasons=reasons,
            can_trace=knows_way and box is not None and is_free and not reasons,
            top_mm=top,
        )

    def _wrong_mode(self, slug: str, *, has_beam: bool) -> Iterator[Refusal]:
        """Say when the controller takes a beam for a spindle, or a spindle for a beam.

        As a spindle a beam burns on where the machine stands; a spindle as a beam stops in the
        material. A firmware that tells nothing of it is a person's to know.
        """
        mode = self._workshop.live.get(slug).laser
        if mode is not None and mode is not has_beam:
            yield Refusal(Reason.LASER_MODE, {"wanted": "on" if has_beam else "off"})


def _outline(box: Box, height: float) -> list[Point]:
    (left, front, _), (right, rear, _) = box.low, box.high
    corners = ((left, front), (right, front), (right, rear), (left, rear), (left, front))
    return [(x, y, height) for x, y in corners]


def _way_around(placed: Sequence[Box], at: Sequence[float], height: float | None) -> list[Point]:
    """Return where a trace leads in the machine, from where it stands as far as that is known.

    :param height: None: as it stands, as far as the bounds' own where that is not known.
    """
    if not placed:
        return []
    if len(at) != len(AXES):
        return _outline(placed[0], placed[0].high[2] if height is None else height)
    height = at[2] if height is None else height
    return [(at[0], at[1], at[2]), (at[0], at[1], height), *_outline(placed[0], height)]


def _box_of(preflight: Preflight) -> Box | None:
    bounds = preflight.report.get("bounds_mm")
    whole = bounds.get("all") if isinstance(bounds, Mapping) else None
    if not isinstance(whole, Mapping):
        return None
    low, high = whole.get("min"), whole.get("max")
    if not isinstance(low, list) or not isinstance(high, list):
        return None
    return Box((*map(float, low),), (*map(float, high),))  # type: ignore[arg-type]


def _zeros(preflight: Preflight | None, told: LiveOffsets) -> dict[str, Point]:
    """Return the work zeros that the program uses; without any of its own, the one in force."""
    commands = preflight.report.get("commands") if preflight is not None else None
    named = [one for one in SYSTEMS if isinstance(commands, Mapping) and one in commands]
    used = named or [one for one in SYSTEMS if one in told.modes] or ["G54"]
    found = {one: shift_of(told.offsets, one) for one in used}
    if any(zero is None for zero in found.values()):
        return {}
    return {one: zero for one, zero in found.items() if zero is not None}


def _reach_of(told: LiveOffsets, limits: MachineLimits) -> Box:
    if {"X", "Y", "Z"} <= set(told.reach):
        low, high = (tuple(told.reach[axis][end] for axis in "XYZ") for end in (0, 1))
        return Box(low, high)  # type: ignore[arg-type]
    origin, size = limits.origin_mm, limits.envelope_mm
    return Box(origin, (origin[0] + size[0], origin[1] + size[1], origin[2] + size[2]))


def _tools(preflight: Preflight | None) -> list[tuple[int, str]]:
    tools = preflight.report.get("tools") if preflight is not None else None
    names = {
        int(one["number"]): str(one["name"])
        for one in (tools if isinstance(tools, list) else ())
        if isinstance(one, Mapping)
    }
    commands = preflight.report.get("commands") if preflight is not None else None
    used = [
        int(word[1:])
        for word in (commands if isinstance(commands, Mapping) else ())
        if word[:1] == "T" and word[1:].isdecimal()
    ]
    return [(number, names.get(number, "")) for number in sorted({*used, *names})]
