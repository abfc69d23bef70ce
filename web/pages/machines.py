"""A machine's page, what a person does at the machine, and its entry in the house's book."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.machine import Control
from jobs.domain.people import Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.switching import NUMBERS as SWITCH_NUMBERS
from jobs.domain.switching import PARTS
from jobs.services.checklists import ChecklistView
from jobs.services.machine_specs import parse_machine
from jobs.services.pictures import ProgramPictures
from jobs.services.uses import UseView
from jobs.services.views import JobView, MachineView, ProbeView
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.board import card, tool_name
from web.pages.calendar import calendar_part, length_of
from web.pages.hand import panel
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

KEEP_HEAT_MIN = 30  # what one press of the button is good for
_JOB = re.compile(r"[0-9a-f-]{36}")

_ASKED_HERE = frozenset({Reason.MATERIAL_UNSAID, Reason.NOT_PRESENT})
_LIKELY_KIND = {"marlin": "fdm", "grbl": "mill"}  # of a dialect, to be looked at by a person
_NUMBERS = ("baud", "nozzle_max_c", "bed_max_c", "nozzle_mm", "filament_mm", "spindle_max_rpm")
_TEXTS = ("slug", "name", "kind", "control", "profile", "port", "stop_note")
_SWITCHES = tuple(f"{part}_{what}" for part in PARTS for what in ("switch", "plug"))


@router.get("/machines/new")
def new(
    request: Request, web: WebDep, visitor: VisitorDep, port: str = "", profile: str = ""
) -> HTMLResponse:
    """Ask what the new machine is; a port that was chosen is filled in with what it told."""
    needs(visitor, Role.OPERATOR)
    values = {"port": port[:255], "profile": profile[:64]} if port else {}
    probe = web.services.ports.probed(visitor.actor, port) if port else None
    if probe is not None and probe.state == "done":
        values |= {"profile": probe.profile, "baud": str(probe.baud or "")}
        values |= {"kind": _LIKELY_KIND.get(probe.dialect, "")}
    return _edit(request, web, visitor, values=values, slug="", probe=probe)


@router.post("/machines/new")
def add(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Add a machine."""
    needs(visitor, Role.OPERATOR)
    try:
        machine = web.services.machines.add(
            visitor.actor, parse_machine(_values(form)), web.clock()
        )
    except InvalidError as error:
        return _edit(request, web, visitor, values=form.texts(), slug="", error=error)
    return go(f"/machines/{machine.slug}", "created")


@router.get("/machines/{slug}")
def show(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, date: str = "", length: int = 60
) -> HTMLResponse:
    """Show one machine: live, its calendar, and what may be done at it now."""
    return machine_page(request, web, visitor, slug, date, length)


def machine_page(
    request: Request,
    web: Web,
    visitor: Visitor,
    slug: str,
    date: str = "",
    length: int = 60,
    *,
    problem: str = "",
    wrong_code: str = "",
    status: int = 200,
) -> HTMLResponse:
    """Return a machine's page.

    :param problem: why what was asked for by hand was not done.
    :param wrong_code: what is wrong with the code that was typed.
    """
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    jobs = _startable(web, visitor, machine)
    shown = [one.id for one in jobs] + ([machine.run.job_id] if machine.run else [])
    return page(
        request,
        web,
        visitor,
        "machine.html",
        status=status,
        card=card(web, machine),
        learned=web.services.wondering.learned(visitor.actor, slug, web.clock()),
        texts=web.services.instructions.list(visitor.actor, slug),
        teaches=visitor.may(Role.TRAINER),
        tool_name=tool_name(web, visitor, machine),
        keep_heat_min=KEEP_HEAT_MIN,
        book=web.services.attendance.book(visitor.actor, slug) if visitor.may(Role.MEMBER) else [],
        faults=web.services.faults.list(visitor.actor, slug) if visitor.may(Role.MEMBER) else [],
        lists=_lists(web, visitor, slug),
        jobs=jobs,
        drawn=web.services.slots.on_machine(slug, shown),
        calibration=web.services.machines.calibrations([slug])[slug],
        made=_made(web, machine),
        calendar=calendar_part(web, visitor, machine, date, length_of(length)),
        loads=web.services.loading.view(slug),
        terms=web.services.terms.get(slug),
        there=web.services.proving.view(visitor.actor, slug, web.clock()),
        wrong_code=wrong_code,
        beam=web.services.lasers.view(slug),
        use_part=_use(web, visitor, machine),
        hand=panel(web, visitor, machine, request.query_params, problem),
    )


