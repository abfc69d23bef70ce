"""Trainings and qualifications: who teaches what when, and who may use which machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.learning import TrainingWish
from jobs.domain.people import Role
from jobs.domain.policy import Refusal
from jobs.domain.rules.values import Scope
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.calendar import instant
from web.pages.page import go, page
from web.pages.people import show_person
from web.pages.rules import must_share
from web.routing import page_router

router = page_router()


@router.get("/trainings")
def trainings(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the trainings to come."""
    return _trainings(request, web, visitor)


@router.post("/trainings")
def add_training(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Announce one."""
    must_share(web)
    try:
        wish = _wish(web, form)
        made = web.services.trainings.create(visitor.actor, wish, web.clock())
    except InvalidError as error:
        return _trainings(request, web, visitor, form, error)
    except RefusedError as error:
        return _trainings(request, web, visitor, form, refusals=error.refusals)
    return go(f"/trainings/{made}", "created")


def _wish(web: Web, form: Form) -> TrainingWish:
    minimum = number(form, "minimum") if form.text("minimum") else None
    return TrainingWish(
        title=form.text("title"),
        start=instant(web, form.text("start")),
        length=timedelta(minutes=number(form, "length_min")),
        seats=number(form, "seats"),
        grants=[Scope.read(one) for one in form.many("grants")],
        machines=form.many("machines"),
        trainers=form.many("trainers"),
        valid_days=days_of(form),
        note=form.text("note"),
        minimum=minimum,
        decide_before=timedelta(hours=number(form, "decide_h") if minimum else 0),
        weeks=number(form, "weeks") if form.text("weeks") else 1,
        skip_conflicts=bool(form.text("skip")),
    )


def _trainings(
    request: Request,
    web: Web,
    visitor: Visitor,
    form: Form | None = None,
    error: InvalidError | None = None,
    refusals: Sequence[Refusal] = (),
) -> HTMLResponse:
    must_share(web)
    teaches = visitor.may(Role.TRAINER)
    return page(
        request,
        web,
        visitor,
        "trainings.html",
        status=409 if refusals else None,
        trainings=web.services.trainings.list(visitor.actor, web.clock()),
        teaches=teaches,
        scopes=web.services.house.scopes(),
        others=web.services.qualifications.trainers(visitor.actor) if teaches else [],
        values=form.texts() if form else {},
        chosen={
            name: frozenset(form.many(name)) if form else frozenset()
            for name in ("grants", "machines", "trainers")
        },
        refusals=refusals,
        error=error,
        bad=error.field if error else "",
    )


@router.get("/trainings/{training_id}")
def training(request: Request, web: WebDep, visitor: VisitorDep, training_id: str) -> HTMLResponse:
    """Show one training; to its trainers also who comes."""
    must_share(web)
    one = web.services.trainings.get(visitor.actor, training_id)
    teaches = visitor.may(Role.TRAINER)
    has_begun = one.start <= web.clock()
    seated = {seat.person_id for seat in one.people}
    others = web.services.qualifications.people(visitor.actor) if teaches and has_begun else []
    return page(
        request,
        web,
        visitor,
        "training.html",
        one=one,
        teaches=teaches,
        has_begun=has_begun,
        is_over=one.end <= web.clock(),
        others=[person for person in others if person.id not in seated],
    )


@router.post("/trainings/{training_id}/{act}")
def act_on_training(
    web: WebDep, visitor: VisitorDep, training_id: str, act: str, form: CheckedFormDep
) -> RedirectResponse:
    """Take a seat, give it back, tick who was there, or call it off."""
    must_share(web)
    service, actor, now = web.services.trainings, visitor.actor, web.clock()
    match act:
        case "sign-up":
            service.sign_up(actor, training_id, now)
        case "wait":
            service.wait(actor, training_id, now)
        case "sign-off":
            service.sign_off(actor, training_id, now)
        case "attended":
            service.attended(actor, training_id, form.text("person"), now)
        case "cancel":
            service.cancel(actor, training_id, now)
        case _:
            raise NotFoundError("training.unknown")
    return go(f"/trainings/{training_id}", "signed-up" if act == "sign-up" else "changed")


@router.post("/people/{person_id}/qualifications")
def grant(
    request: Request, web: WebDep, visitor: VisitorDep, person_id: str, form: CheckedFormDep
) -> Response:
    """Qualify a person for a machine or a kind."""
    must_share(web)
    try:
        _grant(web, visitor, person_id, form.text("what"), form)
    except InvalidError as error:
        return show_person(request, web, visitor, person_id, error)
    return go(f"/people/{person_id}", "changed")


@router.post("/qualifications/{qualification_id}/withdraw")
def withdraw(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    qualification_id: str,
    form: CheckedFormDep,
) -> Response:
    """Take a qualification away."""
    must_share(web)
    slug, person_id = form.text("machine"), form.text("person")
    service = web.services.qualifications
    try:
        service.withdraw(visitor.actor, qualification_id, form.text("why"), web.clock())
    except InvalidError as error:
        if slug:
            return _qualified(request, web, visitor, slug, error)
        return show_person(request, web, visitor, person_id, error)
    return go(f"/machines/{slug}/qualified" if slug else f"/people/{person_id}", "changed")


@router.get("/machines/{slug}/qualified")
def qualified(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show who may use a machine; for those who teach."""
    return _qualified(request, web, visitor, slug)


@router.post("/machines/{slug}/qualified")
def qualify(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Qualify a person for this machine, or for all of its kind."""
    must_share(web)
    try:
        _grant(web, visitor, form.text("person"), form.text("what"), form)
    except InvalidError as error:
        return _qualified(request, web, visitor, slug, error)
    return go(f"/machines/{slug}/qualified", "changed")


def _qualified(
    request: Request, web: Web, visitor: Visitor, slug: str, error: InvalidError | None = None
) -> HTMLResponse:
    must_share(web)
    needs(visitor, Role.TRAINER)
    service, now = web.services.qualifications, web.clock()
    return page(
        request,
        web,
        visitor,
        "qualified.html",
        machine=web.services.machines.get(slug, now, visitor.actor),
        found=service.of_machine(visitor.actor, slug, now),
        people=service.people(visitor.actor),
        error=error,
    )


def _grant(web: Web, visitor: Visitor, person_id: str, what: str, form: Form) -> None:
    slug, kind = what_of(what)
    web.services.qualifications.grant(
        visitor.actor,
        person_id,
        slug=slug,
        kind=kind,
        days=days_of(form),
        note=form.text("note"),
        now=web.clock(),
    )


def what_of(text: str) -> tuple[str, str]:
    """Return the machine's slug and the kind that a choice names; one of them is empty.

    >>> what_of("machine:ender"), what_of("kind:fdm")
    (('ender', ''), ('', 'fdm'))
    """
    word, _, of = text.partition(":")
    if word not in ("machine", "kind") or not of:
        raise InvalidError("qualification.what", field="what")
    return (of, "") if word == "machine" else ("", of)


def days_of(form: Form) -> int | None:
    """Return for how many days something is good; None: for good."""
    return number(form, "days") if form.text("days") else None


def number(form: Form, name: str) -> int:
    """Return a whole number of a form.

    :raises InvalidError: naming the field.
    """
    text = form.text(name)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidError("form.number", field=name, key=name)
    return int(text)
