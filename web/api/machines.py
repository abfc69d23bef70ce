"""Machines: their live state, what a person does at them, and *stop now*."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Body, Request

from jobs.domain.people import Role
from jobs.services.hand import order_of
from jobs.services.machine_specs import parse_machine
from web.api.machines_json import (
    CalibrationOut,
    DayOut,
    HandOut,
    IntervalOut,
    MachineOut,
    StartCheckOut,
    StopOut,
)
from web.api.wishes import AnswerIn, KeepHeatIn, PowerIn, StartIn, TraceIn
from web.auth import CSRF_HEADER, ApiVisitorDep, Visitor, needs
from web.context import Web, WebDep
from web.pages.calendar import booking_min, day_of
from web.routing import api_router
from web.stopping import stop_now

router = api_router("machines")


def _machine(web: Web, visitor: Visitor, slug: str) -> MachineOut:
    return MachineOut.of(web, web.services.machines.get(slug, web.clock(), visitor.actor))


@router.get("/machines/{slug}/promises")
def promises(web: WebDep, visitor: ApiVisitorDep, slug: str) -> CalibrationOut:
    """How the times promised of this machine's newest runs have turned out."""
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    found = web.services.machines.calibrations([machine.slug])[machine.slug]
    return CalibrationOut.model_validate(found)


@router.get("/machines")
def machines(web: WebDep, visitor: ApiVisitorDep) -> list[MachineOut]:
    """Every machine with its live state."""
    board = web.services.machines.board(web.clock(), visitor.actor)
    return [MachineOut.of(web, one) for one in board]


@router.post("/machines", status_code=201)
def add(
    web: WebDep,
    visitor: ApiVisitorDep,
    values: Annotated[dict[str, str | int | float | bool | list[float] | list[str] | None], Body()],
) -> MachineOut:
    """Add a machine; the keys are those of a machine file."""
    needs(visitor, Role.OPERATOR)
    machine = web.services.machines.add(visitor.actor, parse_machine(values), web.clock())
    return MachineOut.of(web, machine)


