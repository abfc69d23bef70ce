"""What jobs ask of machines: said by their program, and changed by their people.

A program's own word (material, nozzle, mass of each tool, as its slicer wrote them) stands until
a person says otherwise; what neither says is not asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.events import rfc3339
from jobs.domain.loading import (
    MOST_SLOTS,
    Asks,
    LoadingFact,
    Loads,
    Mapped,
    Size,
    ToolAsk,
    mapping,
    mismatches,
)
from jobs.domain.people import Actor, Role
from jobs.domain.preflight import Verdict
from jobs.domain.slots import Slots, proposed, slots_from
from jobs.services.loaded import loads_of_all
from jobs.services.targets import Target, target_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Machine, Person, Preflight
from jobs.store.waiting import JobAsk

_LONGEST: Final = 40
_NOZZLES: Final = (0.05, 3.0)
_LARGEST: Final = 10_000.0  # [mm]
_RETRIES: Final = "retries"
_MOST_RETRIES: Final = 20
# Keys of `JobAsk.detail`: a size, slots by machine, and that these are to be matched once.
SIZE: Final = "size_mm"
SLOTS: Final = "slots"
MATCH: Final = "match_slots"


def asks_of(preflight: Preflight | None, ask: JobAsk | None) -> Asks:
    """Return what a job asks of a machine's loading.

    :param ask: what a person changed, if anybody did.
    """
    said = said_by_program(preflight)
    if ask is None:
        return said
    own = {int(row["tool"]): row for row in ask.tools if isinstance(row.get("tool"), int)}
    masses = {one.tool: one.mass_g for one in said.tools}
    tools = [
        ToolAsk(
            tool,
            _text(own[tool].get("material")),
            _text(own[tool].get("colour")),
            masses.get(tool),
        )
        for tool in sorted(own)
    ]
    tools += [one for one in said.tools if one.tool not in own]
    nozzle_mm = ask.nozzle_um / 1000 if ask.nozzle_um else said.nozzle_mm
    return Asks(tools, nozzle_mm, ask.plate, _size(ask), said.slots)


def said_by_program(preflight: Preflight | None) -> Asks:
    """Return what the program itself says that it needs, and where its stream has it drawn from."""
    if preflight is None:
        return Asks()
    report = preflight.report
    slicer, sliced = _table(report.get("slicer")), _table(report.get("sliced"))
    mass_g = preflight.mass_mg / 1000 or None
    rows = slicer.get("tools")
    tools = [
        one
        for row in (rows if isinstance(rows, list) else [])[:MOST_SLOTS]
        if isinstance(row, Mapping) and (one := _tool(row)) is not None
    ]
    if len(tools) == 1 or not tools:
        material = _text(sliced.get("material")) or _text(slicer.get("material"))
        first = tools[0] if tools else ToolAsk(0, material)
        # What was measured of the program is surer than what its maker wrote.
        one = ToolAsk(first.tool, first.material or material, "", mass_g or first.mass_g)
        tools = [one] if one.material or one.mass_g else []
    nozzle = slicer.get("nozzle_mm")
    nozzle_mm = float(nozzle) if isinstance(nozzle, int | float) and nozzle > 0 else None
    return Asks(tools, nozzle_mm, slots=slots_from(report.get("slots")))


def _tool(row: Mapping[str, object]) -> ToolAsk | None:
    """Return what a tool needs; None for one that draws nothing."""
    number, mass, length = row.get("tool"), row.get("filament_g"), row.get("filament_mm")
    if not isinstance(number, int) or not 0 <= number < MOST_SLOTS:
        return None
    if mass == 0 or (mass is None and length == 0):
        return None
    grams = float(mass) if isinstance(mass, int | float) and math.isfinite(mass) else None
    return ToolAsk(number, _text(row.get("material")), "", grams)


def setup_of_asks(asks: Asks) -> dict[str, str]:
    """Return what has to be where, in the words that the order of the queue compares."""
    setup: dict[str, str] = {}
    for one in asks.tools:
        number = asks.slot_of(one.tool)
        if one.material:
            setup[f"slot {number}"] = _key(one.material)
        if one.colour:
            setup[f"colour {number}"] = _key(one.colour)
    if asks.nozzle_mm is not None:
        setup |= {
            f"nozzle {asks.slot_of(tool)}": f"{asks.nozzle_mm:.2f}"
            for tool in {one.tool for one in asks.tools} or {0}
        }
    if asks.plate:
        setup["plate"] = _key(asks.plate)
    return setup


def setup_of_loads(loads: Loads) -> dict[str, str]:
    """Return what is where, in the same words."""
    setup = {f"slot {one.number}": _key(one.material) for one in loads.slots}
    setup |= {f"colour {one.number}": _key(one.colour) for one in loads.slots if one.colour}
    for tool in range(MOST_SLOTS):
        nozzle = loads.nozzle(tool)
        if nozzle is not None:
            setup[f"nozzle {tool}"] = f"{nozzle.nozzle_mm:.2f}"
    if loads.plate:
        setup["plate"] = _key(loads.plate)
    return setup


def job_asks(session: Session, job_ids: Collection[str]) -> Mapping[str, JobAsk]:
    """Return what people said of jobs, by job."""
    rows = session.scalars(select(JobAsk).where(JobAsk.job_id.in_(job_ids)))
    return {row.job_id: row for row in rows}


def ask_row(session: Session, job_id: str) -> JobAsk:
    """Return the row of what people said of one job, made if there is none."""
    row = session.get(JobAsk, job_id, with_for_update=True)
    if row is None:
        row = JobAsk(job_id=job_id, plate="", tools=[], detail={})
        session.add(row)
        session.flush()
    return row


def note_retry(session: Session, actor: Actor, job_id: str, cause: str, now: datetime) -> None:
    """Keep that a job is tried again, by whom and why: the newest of it."""
    row = ask_row(session, job_id)
    said = {"at": rfc3339(now), "person": actor.person_id, "cause": cause}
    older = row.detail.get(_RETRIES)
    kept = [*(older if isinstance(older, list) else []), said][-_MOST_RETRIES:]
    row.detail = {**row.detail, _RETRIES: kept}


@dataclass(frozen=True, slots=True)
class Retry:
    """That a job was tried again; `cause` is a word of the lab's list, or a person's own."""

    at: datetime
    by: str
    cause: str


@dataclass(frozen=True, slots=True)
class AskWish:
    """What a person says that a job needs; what they leave out is left to the program.

    :param tools: (tool, material, colour), tools from 0.
    :param match_slots: before it is queued, each tool is to draw from a slot that has what it
        asks for, where there is one.
    """

    tools: Sequence[tuple[int, str, str]] = ()
    nozzle_mm: float | None = None
    plate: str = ""
    size_mm: Size | None = None
    deadline: datetime | None = None
    match_slots: bool = False

    def check(self, now: datetime) -> None:
        """Raise what is wrong with it.

        :raises InvalidError: naming the field and what is wrong.
        """
        numbers = [tool for tool, _, _ in self.tools]
        if len(set(numbers)) != len(numbers) or not all(0 <= one < MOST_SLOTS for one in numbers):
            raise InvalidError("loaded.slot", field="tools", most=MOST_SLOTS)
        for _, material, colour in self.tools:
            _bounded("material", material)
            _bounded("colour", colour)
        _bounded("plate", self.plate)
        low, high = _NOZZLES
        if self.nozzle_mm is not None and not low <= self.nozzle_mm <= high:
            raise InvalidError("loaded.nozzle", field="nozzle_mm", low_mm=low, high_mm=high)
        if self.size_mm is not None and not all(0.0 <= one <= _LARGEST for one in self.size_mm):
            raise InvalidError("job.size", field="size_mm", most_mm=_LARGEST)
        if self.deadline is not None and self.deadline <= now:
            raise InvalidError("job.deadline-past", field="deadline")

    def beyond(self, said: Asks) -> AskWish:
        """Return it without what the program says itself."""
        own = {one.tool: one.material for one in said.tools}
        tools = [one for one in self.tools if one[2] or one[1] != own.get(one[0])]
        return replace(
            self,
            tools=tools,
            nozzle_mm=None if self.nozzle_mm == said.nozzle_mm else self.nozzle_mm,
        )

    def keep(self, session: Session, job_id: str) -> None:
        """Write it to the job's row."""
        row = ask_row(session, job_id)
        row.tools = [
            {"tool": tool, "material": material, "colour": colour}
            for tool, material, colour in self.tools
            if material or colour
        ]
        row.plate, row.deadline_at = self.plate, self.deadline
        row.nozzle_um = None if self.nozzle_mm is None else round(1000 * self.nozzle_mm)
        rest = {key: value for key, value in row.detail.items() if key != SIZE}
        rest |= {MATCH: True} if self.match_slots else {}
        row.detail = rest | ({SIZE: list(self.size_mm)} if self.size_mm else {})


