"""People: who is here, on what terms, with which badge; and whom staff let in."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role, SignUp
from jobs.services.joining import InviteWish
from jobs.services.standings import TermsWish
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, local_instant, page
from web.pages.rules import must_share
from web.proof import ProvedFormDep, prove_by_form
from web.routing import page_router

router = page_router()
# What lets somebody act as a person, or as more than they are.
_OF_IDENTITY = frozenset({"role", "link", "badge", "pin", "second-step"})
_MOST_SHOWN = 100  # people on one page; the rest are found by their name


@router.get("/people")
def people(request: Request, web: WebDep, visitor: VisitorDep, q: str = "") -> HTMLResponse:
    """Show who may use the house."""
    return _people(request, web, visitor, q=q)


@router.post("/people")
def add_person(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> Response:
    """Add a person and show the link that lets them in."""
    needs(visitor, Role.OPERATOR)
    now = web.clock()
    try:
        person = web.services.people.create(
            form.text("login"),
            form.text("name"),
            _role(form.text("role", "member")),
            password=None,
            actor=visitor.actor,
            now=now,
        )
    except InvalidError as error:
        return _people(request, web, visitor, error=error, values=form.texts())
    token = web.services.people.link_for(visitor.actor, person.id, now)
    return _shown(request, web, visitor, person.id, link=f"/sign-in/link/{token}")


@router.post("/invites")
def invite(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> Response:
    """Make an invitation and show its link this once."""
    needs(visitor, Role.OPERATOR)
    try:
        wish = InviteWish(
            _role(form.text("role", "member")),
            form.text("name"),
            TermsWish(day_end(web, form, "ends_at"), form.text("sponsor"), machines_of(form)),
        )
        token = web.services.joining.invite(visitor.actor, wish, web.clock())
    except InvalidError as error:
        return _people(request, web, visitor, error=error, invited=form.texts())
    return _people(request, web, visitor, link=f"/join/{token}", link_for=wish.name)


@router.post("/invites/{invite_id}/withdraw")
def withdraw(
    web: WebDep, visitor: VisitorDep, invite_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Make an invitation worthless."""
    web.services.joining.withdraw(visitor.actor, invite_id)
    return go("/people", "changed")


