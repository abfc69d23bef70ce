"""What jobs ask of machines: said by their program, and changed by their people.

A program's own word (material, nozzle, mass of each tool, as its slicer wrote them) stands until
a person says otherwise; what neither says is not asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.loading import MOST_SLOTS, Asks, Loads, ToolAsk
from jobs.domain.people import Actor, Role
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Preflight
from jobs.store.waiting import JobAsk

_LONGEST: Final = 40
_NOZZLES: Final = (0.05, 3.0)


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
    return Asks(tools, nozzle_mm, ask.plate)


def said_by_program(preflight: Preflight | None) -> Asks:
    """Return what the program itself says that it needs."""
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
    return Asks(tools, float(nozzle) if isinstance(nozzle, int | float) and nozzle > 0 else None)


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
        if one.material:
            setup[f"slot {one.tool}"] = _key(one.material)
        if one.colour:
            setup[f"colour {one.tool}"] = _key(one.colour)
    if asks.nozzle_mm is not None:
        setup |= {
            f"nozzle {tool}": f"{asks.nozzle_mm:.2f}"
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


class Asking:
    """Use cases of whoever says more exactly what a job needs."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def say(
        self,
        actor: Actor,
        job_id: str,
        *,
        tools: Sequence[tuple[int, str, str]],
        nozzle_mm: float | None,
        plate: str,
        deadline: datetime | None,
        now: datetime,
    ) -> None:
        """Take the owner's or an operator's word: (tool, material, colour) of each tool.

        :param nozzle_mm: None leaves it to the program.
        :raises InvalidError: naming the field and what is wrong.
        """
        if len({tool for tool, _, _ in tools}) != len(tools) or len(tools) > MOST_SLOTS:
            raise InvalidError("loaded.slot", field="tools", most=MOST_SLOTS)
        rows: list[dict[str, object]] = []
        for tool, material, colour in tools:
            if not 0 <= tool < MOST_SLOTS:
                raise InvalidError("loaded.slot", field="tools", most=MOST_SLOTS)
            _bounded("material", material)
            _bounded("colour", colour)
            if material or colour:
                rows.append({"tool": tool, "material": material, "colour": colour})
        _bounded("plate", plate)
        if nozzle_mm is not None and not _NOZZLES[0] <= nozzle_mm <= _NOZZLES[1]:
            low, high = _NOZZLES
            raise InvalidError("loaded.nozzle", field="nozzle_mm", low_mm=low, high_mm=high)
        if deadline is not None and deadline <= now:
            raise InvalidError("job.deadline-past", field="deadline")
        with self._workshop.database.write() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise NotFoundError("job.unknown")
            if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
                raise NotAllowedError("job.not-yours")
            row = ask_row(session, job_id)
            row.tools, row.plate, row.deadline_at = rows, plate, deadline
            row.nozzle_um = None if nozzle_mm is None else round(1000 * nozzle_mm)
        self._workshop.live.touch()


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _bounded(field: str, text: str) -> None:
    if len(text) > _LONGEST or not text.isprintable():
        raise InvalidError("loaded.too-long", field=field, most=_LONGEST)