@dataclass(frozen=True, slots=True)
class MachineAsk:
    """What a job asks of one machine, and how that stands to what is loaded there.

    :param tools: each with the slot that it draws from.
    :param facts: everything that somebody has to change or confirm first.
    :param may_map: its tools can draw from other slots there.
    :param by_hand: and a person sees to it at the machine: its program is carried as it is.
    :param proposed: where they would all find what they ask for, if not where they draw now.
    :param slots: numbers to choose from.
    :param held: what is in them, in words.
    """

    slug: str
    name: str
    tools: Sequence[Mapped]
    facts: Sequence[LoadingFact]
    may_map: bool = False
    by_hand: bool = False
    proposed: Slots | None = None
    slots: Sequence[int] = ()
    held: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskView:
    """What a job asks for: as it holds, as its program says, and of each machine.

    :param found_mm: the size that its analysis found.
    :param retries: how often it was tried again, the oldest first.
    """

    asks: Asks
    said: Asks
    found_mm: Size | None
    deadline: datetime | None
    machines: Sequence[MachineAsk]
    retries: Sequence[Retry]


class Asking:
    """Use cases of whoever says more exactly what a job needs."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def view(self, job_id: str) -> AskView:
        """Return what a job asks for, and how its tools map to slots on each machine."""
        with self._workshop.database.read() as session:
            job = session.get(Job, job_id)
            if job is None:
                raise NotFoundError("job.unknown")
            ask = session.get(JobAsk, job_id)
            rows = session.execute(
                select(Preflight, Machine)
                .join(Machine, Machine.id == Preflight.machine_id)
                .where(Preflight.job_id == job_id, Preflight.superseded_at.is_(None))
                .order_by(Machine.slug)
            ).all()
            loads = loads_of_all(session, [machine.id for _, machine in rows])
            first = rows[0][0] if rows else None
            return AskView(
                asks_of(first, ask),
                said_by_program(first),
                found_size(job, first),
                ask.deadline_at if ask else None,
                [
                    _on_machine(
                        machine,
                        target_of(machine, self._workshop.profiles_dir),
                        asks_of(preflight, ask),
                        loads.get(machine.id, Loads()),
                    )
                    for preflight, machine in rows
                    if preflight.verdict != Verdict.BLOCK or asks_of(preflight, ask).slots
                ],
                _retries(session, ask),
            )

    def say(self, actor: Actor, job_id: str, wish: AskWish, now: datetime) -> None:
        """Take the owner's or an operator's word.

        :raises InvalidError: naming the field and what is wrong.
        """
        wish.check(now)
        with self._workshop.database.write() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise NotFoundError("job.unknown")
            if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
                raise NotAllowedError("job.not-yours")
            preflight = session.scalars(
                select(Preflight)
                .where(Preflight.job_id == job_id, Preflight.superseded_at.is_(None))
                .limit(1)
            ).first()
            wish.beyond(said_by_program(preflight)).keep(session, job_id)
        self._workshop.live.touch()


def _on_machine(machine: Machine, target: Target | None, asks: Asks, loads: Loads) -> MachineAsk:
    may_map = target is not None and target.maps_slots
    better = proposed(asks, loads) if may_map else None
    # As many as somebody spoke of, and those that are drawn from; a single one leaves no choice.
    known = {one.number for one in loads.slots} | {
        number for one in asks.tools for number in (one.tool, asks.slot_of(one.tool))
    }
    return MachineAsk(
        machine.slug,
        machine.name,
        mapping(asks, loads),
        mismatches(asks, loads),
        may_map and len(known) > 1,
        target is not None and target.is_by_hand,
        None if better == asks.slots else better,
        sorted(known),
        {one.number: " ".join((one.material, one.colour)).strip() for one in loads.slots},
    )


def found_size(job: Job, preflight: Preflight | None) -> Size | None:
    """Return the size that the analysis of a program, or of a mesh, found [mm]."""
    bounds = _table(preflight.report.get("bounds_mm")) if preflight else {}
    for name in ("extruding", "cutting"):
        box = _table(bounds.get(name))
        low, high = box.get("min"), box.get("max")
        if isinstance(low, list) and isinstance(high, list) and len(low) == len(high) == 3:
            return (high[0] - low[0], high[1] - low[1], high[2] - low[2])
    size = (job.report or {}).get("size_mm")
    if isinstance(size, list) and len(size) == 3:
        return (float(size[0]), float(size[1]), float(size[2]))
    return None


def _retries(session: Session, ask: JobAsk | None) -> list[Retry]:
    kept = ask.detail.get(_RETRIES) if ask else None
    said = kept if isinstance(kept, list) else []
    ids = {str(one["person"]) for one in said}
    people = session.scalars(select(Person).where(Person.id.in_(ids)))
    names = {person.id: person.name for person in people}
    return [
        Retry(
            datetime.fromisoformat(str(one["at"])),
            names.get(str(one["person"]), ""),
            str(one["cause"]),
        )
        for one in said
    ]


def _size(ask: JobAsk) -> Size | None:
    size = ask.detail.get(SIZE)
    if isinstance(size, list) and len(size) == 3:
        return (float(size[0]), float(size[1]), float(size[2]))
    return None


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _bounded(field: str, text: str) -> None:
    if len(text) > _LONGEST or not text.isprintable():
        raise InvalidError("loaded.too-long", field=field, most=_LONGEST)
