"""Accounts, what things cost, contributed work, and the books. Amounts are whole minor units."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from jobs.domain.books import EntryKind
from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError
from jobs.services.contributed import ContributionView
from jobs.services.money import CostView, Statement
from jobs.services.money_lab import MonthView, OpenMonth
from jobs.services.prices import PriceView
from web.api.wishes import Instant, ShortText
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.routing import api_router

router = api_router("money")

Words = Annotated[dict[str, ShortText], Field(max_length=20)]


class EntryIn(BaseModel):
    """What is entered: money paid, material taken, a correction, the house's own, a group.

    `amount` is as a person writes it, in the lab's currency; of material in grams, ml or m².
    """

    model_config = ConfigDict(extra="forbid")
    do: Literal["pay", "pay-out", "take", "correct", "cost", "income", "group"]
    person: ShortText = ""
    amount: ShortText = ""
    receipt: ShortText = ""
    text: ShortText = ""
    material: ShortText = ""
    per: ShortText = ""
    lot: ShortText = ""
    entry: int = 0
    group: ShortText = ""


class WorkIn(BaseModel):
    """Work that one gave to the lab; with `confirmed` the word of another about it."""

    model_config = ConfigDict(extra="forbid")
    kind: ShortText = ""
    minutes: int = 0
    day: date | None = None
    note: ShortText = ""
    id: ShortText = ""
    confirmed: bool | None = None


@router.get("/prices")
def prices(web: WebDep, _visitor: ApiVisitorDep) -> list[PriceView]:
    """What time, a start or material costs, for whom, from when until when."""
    return list(web.services.prices.list(web.clock()))


@router.put("/prices", status_code=204)
def set_price(web: WebDep, visitor: ApiVisitorDep, wish: Words) -> None:
    """Have a price hold; keys as on the page: `of`, `material`, `lot`, `group`, `amount` …"""
    web.services.prices.set(visitor.actor, wish, web.clock())


@router.delete("/prices/{price_id}", status_code=204)
def end_price(web: WebDep, visitor: ApiVisitorDep, price_id: str) -> None:
    """Have a price hold no more."""
    web.services.prices.end(visitor.actor, price_id, web.clock())


@router.get("/money/account")
def account(
    web: WebDep,
    visitor: ApiVisitorDep,
    person: str = "",
    since: str = "",
    until: str = "",
) -> Statement:
    """One's own account from month to month; an operator asks for anybody's."""
    whose = person or visitor.actor.person_id
    return web.services.money.statement(visitor.actor, whose, since, until, web.clock())


@router.post("/money/entries", status_code=204)
def enter(web: WebDep, visitor: ApiVisitorDep, wish: EntryIn) -> None:
    """Enter something; a receipt's number counts once."""
    money, now, actor = web.services.money, web.clock(), visitor.actor
    whose = wish.person or actor.person_id
    match wish.do:
        case "pay" | "pay-out" as what:
            out = what == "pay-out"
            money.pay(actor, whose, wish.amount, wish.receipt, wish.text, now, out=out)
        case "take":
            texts = (wish.material, wish.per, wish.amount)
            money.take(actor, whose, *texts, now, wish.lot, wish.text)
        case "correct":
            money.correct(actor, wish.entry, wish.amount, wish.text, now)
        case "group":
            web.services.money_lab.put_in(actor, whose, wish.group, now)
        case kind:
            words = (wish.amount, wish.receipt, wish.text)
            money.house(actor, EntryKind(kind), *words, now)


@router.get("/money/cost")
def cost(
    web: WebDep,
    visitor: ApiVisitorDep,
    job: str = "",
    machine: str = "",
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
) -> list[CostView]:
    """What a job would cost on each machine, or a time on one, before anything begins."""
    now = web.clock()
    if job:
        return list(web.services.money.costs_of_job(visitor.actor, job, now))
    if start is None or end is None or end <= start:
        raise InvalidError("form.time", field="end", key="end")
    interval = Interval(start, end)
    found = web.services.money.cost_of_booking(visitor.actor, machine, interval, now)
    return [] if found is None else [found]


@router.get("/money/work")
def work(web: WebDep, visitor: ApiVisitorDep, *, everybody: bool = False) -> list[ContributionView]:
    """One's own contributed work; for trainers everybody's."""
    return list(web.services.contributed.list(visitor.actor, everybody=everybody))


@router.post("/money/work", status_code=204)
def give(web: WebDep, visitor: ApiVisitorDep, wish: WorkIn) -> None:
    """Say that one has worked, or of somebody else's work whether it was so."""
    now, actor = web.clock(), visitor.actor
    if wish.confirmed is not None:
        web.services.contributed.decide(actor, wish.id, wish.note, now, confirmed=wish.confirmed)
        return
    if wish.day is None:
        raise InvalidError("form.time", field="day", key="day")
    web.services.contributed.give(actor, wish.kind, wish.minutes, wish.day, wish.note, now)


@router.get("/money/books")
def books(web: WebDep, _visitor: ApiVisitorDep) -> list[OpenMonth]:
    """The lab's books, as far as it shows them; nobody is named."""
    return list(web.services.money_lab.open_books())


@router.get("/money/months")
def months(web: WebDep, visitor: ApiVisitorDep) -> list[MonthView]:
    """The months of the books, for operators."""
    return list(web.services.money_lab.months(visitor.actor))


@router.get("/money/months/{month}.csv")
def month_csv(web: WebDep, visitor: ApiVisitorDep, month: str) -> Response:
    """One month for the accountant; of a closed one always the same bytes."""
    lines = web.services.money_lab.csv(visitor.actor, month)
    return Response(b"".join(lines), media_type="text/csv; charset=utf-8")


@router.post("/money/months/{month}/close", status_code=204)
def close(web: WebDep, visitor: ApiVisitorDep, month: str) -> None:
    """Close a month and those before it."""
    web.services.money_lab.close(visitor.actor, month, web.clock())


@router.get("/money/terms")
def terms(web: WebDep, _visitor: ApiVisitorDep) -> dict[str, object]:
    """What the lab decided about money; amounts in minor units."""
    return web.services.money_lab.terms().to_json()


@router.patch("/money/terms", status_code=204)
def decide(web: WebDep, visitor: ApiVisitorDep, wish: Words) -> None:
    """Have other terms hold; what is left out stays. Values as texts, as on the page."""
    web.services.money_lab.decide(visitor.actor, wish, web.clock())