@router.get("/machines/{slug}")
def machine(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """One machine with its live state."""
    return _machine(web, visitor, slug)


@router.delete("/machines/{slug}", status_code=204)
def retire(web: WebDep, visitor: ApiVisitorDep, slug: str) -> None:
    """Retire a machine; its records stay."""
    needs(visitor, Role.OPERATOR)
    web.services.machines.retire(visitor.actor, slug, web.clock())


@router.get("/machines/{slug}/calendar")
def calendar(web: WebDep, visitor: ApiVisitorDep, slug: str, date: str = "") -> DayOut:
    """One local day: what is taken and what is free. Today if no date is named."""
    shown = web.services.bookings.day(slug, day_of(web, date), visitor.actor, web.clock())
    return DayOut.of(shown)


@router.get("/machines/{slug}/proposals")
def proposals(
    web: WebDep,
    visitor: ApiVisitorDep,
    slug: str,
    length_min: int = 60,
    count: int = 6,
    job: str = "",
) -> list[IntervalOut]:
    """The next free intervals of this length, or long enough for a job by its P90."""
    if job:
        detail = web.services.queue.get(job, web.clock(), visitor.actor)
        length_min = booking_min(detail, slug) or length_min
    length = timedelta(minutes=min(max(length_min, 10), 72 * 60))
    found = web.services.bookings.proposals(
        slug, length, web.clock(), visitor.actor, count=min(max(count, 1), 24)
    )
    return [IntervalOut(start=one.start, end=one.end) for one in found]


@router.post("/machines/{slug}/arm")
def arm(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """Confirm that the machine is clear: good for one start within 30 minutes."""
    web.services.dispatch.arm(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/disarm")
def disarm(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """Take that word back."""
    web.services.dispatch.disarm(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/start")
def start(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: StartIn) -> MachineOut:
    """Start a job; the asker stands at the machine, and says so by `is_clear` unless it is armed.

    A mill or laser asks what was `confirmed`.
    """
    if wish.confirmed:
        cycle = web.services.cycle
        cycle.start(visitor.actor, slug, wish.job_id, wish.confirmed, web.clock())
    else:
        web.services.dispatch.start(
            visitor.actor, wish.job_id, slug, web.clock(), is_clear=wish.is_clear
        )
    return _machine(web, visitor, slug)


@router.get("/machines/{slug}/start-check")
def start_check(web: WebDep, visitor: ApiVisitorDep, slug: str, job_id: str) -> StartCheckOut:
    """How a mill's start stands with the offsets of now; `reasons` is empty if nothing is wrong."""
    check = web.services.cycle.check(visitor.actor, slug, job_id, web.clock())
    return StartCheckOut.of(web, check)


@router.post("/machines/{slug}/trace")
def trace(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: TraceIn) -> MachineOut:
    """Drive around a program's outline high in the air, if the way was said to be free."""
    cycle = web.services.cycle
    cycle.trace(visitor.actor, slug, wish.job_id, web.clock(), confirmed=wish.way_is_free)
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/pause")
def pause(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """Hold the run where it is."""
    web.services.dispatch.pause(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/resume")
def resume(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """Go on after a pause."""
    web.services.dispatch.resume(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/keep-heat")
def keep_heat(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: KeepHeatIn) -> MachineOut:
    """Have heat stay on without a job for a while; the machine's page names the asker."""
    web.services.dispatch.keep_heat(visitor.actor, slug, wish.minutes, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/act")
def act(
    web: WebDep,
    visitor: ApiVisitorDep,
    slug: str,
    wish: Annotated[dict[str, str | int | float | dict[str, float]], Body()],
) -> MachineOut:
    """Have the machine do something by hand, one of its `acts`; written down with the name.

    Keys: `act`, and `percent`, `axes_mm` with `feedrate_mm_s`, or `heater` with `target_c`.
    """
    web.services.hand.act(visitor.actor, slug, order_of(wish), web.clock())
    return _machine(web, visitor, slug)


@router.get("/machines/{slug}/acts")
def acts(web: WebDep, visitor: ApiVisitorDep, slug: str) -> HandOut:
    """What you may have the machine do by hand now, and what was asked for lately."""
    return HandOut.of(web, web.services.hand.view(visitor.actor, slug, web.clock()))


@router.post("/machines/{slug}/free")
def free(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """A person at the machine says that nobody uses it by hand."""
    web.services.attendance.free(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/own-board")
def own_board(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """An operator says that the board there is the machine's own."""
    web.services.attendance.own_board(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/identify")
def identify(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """Have the machine beep or show a text."""
    web.services.attendance.identify(visitor.actor, slug)
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/answer")
def answer(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: AnswerIn) -> MachineOut:
    """Answer what the machine asks the person beside it."""
    web.services.dispatch.answer(visitor.actor, slug, wish.prompt, wish.choice, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/power")
def power(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: PowerIn) -> MachineOut:
    """Begin or end the heartbeat that holds the machine's relay; the asker stands beside it."""
    web.services.dispatch.power(visitor.actor, slug, web.clock(), on=wish.on)
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/inspected")
def inspected(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """A person has looked at a stopped machine; its port is opened anew."""
    web.services.dispatch.inspected(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/checked")
def checked(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """A person has looked at a machine that nobody arms, and it is ready again."""
    web.services.machines.checked(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/cancel")
def cancel(web: WebDep, visitor: ApiVisitorDep, slug: str) -> MachineOut:
    """End the run safely."""
    web.services.dispatch.cancel(visitor.actor, slug, web.clock())
    return _machine(web, visitor, slug)


@router.post("/machines/{slug}/stop")
async def stop(request: Request, slug: str) -> StopOut:
    """Stop this machine now. Any signed-in person may. It is not the hardware stop."""
    return (await _stop(request, slug))[0]


@router.post("/stop")
async def stop_all(request: Request) -> list[StopOut]:
    """Stop every machine now. Any signed-in person may. It is not the hardware stop."""
    return await _stop(request, None)


async def _stop(request: Request, slug: str | None) -> list[StopOut]:
    done = await stop_now(request, slug, request.headers.get(CSRF_HEADER, ""))
    text = done.web.catalogue.text
    return [
        StopOut(
            machine=one,
            refused=code,
            detail=text("page.stop.refused", code=code) if code else text("page.stop.obeyed"),
        )
        for one, code in done.outcome.items()
    ]
