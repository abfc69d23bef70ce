"""The lab's prices: each amount is a version of its own, with the time that it holds for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.importing import RowError, end_of_day, start_of_day
from jobs.domain.money import MICRO
from jobs.domain.people import Actor, Role
from jobs.domain.prices import PART_OF, Amount, Part, Per, amount_of
from jobs.services.workshop import Workshop
from jobs.store.house import Price
from jobs.store.money import MoneyGroup
from jobs.store.tables import Machine

LONGEST_MATERIAL, LONGEST_LOT, LONGEST_GROUP = 40, 80, 80


@dataclass(frozen=True, slots=True)
class PriceView:
    """One price that holds, or will.

    :param machine_slug: or *kind*, or *material* (of one *lot*): what it is of.
    :param group: who pays it; "" for everybody else.
    :param amount: for one unit, in the currency; *micro* is the same, exactly, in millionths.
    :param block_min: how long a unit is where it is a block.
    """

    id: str
    machine_slug: str
    machine_name: str
    kind: str
    material: str
    lot: str
    group: str
    per: Per
    block_min: int
    amount: Decimal
    micro: int
    currency: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """What a price is of, and whose."""

    machine_id: str | None = None
    kind: str = ""
    material: str = ""
    lot: str = ""
    group: str = ""


class Prices:
    """Use cases about prices."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def list(self, now: datetime) -> Sequence[PriceView]:
        """Return the prices that hold or are to come; anybody signed in may read them."""
        query = (
            select(Price, Machine.slug, Machine.name)
            .outerjoin(Machine, Machine.id == Price.machine_id)
            .where(
                or_(Price.superseded_at.is_(None), Price.superseded_at > now),
                or_(Price.until_at.is_(None), Price.until_at > now),
            )
            .order_by(
                Machine.name, Price.kind, Price.material, Price.lot, Price.per, Price.for_group,
                Price.at,
            )
        )  # fmt: skip
        with self._database.read() as session:
            rows = session.execute(query).all()
        return [_view(row, slug or "", name or "") for row, slug, name in rows]

    def set(self, actor: Actor, values: Mapping[str, str], now: datetime) -> None:
        """Have a price hold from now, or from a day to come.

        :param values: `of` (`machine:<slug>`, `kind:<kind>` or `material`), `material`, `lot`,
            `group`, `amount`, `per`, `block_min`, `from` and `until` (days, the last included).
        :raises InvalidError: naming the field.
        """
        _must_be_admin(actor)
        zone = self._workshop.zone
        try:
            with self._database.write() as session:
                cells = {key: value.strip() for key, value in values.items() if value.strip()}
                place = self._place(session, cells)
                default = Per.GRAM if place.material else Per.HOUR
                if cells.get("per") == Per.BLOCK:
                    cells["duration"] = cells.get("block_min", "")
                amount = amount_of(
                    {key: cells[key] for key in ("amount", "per", "duration") if key in cells},
                    default,
                )
                since, until = start_of_day(cells, "from", zone), end_of_day(cells, "until", zone)
                set_price(
                    session, self._workshop, place, amount, actor.person_id, now, since, until
                )
        except RowError as error:
            code = f"price.{error.code}"
            raise InvalidError(code, field=error.field, **error.values) from None

    def end(self, actor: Actor, price_id: str, now: datetime) -> None:
        """Have a price hold no more from now on; one that is to come never does."""
        _must_be_admin(actor)
        with self._database.write() as session:
            row = session.get(Price, price_id)
            if row is None or _end(row) <= now:
                raise NotFoundError("money.no-price")
            row.superseded_at = max(now, row.at)

    def _place(self, session: Session, cells: Mapping[str, str]) -> Place:
        word, _, of = cells.get("of", "").partition(":")
        group = cells.get("group", "")[:LONGEST_GROUP]
        if word == "machine":
            machine_id = session.scalar(
                select(Machine.id).where(Machine.slug == of, Machine.retired_at.is_(None))
            )
            if machine_id is None:
                raise RowError("of", "no-machine", text=of[:60])
            return Place(machine_id, group=group)
        if word == "kind":
            if not of or len(of) > 16:
                raise RowError("of", "kind", text=of[:40])
            return Place(kind=of, group=group)
        material = cells.get("material", "").casefold()[:LONGEST_MATERIAL]
        if word != "material" or not material:
            raise RowError("material", "price-of")
        lot = cells.get("lot", "").casefold()[:LONGEST_LOT]
        return Place(material=material, lot=lot, group=group)


