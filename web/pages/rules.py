"""The house's rules in sentences, what members propose to change of them, what staff let pass."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role
from jobs.domain.rules.values import LAB, Scope, Spec, checked, spec_of
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

# Which values stand together on the page; each key once (a test says so).
GROUPS = (
    ("who", ("qualification_needed", "approval_needed", "approval_hours", "people_needed")),
    ("learn", ("disuse_days", "unused_days", "qualification_remind_days", "accept_binds")),
    ("when", ("opening", "opening_covers", "opening_binds_starts", "holidays")),
    ("ahead", ("horizon_days", "horizon_trainer_days", "horizon_staff_days")),
    ("long", ("shortest_min", "longest_min")),
    ("fair", ("day_quota_min", "week_quota_min", "most_bookings", "gap_min", "buffer_min")),
    ("means", ("material_needed", "owing_most")),
    ("there", ("presence_by", "presence_min")),
)


def must_share(web: Web) -> None:
    """Hide what a node of one person has no use for.

    :raises NotFoundError: there.
    """
    if not web.shares():
        raise NotFoundError("lab.one-person")


@router.get("/rules")
def rules(request: Request, web: WebDep, visitor: VisitorDep, scope: str = "lab") -> HTMLResponse:
    """Show every rule as it holds for the lab, a kind or a machine."""
    return _rules(request, web, visitor, Scope.read(scope))


@router.post("/rules")
def set_rule(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Decide a value, or let the wider one hold again."""
    must_share(web)
    needs(visitor, Role.ADMIN)
    scope, key, reason = Scope.read(form.text("scope")), form.text("rule"), form.text("reason")
    now = web.clock()
    try:
        if form.text("unset"):
            web.services.house.unset(visitor.actor, scope, key, reason, now)
        else:
            web.services.house.set(visitor.actor, scope, key, form.text("value"), reason, now)
    except InvalidError as error:
        return _rules(request, web, visitor, scope, error=error, key=key, wanted=form.text("value"))
    return go(f"/rules?scope={scope}", "changed")


def _rules(
    request: Request,
    web: Web,
    visitor: Visitor,
    scope: Scope,
    *,
    error: InvalidError | None = None,
    key: str = "",
    wanted: str = "",
) -> HTMLResponse:
    must_share(web)
    found = {one.spec.key: one for one in web.services.house.rules(scope)}
    return page(
        request,
        web,
        visitor,
        "rules.html",
        scope=scope,
        scopes=web.services.house.scopes(),
        groups=[(name, [found[one] for one in keys if one in found]) for name, keys in GROUPS],
        history=web.services.house.history(),
        due=web.services.proposals.due(web.clock()) if visitor.may(Role.ADMIN) else 0,
        error=error,
        bad=key,
        wanted=wanted,
    )


