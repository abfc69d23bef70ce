"""Contesting a result, what was counted, or a no-show: one note, decided by somebody else.

What is upheld is corrected in the books by a new record.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.books import EntryKind
from jobs.domain.care import CONTEST_DAYS, needed_text
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.money import minor_of, plain
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.usage import Json
from jobs.services.clearing import staff_of
from jobs.services.costing import recount
from jobs.services.ledger import Ledger
from jobs.services.looks import Looks
from jobs.services.notices import tell
from jobs.services.people import alias_of
from jobs.services.purse import Posting, correct, entry_for, net_of
from jobs.services.workshop import Workshop
from jobs.store.money import MoneyAccount, MoneyEntry
from jobs.store.tables import Allocation, Arming, Attempt, Job, Machine, Person, Record, Setting
from jobs.store.upkeep import Clearing, Contest

DAYS_KEY: Final = "clearing.contest-days"
_OPEN, _UPHELD, _REJECTED = "open", "upheld", "rejected"
_SHOWN: Final = 100
_MOST_COUNTED: Final = 100_000  # minutes, or grams, of one run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContestView:
    """One note against a result or a no-show, as it stands.

    :param mine: it is the viewer's own.
    :param may_decide: the viewer is staff, and was not involved.
    """

    id: str
    about: str
    what: str  # of what: a job's title, or a machine's name
    person_name: str
    at: datetime
    note: str
    state: str
    decided_at: datetime | None
    decided_by: str
    reason: str
    mine: bool
    may_decide: bool


@dataclass(frozen=True, slots=True)
class _Matter:
    """What is contested: whose it is, since when, and who had a hand in it."""

    kind: str  # result, use, no-show, charge
    person_id: str
    since: datetime
    what: str
    involved: frozenset[str]
    record_id: str | None


class Contests:
    """Use cases of whoever says "that is wrong", and of whoever decides it."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._ledger = Ledger(workshop)

    def open(self, actor: Actor, about: str, note: str, now: datetime) -> str:
        """Take a person's one note about a run of their own or a no-show; return its id.

        :param about: `attempt:<id>` (its result), `use:<id>` (the time and material that were
            counted for it), `booking:<id>` or `charge:<number>` of an entry.
        :raises RefusedError: `contest-late` after the days for it, `contested` a second time.
        """
        note = needed_text(note, 500, "note")
        try:
            with self._database.write() as session:
                matter = _matter(session, about)
                if matter.person_id != actor.person_id:
                    raise RefusedError([Refusal(Reason.NOT_YOURS)])
                days = _days(session)
                if now > matter.since + timedelta(days=days):
                    raise RefusedError([Refusal(Reason.CONTEST_LATE, {"days": days})])
                row = Contest(
                    id=self._workshop.new_id(),
                    about=about,
                    person_id=actor.person_id,
                    at=now,
                    note=note,
                    state=_OPEN,
                )
                session.add(row)
                session.flush()
                for person_id in staff_of(session):
                    if person_id not in matter.involved:
                        fields = {"what": matter.what, "person": actor.name}
                        about_it = f"contest:{row.id}"
                        tell(
                            session,
                            self._workshop,
                            person_id,
                            "contest-open",
                            fields,
                            now,
                            about_it,
                        )
        except IntegrityError as error:
            raise RefusedError([Refusal(Reason.CONTESTED)]) from error
        return row.id

    def decide(
        self,
        actor: Actor,
        contest_id: str,
        reason: str,
        now: datetime,
        *,
        upheld: bool,
        minutes: float | None = None,
        mass_g: float | None = None,
        amount: str = "",
    ) -> None:
        """Decide a note; what is upheld is corrected by a new record, never by changing an old one.

        :param minutes: and *mass_g*: what counts instead, of contested use; None: nothing.
        :param amount: what a contested charge should have been, as a person writes it; "": nothing.
        :raises InvalidError: `contest.amount` if that is more than any run takes.
        :raises RefusedError: `involved` for whoever had a hand in it.
        """
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        reason = needed_text(reason, 500, "reason")
        counts = {
            "effort_ms": round(_amount(minutes, "minutes") * 60_000),
            "mass_mg": round(_amount(mass_g, "mass_g") * 1000),
        }
        with self._database.write() as session:
            row = session.get(Contest, contest_id, with_for_update=True)
            if row is None:
                raise NotFoundError("contest.unknown")
            if row.state != _OPEN:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            matter = _matter(session, row.about)
            if actor.person_id in matter.involved:
                raise RefusedError([Refusal(Reason.INVOLVED)])
            row.state = _UPHELD if upheld else _REJECTED
            row.decided_at, row.decided_by, row.reason = now, actor.person_id, reason
            if upheld:
                row.record_id = self._correct(session, row, matter, actor, counts, now)
                self._repay(session, row, matter, actor, counts, amount, now)
            fields = {"what": matter.what, "reason": reason}
            code, about = f"contest-{row.state}", f"contest:{row.id}"
            tell(session, self._workshop, row.person_id, code, fields, now, about)
        log.info("contest %s: %s by %s", contest_id, row.state, actor.person_id)

    def list(self, actor: Actor, now: datetime | None = None) -> Sequence[ContestView]:
        """Return a person's own notes, and for staff all of them; open ones first.

        :param now: when it is looked at by a person, which is written down.
        """
        query = select(Contest).order_by((Contest.state != _OPEN), Contest.at.desc()).limit(_SHOWN)
        if not actor.is_at_least(Role.OPERATOR):
            query = query.where(Contest.person_id == actor.person_id)
        with self._database.read() as session:
            rows = session.scalars(query).all()
            found = [_view(session, row, actor) for row in rows]
        if now is not None:
            Looks(self._workshop).note(actor, [row.person_id for row in rows], "contests", now)
        return found

    def contestable(self, actor: Actor, about: str, now: datetime) -> str:
        """Return what a person may contest, in words; "" if they may not, or did already."""
        with self._database.read() as session:
            try:
                matter = _matter(session, about)
            except (NotFoundError, InvalidError):
                return ""
            known = session.scalar(select(Contest.id).where(Contest.about == about))
            is_late = now > matter.since + timedelta(days=_days(session))
        is_theirs = matter.person_id == actor.person_id
        return "" if known or is_late or not is_theirs else matter.what

    def _correct(
        self,
        session: Session,
        row: Contest,
        matter: _Matter,
        actor: Actor,
        counts: Mapping[str, int],
        now: datetime,
    ) -> str:
        facts: dict[str, Json] = {
            "type": "correction",
            "of": matter.record_id,
            "about": row.about,
            "what": matter.kind,
            "result": "contest-upheld",
            "agent": alias_of(session, actor.person_id, self._workshop),
        }
        if matter.kind == "use":
            facts |= counts
        if matter.kind == "no-show":
            booking = session.get_one(Allocation, row.about.partition(":")[2])
            facts["missed_us"] = round(matter.since.timestamp() * 1e6)
            booking.missed_at = None  # it counts no more; the ledger keeps that it did
        return self._ledger.append(session, facts, now, None).id

    def _repay(
        self,
        session: Session,
        row: Contest,
        matter: _Matter,
        actor: Actor,
        counts: Mapping[str, int],
        amount: str,
        now: datetime,
    ) -> None:
        """Put right in money what was upheld; the entry it was charged by stays as it is."""
        key = row.about.partition(":")[2]
        posting = Posting(
            EntryKind.CORRECTION, 0, f"contest:{row.id}", why="contest", by_id=actor.person_id
        )
        if matter.kind == "use":
            effort, mass = counts["effort_ms"], counts["mass_mg"]
            recount(session, self._workshop, key, effort, mass, posting, now)
            return
        fact = {"no-show": f"missed:{key}"}.get(matter.kind)
        entry = entry_for(session, fact) if fact else None
        if matter.kind == "charge":
            entry = session.get_one(MoneyEntry, int(key))
        if entry is None:
            return
        should = -minor_of(amount, entry.currency) if amount.strip() else 0
        if should < net_of(session, entry):
            raise InvalidError("contest.more", field="amount")
        correct(session, self._workshop, entry, should, posting, now)