def set_price(
    session: Session,
    workshop: Workshop,
    place: Place,
    amount: Amount,
    person_id: str | None,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bool:
    """Have a price hold in place of the one before; return whether anything changed.

    What holds later, or again after *until*, stays. A group that is new is added.

    :param since: None: from now on.
    :raises RowError: `price-twice` for another one from the same list, `price-past`, `unit`.
    """
    since = now if since is None else since
    if bool(place.material) is not (PART_OF[amount.per] is Part.MATERIAL):
        raise RowError("per", "unit", text=amount.per.value)
    if since < now or (until is not None and until <= since):
        raise RowError("from" if since < now else "until", "price-past")
    known = _versions(session, place, amount.per)
    there = next((one for one in known if one.at <= since < _end(one)), None)
    if any(one.at == since and (one.made_at or one.at) == now for one in known):
        if there is not None and _is_same(there, amount, until):
            return False
        raise RowError("amount", "price-twice")
    if there is not None and _is_same(there, amount, until):
        return False
    if place.group:
        _know_group(session, workshop, place.group, now)
    later = min((one.at for one in known if one.at > since and one.at < _end(one)), default=None)
    if there is not None:
        if until is not None and until < min(_end(there), later or _end(there)):
            session.add(_again(workshop, there, until))
        there.superseded_at = since
    session.add(
        Price(
            id=workshop.new_id(),
            machine_id=place.machine_id,
            kind=place.kind,
            material=place.material,
            lot=place.lot,
            for_group=place.group,
            per=amount.per.value,
            block_min=amount.block_min,
            micro=amount.micro,
            currency=amount.currency,
            at=since,
            until_at=until,
            made_at=now,
            person_id=person_id,
            superseded_at=later if later is not None and (until is None or later < until) else None,
        )
    )
    session.flush()
    return True


def _versions(session: Session, place: Place, per: Per) -> Sequence[Price]:
    """Return every version that took or takes the same place in the list."""
    pers = [one.value for one in Per if PART_OF[one] is PART_OF[per]]
    is_machine = (
        Price.machine_id.is_(None)
        if place.machine_id is None
        else Price.machine_id == place.machine_id
    )
    return session.scalars(
        select(Price)
        .where(
            is_machine,
            Price.kind == place.kind,
            Price.material == place.material,
            Price.lot == place.lot,
            Price.for_group == place.group,
            Price.per.in_(pers),
        )
        .order_by(Price.at)
    ).all()


def _end(row: Price) -> datetime:
    ends = [one for one in (row.until_at, row.superseded_at) if one is not None]
    return min(ends) if ends else datetime.max.replace(tzinfo=row.at.tzinfo)


def _is_same(row: Price, amount: Amount, until: datetime | None) -> bool:
    own = (row.micro, row.currency, row.per, row.block_min, row.until_at)
    return own == (amount.micro, amount.currency, amount.per.value, amount.block_min, until)


def _again(workshop: Workshop, row: Price, since: datetime) -> Price:
    """Return the same price once more, for after one that holds for a while alone."""
    return Price(
        id=workshop.new_id(),
        machine_id=row.machine_id,
        kind=row.kind,
        material=row.material,
        lot=row.lot,
        for_group=row.for_group,
        per=row.per,
        block_min=row.block_min,
        micro=row.micro,
        currency=row.currency,
        at=since,
        until_at=row.until_at,
        made_at=row.made_at,
        person_id=row.person_id,
        superseded_at=row.superseded_at,
    )


def _know_group(session: Session, workshop: Workshop, name: str, now: datetime) -> None:
    if session.scalar(select(MoneyGroup.id).where(MoneyGroup.name == name)) is None:
        session.add(MoneyGroup(id=workshop.new_id(), name=name, everybody=False, created_at=now))
        session.flush()


def _view(row: Price, slug: str, name: str) -> PriceView:
    ends = [one for one in (row.until_at, row.superseded_at) if one is not None]
    return PriceView(
        row.id,
        slug,
        name,
        row.kind,
        row.material,
        row.lot,
        row.for_group,
        Per(row.per),
        row.block_min,
        Decimal(row.micro) / MICRO,
        row.micro,
        row.currency,
        row.at,
        min(ends) if ends else None,
    )


def _must_be_admin(actor: Actor) -> None:
    if not actor.is_at_least(Role.ADMIN):
        raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