@router.get("/proposals")
def proposals(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what is proposed, and what was decided."""
    must_share(web)
    found = web.services.proposals.list(web.clock())
    return page(request, web, visitor, "proposals.html", proposals=found)


@router.get("/proposals/new")
def ask_proposal(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    rule: str = "",
    scope: str = "lab",
    machine: str = "",
) -> HTMLResponse:
    """Ask what shall hold instead, and why.

    :param machine: at which somebody was refused: the question is put where its value was decided.
    """
    must_share(web)
    spec = spec_of(rule)
    where = Scope.read(scope)
    if machine:
        where = web.services.house.decided_in(machine, spec.key)
    return _ask(request, web, visitor, spec, where)


@router.post("/proposals")
def propose(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Propose it."""
    must_share(web)
    spec, scope = spec_of(form.text("rule")), Scope.read(form.text("scope", "lab"))
    try:
        made = web.services.proposals.propose(
            visitor.actor, scope, spec.key, form.text("value"), form.text("why"), web.clock()
        )
    except InvalidError as error:
        return _ask(request, web, visitor, spec, scope, form.texts(), error)
    return go(f"/proposals/{made}", "proposed")


def _ask(
    request: Request,
    web: Web,
    visitor: Visitor,
    spec: Spec,
    scope: Scope,
    values: dict[str, str] | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    held = {one.spec.key: one for one in web.services.house.rules(scope)}
    if spec.key not in held:
        scope, held = LAB, {one.spec.key: one for one in web.services.house.rules(LAB)}
    values = values or {}
    return page(
        request,
        web,
        visitor,
        "proposal_new.html",
        spec=spec,
        scope=scope,
        scopes=[
            one for one in web.services.house.scopes() if one.scope == LAB or not spec.lab_only
        ],
        rule=held[spec.key],
        wanted=values.get("value", ""),
        why=values.get("why", ""),
        error=error,
        bad=error.field if error else "",
    )


@router.get("/proposals/{proposal_id}")
def proposal(request: Request, web: WebDep, visitor: VisitorDep, proposal_id: str) -> HTMLResponse:
    """Show one proposal with what was said to it."""
    return _proposal(request, web, visitor, proposal_id)


@router.post("/proposals/{proposal_id}/{act}")
def act_on_proposal(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    proposal_id: str,
    act: str,
    form: CheckedFormDep,
) -> Response:
    """Comment on it, withdraw it, decide it, or look at the decision again."""
    must_share(web)
    service, actor, now = web.services.proposals, visitor.actor, web.clock()
    try:
        match act:
            case "comment":
                service.comment(actor, proposal_id, form.text("text"), now)
            case "withdraw":
                service.withdraw(actor, proposal_id, now)
            case "decide":
                service.decide(
                    actor,
                    proposal_id,
                    accepted=form.text("decision") == "accept",
                    reason=form.text("reason"),
                    review_on=form.text("review_on"),
                    now=now,
                )
            case "reviewed":
                service.reviewed(actor, proposal_id, form.text("review_on"), now)
            case _:
                raise NotFoundError("proposal.unknown")
    except InvalidError as error:
        return _proposal(request, web, visitor, proposal_id, error, form.texts())
    return go(f"/proposals/{proposal_id}", "commented" if act == "comment" else "changed")


def _proposal(
    request: Request,
    web: Web,
    visitor: Visitor,
    proposal_id: str,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    must_share(web)
    one, comments = web.services.proposals.get(proposal_id, web.clock())
    return page(
        request,
        web,
        visitor,
        "proposal.html",
        one=one,
        wanted=checked(one.spec, one.wanted, one.scope),
        comments=comments,
        today=web.renderer.clockwork.day_of(web.clock()).isoformat(),
        values=values or {},
        error=error,
        bad=error.field if error else "",
    )


@router.get("/approvals")
def approvals(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what waits for a word of staff, and what was decided lately."""
    return _approvals(request, web, visitor)


@router.post("/approvals/{approval_id}")
def decide_approval(
    request: Request, web: WebDep, visitor: VisitorDep, approval_id: str, form: CheckedFormDep
) -> Response:
    """Let a booking pass, or not."""
    must_share(web)
    try:
        web.services.approvals.decide(
            visitor.actor,
            approval_id,
            granted=form.text("decision") == "grant",
            reason=form.text("reason"),
            now=web.clock(),
        )
    except InvalidError as error:
        return _approvals(request, web, visitor, error)
    return go("/approvals", "changed")


def _approvals(
    request: Request, web: Web, visitor: Visitor, error: InvalidError | None = None
) -> HTMLResponse:
    must_share(web)
    return page(
        request,
        web,
        visitor,
        "approvals.html",
        waiting=web.services.approvals.waiting(visitor.actor, web.clock()),
        decided=web.services.approvals.decided(visitor.actor),
        error=error,
    )


@router.post("/jobs/{job_id}/let-start")
def let_start(
    web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Let what the house says against a job on a machine pass, with a reason."""
    slug, now = form.text("machine"), web.clock()
    found = web.services.wondering.start(job_id, slug, now)
    web.services.approvals.let_start(visitor.actor, job_id, slug, found, form.text("reason"), now)
    return go(f"/jobs/{job_id}", "changed")