@dataclass(frozen=True, slots=True)
class UsePart:
    """A machine's use without a job, as its page shows it.

    :param reasons: against beginning one, where there is none.
    """

    view: UseView | None
    is_mine: bool
    reasons: Sequence[Refusal]


def _use(web: Web, visitor: Visitor, machine: MachineView) -> UsePart | None:
    """Return who uses a machine without a job, where that switches its power or jobs never come."""
    shows = bool(machine.switching.actor) or machine.control is Control.NONE
    if not shows or machine.retired:
        return None
    now, uses = web.clock(), web.services.uses
    view = uses.view(machine.slug, now)
    found = [] if view else uses.reasons(visitor.actor, machine.slug, now)
    # What a laser is to burn, and proof of being there, are asked for on the same page.
    found = [one for one in found if one.reason not in _ASKED_HERE]
    return UsePart(view, view is not None and view.person_id == visitor.actor.person_id, found)


def _lists(web: Web, visitor: Visitor, slug: str) -> Sequence[ChecklistView]:
    if not visitor.may(Role.MEMBER):
        return []
    return web.services.checklists.list(visitor.actor, web.clock(), slug)


def _made(web: Web, machine: MachineView) -> ProgramPictures | None:
    """Return the pictures of what the machine is making."""
    if machine.run is None:
        return None
    programs = web.services.pictures.of(machine.run.job_id).programs
    return next((one for one in programs if one.machine_slug == machine.slug), None)


def _startable(web: Web, visitor: Visitor, machine: MachineView) -> list[JobView]:
    """Return the waiting jobs that a person may start here."""
    if machine.control is Control.NONE or machine.run is not None:
        return []
    return web.services.queue.startable(machine.slug, web.clock(), visitor.actor)


