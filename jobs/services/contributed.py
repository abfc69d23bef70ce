"""Work that people give to the lab: said by them, confirmed by another, credited by its terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.books import EntryKind
from jobs.domain.care import needed_text, one_line
from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.money_terms import credit_for
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.asked import must_be
from jobs.services.notices import tell
from jobs.services.purse import Posting, account_of, entry_for, net_of, post
from jobs.services.tariffs import terms_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.money import Contribution, MoneyAccount
from jobs.store.tables import Person

_OPEN, _CONFIRMED, _REJECTED = "open", "confirmed", "rejected"
_MOST_MIN: Final = 24 * 60
_REACH: Final = timedelta(days=92)  # longer ago nobody remembers
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class ContributionView:
    """One stretch of work, as it stands.

    :param minor: what it was credited; None while nobody decided.
    """

    id: str
    person_name: str
    kind: str
    minutes: int
    day: date
    note: str
    state: str
    decided_by: str
    reason: str
    minor: int | None
    mine: bool
    may_decide: bool


class Contributed:
    """Use cases of whoever works for the lab, and of whoever saw it."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def kinds(self) -> Sequence[str]:
        """Return what work the lab credits."""
        with self._database.read() as session:
            return list(terms_of(session).rates)

    def give(
        self, actor: Actor, kind: str, minutes: int, day: date, note: str, now: datetime
    ) -> str:
        """Say that one has worked; return the id.

        :raises InvalidError: `money.work-kind`, `money.work-minutes`, `money.work-day`.
        """
        must_be(actor, Role.MEMBER)
        note = one_line(note, 200, "note")
        if not 1 <= minutes <= _MOST_MIN:
            raise InvalidError("money.work-minutes", field="minutes", most=_MOST_MIN)
        today = now.astimezone(self._workshop.zone).date()
        if not today - _REACH <= day <= today:
            raise InvalidError("money.work-day", field="day", days=_REACH.days)
        with self._database.write() as session:
            if kind not in terms_of(session).rates:
                raise InvalidError("money.work-kind", field="kind", text=kind[:40])
            row = Contribution(
                id=self._workshop.new_id(),
                account_id=account_of(session, self._workshop, actor.person_id, now).id,
                kind=kind,
                minutes=minutes,
                day=day,
                note=note,
                at=now,
                state=_OPEN,
            )
            session.add(row)
        self._workshop.live.touch()
        return row.id

    def decide(
        self, actor: Actor, contribution_id: str, reason: str, now: datetime, *, confirmed: bool
    ) -> None:
        """Say that it was so, or not; a trainer or more, and never about one's own work.

        :param reason: needed for a no.
        """
        must_be(actor, Role.TRAINER)
        if not confirmed:
            reason = needed_text(reason, 200, "reason")
        reason = one_line(reason, 200, "reason")
        with self._database.write() as session:
            take_turn(session, "money")
            row = session.get(Contribution, contribution_id, with_for_update=True)
            if row is None:
                raise NotFoundError("money.no-work")
            account = session.get_one(MoneyAccount, row.account_id)
            if account.person_id == actor.person_id:
                raise RefusedError([Refusal(Reason.INVOLVED)])
            if row.state != _OPEN:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            row.state = _CONFIRMED if confirmed else _REJECTED
            row.decided_at, row.decided_by, row.reason = now, actor.person_id, reason
            if confirmed:
                self._credit(session, row, account, actor, now)
            fields: dict[str, str | int] = {
                "what": row.kind,
                "minutes": row.minutes,
                "reason": reason,
            }
            tell(
                session, self._workshop, account.person_id, f"work-{row.state}", fields, now,
                f"work:{row.id}",
            )  # fmt: skip
        self._workshop.live.touch()

    def list(self, actor: Actor, *, everybody: bool = False) -> Sequence[ContributionView]:
        """Return one's own work, or for trainers everybody's; what is open first."""
        query = (
            select(Contribution, MoneyAccount, Person.name)
            .join(MoneyAccount, MoneyAccount.id == Contribution.account_id)
            .outerjoin(Person, Person.id == MoneyAccount.person_id)
            .order_by((Contribution.state != _OPEN), Contribution.at.desc())
            .limit(_SHOWN)
        )
        if everybody:
            must_be(actor, Role.TRAINER)
        else:
            query = query.where(MoneyAccount.person_id == actor.person_id)
        with self._database.read() as session:
            rows = session.execute(query).all()
            by = {row.decided_by for row, _, _ in rows if row.decided_by}
            names = dict(
                session.execute(select(Person.id, Person.name).where(Person.id.in_(by))).all()
            )
            found = []
            for row, account, name in rows:
                entry = entry_for(session, f"work:{row.id}") if row.state == _CONFIRMED else None
                is_mine = account.person_id == actor.person_id
                found.append(
                    ContributionView(
                        row.id, name or "", row.kind, row.minutes, row.day, row.note, row.state,
                        names.get(row.decided_by or "", ""), row.reason,
                        entry.minor if entry else None, is_mine,
                        row.state == _OPEN and not is_mine and actor.is_at_least(Role.TRAINER),
                    )
                )  # fmt: skip
            return found

    def _credit(
        self,
        session: Session,
        row: Contribution,
        account: MoneyAccount,
        actor: Actor,
        now: datetime,
    ) -> None:
        terms = terms_of(session)
        rate = terms.rates.get(row.kind, 0)
        earlier = _credited(session, account, row.day)
        minor = credit_for(row.minutes, rate, terms.cap_minor, earlier)
        line: dict[str, object] = {
            "part": "work", "minutes": row.minutes, "rate": rate, "minor": minor,
        }  # fmt: skip
        why = "work"
        if minor < credit_for(row.minutes, rate, None, 0):
            why, line = "work-capped", {**line, "cap": terms.cap_minor, "earlier": earlier}
        fact_at = datetime.combine(row.day, datetime.min.time(), self._workshop.zone)
        posting = Posting(
            EntryKind.CONTRIBUTION,
            minor,
            f"work:{row.id}",
            fact_at,
            lines=[line],
            why=why,
            text=row.kind,
            by_id=actor.person_id,
        )
        post(session, self._workshop, account, posting, now)


def _credited(session: Session, account: MoneyAccount, day: date) -> int:
    """Return what the month of a day has been credited for work already."""
    first = day.replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    ids = session.scalars(
        select(Contribution.id).where(
            Contribution.account_id == account.id,
            Contribution.state == _CONFIRMED,
            Contribution.day >= first,
            Contribution.day < after,
        )
    ).all()
    entries = [entry_for(session, f"work:{one}") for one in ids]
    return sum(net_of(session, one) for one in entries if one is not None)
