"""The lab's prices, as they were brought along; what costs something is not charged yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.importing import RowError
from jobs.domain.prices import Amount, Per
from jobs.services.workshop import Workshop
from jobs.store.house import Price
from jobs.store.tables import Machine


@dataclass(frozen=True, slots=True)
class PriceView:
    """One price that holds.

    :param machine_slug: or *kind*, or *material*: what it is of.
    :param group: who pays it; "" for everybody else.
    :param amount: for one unit, in the currency.
    """

    machine_slug: str
    machine_name: str
    kind: str
    material: str
    group: str
    per: Per
    amount: float
    currency: str
    since: datetime


class Prices:
    """Use cases about prices."""

    def __init__(self, workshop: Workshop) -> None:
        self._database = workshop.database

    def list(self) -> Sequence[PriceView]:
        """Return the prices that hold; anybody signed in may read them."""
        query = (
            select(Price, Machine.slug, Machine.name)
            .outerjoin(Machine, Machine.id == Price.machine_id)
            .where(Price.superseded_at.is_(None))
            .order_by(Machine.name, Price.kind, Price.material, Price.per, Price.for_group)
        )
        with self._database.read() as session:
            return [
                PriceView(
                    slug or "",
                    name or "",
                    row.kind,
                    row.material,
                    row.for_group,
                    Per(row.per),
                    row.micro / 1e6,
                    row.currency,
                    row.at,
                )
                for row, slug, name in session.execute(query)
            ]


def set_price(
    session: Session,
    price_id: str,
    machine: Machine | None,
    kind: str,
    material: str,
    group: str,
    amount: Amount,
    person_id: str | None,
    now: datetime,
) -> bool:
    """Have a price hold in place of the one before; return whether anything changed.

    :raises RowError: `price-twice` for another one from the same list.
    """
    machine_id = machine.id if machine else None
    of_machine = Price.machine_id.is_(None) if machine is None else Price.machine_id == machine_id
    known = session.scalar(
        select(Price).where(
            of_machine,
            Price.kind == kind,
            Price.material == material,
            Price.for_group == group,
            Price.per == amount.per.value,
            Price.superseded_at.is_(None),
        )
    )
    if known is not None:
        if (known.micro, known.currency) == (amount.micro, amount.currency):
            return False
        if known.at == now:
            raise RowError("amount", "price-twice")
        known.superseded_at = now
    session.add(
        Price(
            id=price_id,
            machine_id=machine_id,
            kind=kind,
            material=material,
            for_group=group,
            per=amount.per.value,
            micro=amount.micro,
            currency=amount.currency,
            at=now,
            person_id=person_id,
        )
    )
    session.flush()
    return True