@router.post("/machines/{slug}/arm")
def arm(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take a person's word that the machine is clear."""
    web.services.dispatch.arm(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "armed")


@router.post("/machines/{slug}/disarm")
def disarm(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take that word back."""
    web.services.dispatch.disarm(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "disarmed")


@router.post("/machines/{slug}/start")
def start(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Start a job here; the person stands at the machine."""
    web.services.dispatch.start(visitor.actor, form.text("job"), slug, web.clock())
    return go(f"/machines/{slug}", "started")


@router.post("/machines/{slug}/pause")
def pause(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Hold the run where it is."""
    web.services.dispatch.pause(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "paused")


@router.post("/machines/{slug}/resume")
def resume(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Go on after a pause."""
    web.services.dispatch.resume(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "resumed")


@router.post("/machines/{slug}/keep-heat")
def keep_heat(
    web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Have heat stay on without a job for a while, under the person's name."""
    web.services.dispatch.keep_heat(visitor.actor, slug, KEEP_HEAT_MIN, web.clock())
    return go(f"/machines/{slug}", "heat-kept")


@router.post("/machines/{slug}/free")
def free(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take a person's word that nobody uses the machine by hand."""
    web.services.attendance.free(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "freed")


@router.post("/machines/{slug}/own-board")
def own_board(
    web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Take an operator's word that the board there is the machine's own."""
    web.services.attendance.own_board(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "own-board")


@router.post("/machines/{slug}/identify")
def identify(
    web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Have the machine beep or show a text."""
    web.services.attendance.identify(visitor.actor, slug)
    return go(f"/machines/{slug}", "identified")


@router.post("/machines/{slug}/answer")
def answer(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Answer what the machine asks the person beside it."""
    prompt, choice = form.text("prompt"), form.text("choice", "0")
    if not (prompt.isdecimal() and choice.isdecimal()):
        raise InvalidError("form.choice", field="choice", key="choice")
    web.services.dispatch.answer(visitor.actor, slug, int(prompt), int(choice), web.clock())
    job = form.text("job")
    return go(f"/jobs/{job}" if _JOB.fullmatch(job) else f"/machines/{slug}", "answered")


@router.post("/machines/{slug}/power")
def power(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Begin or end the heartbeat that holds the machine's relay."""
    on = form.text("on") == "1"
    web.services.dispatch.power(visitor.actor, slug, web.clock(), on=on)
    return go(f"/machines/{slug}", "power-on" if on else "power-off")


@router.post("/machines/{slug}/inspected")
def inspected(
    web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep
) -> RedirectResponse:
    """A person has looked at a stopped machine; its port is opened anew."""
    web.services.dispatch.inspected(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "inspected")


@router.post("/machines/{slug}/checked")
def checked(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """A person has looked at a machine that nobody arms, and it is ready again."""
    web.services.machines.checked(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "checked")


@router.post("/machines/{slug}/cancel")
def cancel(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """End the run safely."""
    web.services.dispatch.cancel(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "cancelled")


@router.get("/machines/{slug}/edit")
def edit(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show what is known of a machine, to change it."""
    needs(visitor, Role.OPERATOR)
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    return _edit(request, web, visitor, values=_known(machine), slug=slug)


@router.post("/machines/{slug}/edit")
def change(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Change a machine."""
    needs(visitor, Role.OPERATOR)
    try:
        values = _values(form)
        values.pop("slug", None)
        web.services.machines.change(visitor.actor, slug, web.clock(), **values)
    except InvalidError as error:
        return _edit(request, web, visitor, values=form.texts(), slug=slug, error=error)
    return go(f"/machines/{slug}", "changed")


@router.post("/machines/{slug}/retire")
def retire(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take a machine out of the house; its records stay."""
    needs(visitor, Role.OPERATOR)
    web.services.machines.retire(visitor.actor, slug, web.clock())
    return go("/", "retired")


def _edit(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    values: dict[str, str],
    slug: str,
    error: InvalidError | None = None,
    probe: ProbeView | None = None,
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "machine_edit.html",
        values=values,
        profiles=web.services.ports.profiles(),
        ports=[] if slug else web.services.ports.list(visitor.actor),
        probe=probe,
        slug=slug,
        error=error,
    )


def _known(machine: MachineView) -> dict[str, str]:
    limits = machine.limits
    values = {
        "name": machine.name,
        "kind": machine.kind,
        "control": machine.control.value,
        "profile": machine.profile or "",
        "port": machine.port or "",
        "baud": str(machine.baud or ""),
        "stop_note": machine.stop_note,
        **{key: _said(value) for key, value in machine.switching.to_json().items()},
        "nozzle_max_c": _plain(limits.nozzle_max_c),
        "bed_max_c": _plain(limits.bed_max_c),
        "nozzle_mm": _plain(limits.nozzle_mm),
        "filament_mm": _plain(limits.filament_mm),
        "spindle_max_rpm": _plain(limits.spindle_max_rpm),
        "model": limits.model,
        "materials": ", ".join(limits.materials),
    }
    for axis, length in zip("xyz", limits.envelope_mm, strict=True):
        values[f"envelope_{axis}_mm"] = f"{length:g}" if any(limits.envelope_mm) else ""
    return values


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(number: float) -> str:
    """Return a number for a field; one that a machine has no part for leaves it empty."""
    return f"{number:g}" if number else ""


def _values(form: Form) -> dict[str, object]:
    """Return the form as the keys that machine files have too."""
    values: dict[str, object] = {key: form.text(key) for key in _TEXTS if form.text(key)}
    # Said even when empty: that is how a person takes it back.
    values |= {key: form.text(key) for key in (*_SWITCHES, "heartbeat", "model")}
    listed = (one.strip() for one in form.text("materials").split(","))
    values["materials"] = [one for one in listed if one]
    inputs = (one.strip() for one in form.text("interlocks").split(","))
    values["interlocks"] = [one for one in inputs if one]
    for key in SWITCH_NUMBERS:
        values[key] = _number(form, key) if form.text(key) else 0
    for key in _NUMBERS:
        if form.text(key):
            values[key] = _number(form, key)
    axes = [f"envelope_{axis}_mm" for axis in "xyz"]
    if any(form.text(key) for key in axes):
        values["envelope_mm"] = [_number(form, key) for key in axes]
    return values


def _number(form: Form, key: str) -> float | int:
    try:
        number = float(form.text(key).replace(",", "."))
    except ValueError:
        raise InvalidError("form.number", field=key, key=key) from None
    return int(number) if number.is_integer() else number
