"""Cycle start of a mill or laser: a person at the machine, a checklist, and the offsets of now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import select

from jobs.domain.errors import NotFoundError, RefusedError, UnavailableError
from jobs.domain.machine import MachineLimits
from jobs.domain.people import Actor
from jobs.domain.placing import AXES, Box, Point, keep_outs, misplaced, shift_of
from jobs.domain.policy import Reason, Refusal
from jobs.kinds import KINDS, MILL, Item
from jobs.services.checking import before_use_refusals
from jobs.services.dispatch import Dispatch
from jobs.services.fire_watch import watch_refusals
from jobs.services.pathways import SYSTEMS, Pathways, clear
from jobs.services.presence import presence_refusals
from jobs.services.readiness import vigil_refusals
from jobs.services.starting import preflight_for
from jobs.services.workshop import LiveOffsets, Workshop
from jobs.store.tables import Job, Machine, Preflight

_MORE_SYSTEMS: Final = ("G59.1", "G59.2", "G59.3")  # whose zeros no controller here tells
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
    outline: Box | None  # of what counts from the first of the zeros


class CycleStart:
    """Use cases of the start checklist; nothing of a mill starts another way."""

    def __init__(self, workshop: Workshop, dispatch: Dispatch) -> None:
        self._workshop = workshop
        self._dispatch = dispatch
        self._pathways = Pathways(workshop)

    def check(self, actor: Actor, slug: str, job_id: str, now: datetime) -> StartCheck:
        """Read the controller's offsets now, and say how the start stands; nothing moves.

        Everybody may look; that *actor* is not at the machine is among the reasons.
        """
        told = self._workshop.gateway.offsets(slug)
        with self._workshop.database.read() as session:
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            job = session.get(Job, job_id)
            if machine is None or job is None:
                raise NotFoundError("machine.unknown" if machine is None else "job.unknown")
            preflight = preflight_for(session, job_id, machine.id)
            stands = self._stands(machine, job, preflight, told)
            first = [
                *presence_refusals(session, actor, machine, now),
                *before_use_refusals(session, machine, now),
                *watch_refusals(session, machine),
                *vigil_refusals(machine, self._workshop.live.get(slug)),
            ]
            return replace(stands, reasons=[*first, *stands.reasons])

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
        stands = self.check(actor, slug, job_id, now)
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
        stands = self.check(actor, slug, job_id, now)
        reasons = list(stands.reasons)
        if not confirmed:
            reasons.insert(0, Refusal(Reason.NOT_CONFIRMED, {"item": "trace"}))
        if reasons or not stands.can_trace:
            raise RefusedError(reasons or [Refusal(Reason.NOT_HOMED)])
        self._dispatch.may_move(actor, slug, now)
        code = self._workshop.gateway.trace(slug, self._trace(stands), actor.name)
        if code is not None:
            raise UnavailableError(code, machine=slug)

    @staticmethod
    def _trace(stands: StartCheck) -> list[str]:
        assert stands.outline is not None
        # A laser stays in its focus: nothing sticks out of it that could hit something.
        up = [] if stands.has_beam else [f"G53 G0 Z{stands.top_mm - _TRACE_MM:.3f}"]
        return [
            *("M5", f"G21 G90 {next(iter(stands.zero_mm))}"),
            *up,
            *(f"G0 X{x:.3f} Y{y:.3f}" for x, y, _ in _outline(stands.outline, 0.0)),
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
        outline = box
        if isinstance(told, str):
            reasons.append(Refusal(Reason.OFFSETS_UNKNOWN, {"code": told}))
        else:
            homed, can_home = told.homed, told.can_home
            # Without switches nobody knows where it is, and no place can be judged.
            if told.can_home and not homed:
                reasons.append(Refusal(Reason.NOT_HOMED))
            found = {one: shift_of(told.offsets, one) for one in _systems(preflight, told)}
            zeros = {one: zero for one, zero in found.items() if zero is not None}
            if unknown := [one for one in found if one not in zeros]:
                reasons.append(Refusal(Reason.OFFSETS_UNKNOWN, {"code": unknown[0]}))
                zeros = {}
            reach = _reach_of(told, limits)
            top = reach.high[2]
            boxes: dict[str, Box] = {}
            if box is not None and preflight is not None:
                boxes = {one: _box_from(preflight, one, told) or box for one in zeros}
                outline = next(iter(boxes.values()), None)
            if homed and preflight is not None and boxes:
                placed = [boxes[one].moved(zero) for one, zero in zeros.items()]
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
            can_trace=knows_way and outline is not None and is_free and not reasons,
            top_mm=top,
            outline=outline,
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
    """Return the bounds of all motion, as if every work offset had the same zero."""
    bounds = preflight.report.get("bounds_mm")
    return _box(bounds.get("all") if isinstance(bounds, Mapping) else None)


def _box_from(preflight: Preflight, system: str, told: LiveOffsets) -> Box | None:
    """Return the bounds of what counts from the zero of one work offset; None: not known apart.

    What a program says before it chooses an offset counts from the one that is in force then.
    """
    named = _named(preflight)
    own = _offset_bounds(preflight) if named else {}
    counted = [one for one in own if one == system and one in named]
    if system == _in_force(told):
        counted += [one for one in own if one not in named]
    boxes = [box for one in counted if (box := _box(own[one])) is not None]
    if not boxes:
        return None
    low = (*(min(box.low[axis] for box in boxes) for axis in range(3)),)
    high = (*(max(box.high[axis] for box in boxes) for axis in range(3)),)
    return Box(low, high)  # type: ignore[arg-type]


def _box(corners: object) -> Box | None:
    if not isinstance(corners, Mapping):
        return None
    low, high = corners.get("min"), corners.get("max")
    if not isinstance(low, list) or not isinstance(high, list):
        return None
    return Box((*map(float, low),), (*map(float, high),))  # type: ignore[arg-type]


def _named(preflight: Preflight | None) -> list[str]:
    """Return the work offsets that the program itself chooses."""
    commands = preflight.report.get("commands") if preflight is not None else None
    words = commands if isinstance(commands, Mapping) else {}
    return [one for one in (*SYSTEMS, *_MORE_SYSTEMS) if one in words]


def _offset_bounds(preflight: Preflight | None) -> Mapping[str, object]:
    bounds = preflight.report.get("offset_bounds_mm") if preflight is not None else None
    return bounds if isinstance(bounds, Mapping) else {}


def _systems(preflight: Preflight | None, told: LiveOffsets) -> list[str]:
    """Return the work offsets that the program uses, the one in force first if it is one."""
    named = _named(preflight)
    begins = not named or any(one not in named for one in _offset_bounds(preflight))
    return list(dict.fromkeys([_in_force(told), *named] if begins else named))


def _in_force(told: LiveOffsets) -> str:
    return next((one for one in SYSTEMS if one in told.modes), "G54")


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
