"""Which prices hold for whom: the lab's terms, membership groups and the price list, looked up.

A preview and a charge both come through `tariff_of`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from jobs.domain.money_terms import MoneyTerms
from jobs.domain.prices import Per, Price, Tariff
from jobs.store.house import Price as PriceRow
from jobs.store.money import MoneyAccount, MoneyGroup, MoneyTerm
from jobs.store.tables import Machine


def terms_of(session: Session) -> MoneyTerms:
    """Return what the lab decided last."""
    row = session.scalars(select(MoneyTerm).order_by(MoneyTerm.version.desc()).limit(1)).first()
    return MoneyTerms() if row is None else MoneyTerms.from_json(row.terms)


def group_of(session: Session, person_id: str) -> str:
    """Return the name of a person's group; without one, that of everybody; "" where none is."""
    own = session.scalar(
        select(MoneyGroup.name)
        .join(MoneyAccount, MoneyAccount.group_id == MoneyGroup.id)
        .where(MoneyAccount.person_id == person_id)
    )
    if own is not None:
        return own
    return session.scalar(select(MoneyGroup.name).where(MoneyGroup.everybody)) or ""


def tariff_of(
    session: Session,
    machine: Machine | None,
    group: str,
    at: datetime,
    materials: Collection[str] = (),
    lots: Collection[str] = (),
) -> Tariff:
    """Return the prices that hold at an instant for a machine, a group and some material.

    :param machine: None where only material is asked for.
    """
    currency = terms_of(session).currency
    wanted = []
    if machine is not None:
        wanted.append(PriceRow.machine_id == machine.id)
        wanted.append(and_(PriceRow.machine_id.is_(None), PriceRow.kind == machine.kind))
    if named := [one.casefold() for one in materials if one]:
        wanted.append(and_(PriceRow.material.in_(named), PriceRow.lot == ""))
    if known := [one.casefold() for one in lots if one]:
        wanted.append(PriceRow.lot.in_(known))
    if not wanted:
        return Tariff(currency, (), group=group, at=at)
    rows = session.scalars(
        select(PriceRow).where(
            or_(*wanted),
            PriceRow.for_group.in_(("", group)),
            PriceRow.at <= at,
            or_(PriceRow.until_at.is_(None), PriceRow.until_at > at),
            or_(PriceRow.superseded_at.is_(None), PriceRow.superseded_at > at),
            # What another list brought in another currency is shown, and never charged.
            PriceRow.currency.in_(("", currency)),
        )
    ).all()
    return Tariff(
        currency,
        priced(rows),
        machine.id if machine else "",
        machine.kind if machine else "",
        group,
        at,
    )


def priced(rows: Sequence[PriceRow]) -> Sequence[Price]:
    """Return prices as the arithmetic takes them."""
    return [
        Price(
            row.id,
            Per(row.per),
            row.micro,
            row.at,
            row.until_at,
            row.block_min,
            row.machine_id or "",
            row.kind,
            row.material,
            row.lot,
            row.for_group,
        )
        for row in rows
    ]
