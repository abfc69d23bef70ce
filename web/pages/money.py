"""Money: one's own account, the desk of staff, what the lab decides, and its open books."""

from __future__ import annotations

from datetime import date
from typing import NoReturn

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from jobs.domain.books import EntryKind, Failed, Shown, checked_month
from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.money import plain
from jobs.domain.money_terms import Counts
from jobs.domain.people import Role
from jobs.domain.prices import Per
from jobs.services.money import statement_csv
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

_CSV = "text/csv; charset=utf-8"


@router.get("/money")
def account(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    person: str = "",
    since: str = "",
    until: str = "",
) -> HTMLResponse:
    """Show an account: what is left, and what was charged and credited, with its arithmetic."""
    return _account(request, web, visitor, person, since, until)


def _account(
    request: Request,
    web: Web,
    visitor: Visitor,
    person: str = "",
    since: str = "",
    until: str = "",
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    now, services = web.clock(), web.services
    whose = person or visitor.actor.person_id
    found = services.money.statement(visitor.actor, whose, since, until, now)
    is_mine = whose == visitor.actor.person_id
    return page(
        request,
        web,
        visitor,
        "money.html",
        found=found,
        is_mine=is_mine,
        kinds=services.contributed.kinds() if is_mine else [],
        work=services.contributed.list(visitor.actor) if is_mine else [],
        groups=services.money_lab.groups() if visitor.may(Role.OPERATOR) else [],
        sold=sorted(
            {
                (one.material, one.per.value)
                for one in services.prices.list(now)
                if one.material and one.since <= now
            }
        ),
        today=web.renderer.clockwork.day_of(now).isoformat(),
        error=error,
        values=values or {},
    )


@router.get("/money/statement.csv")
def statement(
    web: WebDep, visitor: VisitorDep, person: str = "", since: str = "", until: str = ""
) -> Response:
    """Hand out an account as a list."""
    whose = person or visitor.actor.person_id
    found = web.services.money.statement(visitor.actor, whose, since, until, web.clock())
    return _list(statement_csv(found), f"statement-{found.since}-{found.until}.csv")


@router.post("/money")
def enter(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Take in what somebody did: work, material taken, money paid in or out."""
    person, money, now = form.text("person"), web.services.money, web.clock()
    whose = person or visitor.actor.person_id
    try:
        match form.text("do"):
            case "work":
                _work(web, visitor, form)
            case "take":
                material, _, per = form.text("sold").rpartition("|")
                amount, lot, note = (form.text(name) for name in ("amount", "lot", "note"))
                money.take(visitor.actor, whose, material, per, amount, now, lot, note)
            case "pay" | "pay-out" as what:
                texts = [form.text(name) for name in ("amount", "receipt", "text")]
                money.pay(
                    visitor.actor, whose, texts[0], texts[1], texts[2], now, out=what == "pay-out"
                )
            case "group":
                web.services.money_lab.put_in(visitor.actor, whose, form.text("group"), now)
            case "correct":
                texts = [form.text(name) for name in ("amount", "text")]
                money.correct(visitor.actor, _number(form, "entry"), texts[0], texts[1], now)
            case _:
                _no_such("do")
    except InvalidError as error:
        return _account(request, web, visitor, person, error=error, values=form.texts())
    return go(f"/money?person={whose}" if person else "/money", "entered")


def _work(web: Web, visitor: Visitor, form: Form) -> None:
    try:
        day = date.fromisoformat(form.text("day"))
    except ValueError:
        raise InvalidError("form.time", field="day", key="day") from None
    web.services.contributed.give(
        visitor.actor,
        form.text("kind"),
        _number(form, "minutes"),
        day,
        form.text("note"),
        web.clock(),
    )


@router.get("/money/desk")
def desk(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show staff everybody's balance, work to be confirmed, and the months of the books."""
    return _desk(request, web, visitor)


def _desk(
    request: Request,
    web: Web,
    visitor: Visitor,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    needs(visitor, Role.TRAINER)
    services, is_staff = web.services, visitor.may(Role.OPERATOR)
    return page(
        request,
        web,
        visitor,
        "money_desk.html",
        accounts=services.money.accounts(visitor.actor) if is_staff else [],
        work=[
            one
            for one in services.contributed.list(visitor.actor, everybody=True)
            if one.state == "open"
        ],
        months=services.money_lab.months(visitor.actor) if is_staff else [],
        currency=services.money.currency(),
        this_month=web.renderer.clockwork.day_of(web.clock()).isoformat()[:7],
        error=error,
        values=values or {},
    )


@router.post("/money/desk")
def keep(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Take in what staff decide: of work, of the house's own money, of a month."""
    services, now = web.services, web.clock()
    try:
        match form.text("do"):
            case "confirm" | "reject" as what:
                services.contributed.decide(
                    visitor.actor,
                    form.text("work"),
                    form.text("reason"),
                    now,
                    confirmed=what == "confirm",
                )
            case "house":
                kind = EntryKind.COST if form.text("kind") == "cost" else EntryKind.INCOME
                texts = [form.text(name) for name in ("amount", "receipt", "text")]
                services.money.house(visitor.actor, kind, texts[0], texts[1], texts[2], now)
            case "close":
                services.money_lab.close(visitor.actor, form.text("month"), now)
            case _:
                _no_such("do")
    except InvalidError as error:
        return _desk(request, web, visitor, error, form.texts())
    return go("/money/desk", "entered")


@router.get("/money/books.csv")
def books_csv(web: WebDep, visitor: VisitorDep, month: str = "") -> Response:
    """Hand out a month for the accountant."""
    lines = web.services.money_lab.csv(visitor.actor, checked_month(month))
    return _list(b"".join(lines), f"books-{month}.csv")


@router.get("/money/books")
def books(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the lab's books as far as it shows them."""
    lab = web.services.money_lab
    terms = lab.terms()
    months = lab.open_books()
    return page(request, web, visitor, "money_books.html", terms=terms, months=months)


@router.get("/money/terms")
def terms(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what the lab decided about money."""
    return _terms(request, web, visitor)


def _terms(
    request: Request,
    web: Web,
    visitor: Visitor,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    needs(visitor, Role.ADMIN)
    decided = web.services.money_lab.terms()
    held = {
        "currency": decided.currency,
        "late_h": str(decided.late_h),
        "late_percent": str(decided.late_percent),
        "missed_percent": str(decided.missed_percent),
        "rates": "\n".join(
            f"{kind}: {plain(rate, decided.currency)}" for kind, rate in decided.rates.items()
        ),
        "cap": "" if decided.cap_minor is None else plain(decided.cap_minor, decided.currency),
        "least": str(decided.least),
        "bookings": decided.bookings.value,
        "failed": decided.failed.value,
        "shown": decided.shown.value,
    }
    return page(
        request,
        web,
        visitor,
        "money_terms.html",
        held={**held, **(values or {})},
        choices={"bookings": list(Counts), "failed": list(Failed), "shown": list(Shown)},
        groups=web.services.money_lab.groups(),
        error=error,
    )


@router.post("/money/terms")
def decide(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Have other terms hold, or change the groups."""
    lab, now = web.services.money_lab, web.clock()
    try:
        match form.text("do"):
            case "group":
                lab.group(visitor.actor, form.text("name"), now, form.text("group"))
            case "everybody":
                lab.everybodys(visitor.actor, form.text("group"))
            case _:
                names = ("currency", "bookings", "failed", "late_h", "late_percent",
                         "missed_percent", "cap", "shown", "least")  # fmt: skip
                values = {name: form.text(name) for name in names}
                lab.decide(visitor.actor, {**values, "rates": form.secret("rates")}, now)
    except InvalidError as error:
        return _terms(request, web, visitor, error, form.texts())
    return go("/money/terms", "changed")


@router.get("/prices")
def prices(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the prices that hold and those to come."""
    return _prices(request, web, visitor)


def _prices(
    request: Request,
    web: Web,
    visitor: Visitor,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    machines = web.services.bookings.machines() if visitor.may(Role.ADMIN) else []
    return page(
        request,
        web,
        visitor,
        "prices.html",
        prices=web.services.prices.list(web.clock()),
        currency=web.services.money.currency(),
        machines=machines,
        kinds=sorted({one.kind for one in machines}),
        groups=web.services.money_lab.groups() if machines else [],
        pers=list(Per),
        error=error,
        values=values or {},
    )


@router.post("/prices")
def set_price(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Have a price hold, or end."""
    prices, now = web.services.prices, web.clock()
    if form.text("do") == "end":
        prices.end(visitor.actor, form.text("price"), now)
        return go("/prices", "changed")
    if not visitor.may(Role.ADMIN):
        raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
    try:
        prices.set(visitor.actor, form.texts(), now)
    except InvalidError as error:
        return _prices(request, web, visitor, error, form.texts())
    return go("/prices", "changed")


def _no_such(name: str) -> NoReturn:
    raise InvalidError("form.choice", field=name, key=name)


def _number(form: Form, name: str) -> int:
    text = form.text(name)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidError("form.number", field=name, key=name)
    return int(text)


def _list(body: bytes, name: str) -> Response:
    head = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(body, media_type=_CSV, headers=head)