def _amount(value: float | None, field: str) -> float:
    if value is None:
        return 0.0
    if not 0 <= value <= _MOST_COUNTED:
        raise InvalidError("contest.amount", field=field, most=_MOST_COUNTED)
    return value


def _days(session: Session) -> int:
    row = session.get(Setting, DAYS_KEY)
    return CONTEST_DAYS if row is None else int(row.value)


def _matter(session: Session, about: str) -> _Matter:
    kind, _, what_id = about.partition(":")
    if kind in ("attempt", "use"):
        return _run(session, what_id, "use" if kind == "use" else "result")
    if kind == "booking":
        return _no_show(session, what_id)
    if kind == "charge":
        return _charge(session, what_id)
    raise InvalidError("contest.about", field="about")


def _run(session: Session, attempt_id: str, kind: str) -> _Matter:
    attempt = session.get(Attempt, attempt_id)
    if attempt is None or attempt.ended_at is None:
        raise NotFoundError("contest.nothing")
    job = session.get_one(Job, attempt.job_id)
    cleared = session.scalars(select(Clearing).where(Clearing.attempt_id == attempt_id)).all()
    arming = session.get(Arming, attempt.arming_id) if attempt.arming_id else None
    hands = {job.person_id, *(one.person_id for one in cleared)}
    if arming is not None:
        hands.add(arming.person_id)
    record = session.scalar(select(Record.id).where(Record.attempt_id == attempt_id))
    since = max([attempt.ended_at, *(one.at for one in cleared)])
    return _Matter(kind, job.person_id, since, job.title, frozenset(hands), record)