@router.post("/sign-up")
def set_sign_up(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Decide whether people may sign themselves up."""
    try:
        how = SignUp(form.text("how"))
    except ValueError:
        raise InvalidError("form.choice", field="how", key="how") from None
    web.services.joining.set_sign_up(visitor.actor, how)
    return go("/people", "changed")


@router.get("/people/{person_id}")
def person(request: Request, web: WebDep, visitor: VisitorDep, person_id: str) -> HTMLResponse:
    """Show a person: to themselves, to those who teach, and to staff."""
    return show_person(request, web, visitor, person_id)


@router.post("/people/{person_id}/{act}")
def act_on(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    person_id: str,
    act: str,
    form: CheckedFormDep,
) -> Response:
    """Change a person's role, terms, badge or PIN; let them in, lock them out, make a link."""
    if act in _OF_IDENTITY:
        prove_by_form(request, web, visitor, form)
    try:
        if act == "link":
            token = web.services.people.link_for(visitor.actor, person_id, web.clock())
            return _shown(request, web, visitor, person_id, link=f"/sign-in/link/{token}")
        return _act(web, visitor, person_id, act, form)
    except InvalidError as error:
        if act in ("let-in", "turn-away"):
            return _people(request, web, visitor, error=error)
        return show_person(request, web, visitor, person_id, error, values=form.texts())


def _act(web: Web, visitor: Visitor, person_id: str, act: str, form: Form) -> RedirectResponse:
    services, actor, now = web.services, visitor.actor, web.clock()
    back = f"/people/{person_id}" if web.shares() else "/people"
    match act:
        case "role":
            services.people.set_role(actor, person_id, _role(form.text("role")), now)
        case "disable":
            services.people.disable(actor, person_id, now)
        case "enable":
            services.people.enable(actor, person_id)
            return go(back, "enabled")
        case "terms":
            services.standings.set(actor, person_id, terms_of(web, form), now)
        case "badge":
            services.badges.give(actor, person_id, form.text("number"), now)
        case "badge-end":
            services.badges.end(actor, form.text("badge"), now)
        case "pin":
            services.badges.forget_pin(actor, person_id, now)
        case "second-step":
            needs(visitor, Role.ADMIN)
            services.second_steps.turn_off(person_id, now, by_id=actor.person_id)
        case "let-in" | "turn-away":
            services.joining.decide(actor, person_id, lets_in=act == "let-in")
            return go("/people", "decided")
        case _:
            raise NotFoundError("person.unknown")
    return go(back, "changed")


def terms_of(web: Web, form: Form) -> TermsWish:
    """Return the terms that a form sets."""
    return TermsWish(
        ends_at=day_end(web, form, "ends_at"),
        sponsor=form.text("sponsor"),
        machines=machines_of(form),
        named_only=bool(form.text("named_only")),
        is_minor=bool(form.text("is_minor")),
        guardian=form.text("guardian"),
        guardian_reach=form.text("guardian_reach"),
        has_consent=bool(form.text("consent")),
    )


def machines_of(form: Form) -> list[str]:
    """Return the slugs of the machines that are ticked."""
    return [key.removeprefix("machine-") for key in form.texts() if key.startswith("machine-")]


def day_end(web: Web, form: Form, name: str) -> datetime | None:
    """Return the end of a day on the lab's clock; None where the field is empty."""
    text = form.text(name)
    if not text:
        return None
    day = local_instant(web, text, name).astimezone(web.settings.zone).date()
    return local_instant(web, datetime.combine(day + timedelta(days=1), time()).isoformat(), name)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidError("form.choice", field="role", key="role") from None


def _people(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    q: str = "",
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
    invited: dict[str, str] | None = None,
    link: str = "",
    link_for: str = "",
) -> HTMLResponse:
    needs(visitor, Role.OPERATOR)
    services, now = web.services, web.clock()
    everybody = services.people.list(visitor.actor)
    asking = services.joining.asking(visitor.actor)
    waiting = {one.id for one in asking}
    word = q.strip().casefold()
    found = [
        one
        for one in everybody
        if one.id not in waiting and word in f"{one.name} {one.login}".casefold()
    ]
    return page(
        request,
        web,
        visitor,
        "people.html",
        people=found[:_MOST_SHOWN],
        more=max(len(found) - _MOST_SHOWN, 0),
        count=len(everybody) - len(asking),
        q=q,
        roles=[role.value for role in Role if visitor.may(role)],
        with_step=services.second_steps.holders() if visitor.may(Role.ADMIN) else (),
        asking=asking,
        invites=services.joining.invites(visitor.actor, now),
        sign_up=services.joining.sign_up().value,
        ways=[one.value for one in SignUp],
        machines=services.bookings.machines(),
        values=values or {},
        invited=invited or {},
        error=error,
        link=address_of(request, link),
        link_for=link_for,
    )


def _shown(
    request: Request, web: Web, visitor: Visitor, person_id: str, *, link: str
) -> HTMLResponse:
    if not web.shares():
        name = web.services.people.get(person_id).name
        return _people(request, web, visitor, link=link, link_for=name)
    return show_person(request, web, visitor, person_id, link=link)


def show_person(
    request: Request,
    web: Web,
    visitor: Visitor,
    person_id: str,
    error: InvalidError | None = None,
    *,
    values: dict[str, str] | None = None,
    link: str = "",
) -> HTMLResponse:
    """Show a person's page, with what was wrong with a form on it."""
    must_share(web)
    services, actor, now = web.services, visitor.actor, web.clock()
    found = services.qualifications.of_person(actor, person_id, now)
    services.looks.note(actor, [person_id], "person", now)
    view = services.people.get(person_id)
    is_self = person_id == actor.person_id
    is_staff = visitor.may(Role.OPERATOR) and visitor.may(view.role)
    return page(
        request,
        web,
        visitor,
        "person.html",
        person=view,
        terms=services.standings.get(actor, person_id, now),
        carried=services.badges.of(actor, person_id) if is_self or is_staff else None,
        found=found,
        ended=services.qualifications.ended(actor, person_id, now),
        teaches=visitor.may(Role.TRAINER),
        is_self=is_self,
        is_staff=is_staff,
        roles=[role.value for role in Role if visitor.may(role)],
        with_step=services.second_steps.holders() if visitor.may(Role.ADMIN) else (),
        scopes=services.house.scopes(),
        machines=services.bookings.machines(),
        done_for=services.behalf.of_person(actor, person_id) if is_self or is_staff else (),
        values=values or {},
        link=address_of(request, link),
        error=error,
    )


def address_of(request: Request, path: str) -> str:
    """Return the whole address of a link that is handed over; "" for none."""
    return str(request.base_url).rstrip("/") + path if path else ""