def _charge(session: Session, seq: str) -> _Matter:
    is_number = seq.isascii() and seq.isdigit() and len(seq) < 10
    entry = session.get(MoneyEntry, int(seq)) if is_number else None
    account = session.get(MoneyAccount, entry.account_id) if entry and entry.account_id else None
    is_charge = entry is not None and entry.kind in (EntryKind.CHARGE, EntryKind.FEE)
    if entry is None or account is None or not is_charge or not entry.minor:
        raise NotFoundError("contest.nothing")
    hands = {one for one in (account.person_id, entry.by_id) if one}
    record_id = None
    kind, _, fact_id = (entry.fact or "").partition(":")
    if kind == "run":
        run = _run(session, fact_id, "use")
        hands, record_id = hands | run.involved, run.record_id
    name = session.scalar(select(Machine.name).where(Machine.slug == entry.machine))
    what = " ".join(
        word for word in (name or entry.text, plain(-entry.minor, entry.currency)) if word
    )
    return _Matter(
        "charge",
        account.person_id or "",
        entry.at,
        f"{what} {entry.currency}",
        frozenset(hands),
        record_id,
    )


def _no_show(session: Session, allocation_id: str) -> _Matter:
    row = session.get(Allocation, allocation_id)
    was = session.scalar(
        select(Contest.at).where(
            Contest.about == f"booking:{allocation_id}", Contest.state == _UPHELD
        )
    )
    missed_at = None if row is None else row.missed_at or was
    if row is None or missed_at is None or row.person_id is None:
        raise NotFoundError("contest.nothing")
    name = session.get_one(Machine, row.machine_id).name
    return _Matter("no-show", row.person_id, missed_at, name, frozenset({row.person_id}), None)


def _view(session: Session, row: Contest, actor: Actor) -> ContestView:
    matter = _matter(session, row.about)
    names = dict(
        session.execute(
            select(Person.id, Person.name).where(Person.id.in_([row.person_id, row.decided_by]))
        ).all()
    )
    is_staff = actor.is_at_least(Role.OPERATOR) and row.state == _OPEN
    return ContestView(
        row.id,
        row.about,
        matter.what,
        names.get(row.person_id, ""),
        row.at,
        row.note,
        row.state,
        row.decided_at,
        names.get(row.decided_by or "", ""),
        row.reason,
        row.person_id == actor.person_id,
        is_staff and actor.person_id not in matter.involved,
    )
