"""The lab's own rules: what holds, who decided it, and what it was before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.domain.rules.values import (
    LAB,
    SPECS,
    Level,
    Scope,
    Spec,
    Unit,
    Value,
    Values,
    checked,
    resolved,
    spec_of,
)
from jobs.kinds import KINDS
from jobs.services.approvals import checked_reason
from jobs.services.holiday_days import YEARS, look_up
from jobs.services.house_rules import HOLIDAYS, read_json, setting_key
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import RuleChange
from jobs.store.tables import Machine, Person, Setting

TURN: Final = "rules"
_MOST_CHANGES: Final = 100


@dataclass(frozen=True, slots=True)
class RuleView:
    """One value as it holds in a scope.

    :param own: whether it was decided right there.
    :param level: where what holds was decided.
    """

    spec: Spec
    value: Value
    own: bool
    level: Level


@dataclass(frozen=True, slots=True)
class ScopeView:
    """Something that rules are set for; `own` counts the values that it sets itself."""

    scope: Scope
    name: str
    own: int


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change, as everybody may read it; None for `old` or `new`: nothing was set there."""

    at: datetime
    person: str
    scope: Scope
    scope_name: str
    rule: str
    old: Sequence[Value] | None
    new: Sequence[Value] | None
    reason: str
    proposal_id: str | None


class House:
    """Use cases about the rules of the house."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def scopes(self) -> Sequence[ScopeView]:
        """Return the lab, the kinds that it has, and the machines, each with its name."""
        with self._database.read() as session:
            machines = session.scalars(
                select(Machine).where(Machine.retired_at.is_(None)).order_by(Machine.name)
            ).all()
            scopes = [(LAB, "", "")]
            scopes += [
                (Scope(Level.KIND, kind), kind, "")
                for kind in sorted({machine.kind for machine in machines})
            ]
            scopes += [(Scope(Level.MACHINE, one.slug), one.name, one.id) for one in machines]
            return [
                ScopeView(scope, name, len(_own(session, scope, machine_id)))
                for scope, name, machine_id in scopes
            ]

    def rules(self, scope: Scope) -> Sequence[RuleView]:
        """Return every value that holds there."""
        with self._database.read() as session:
            values, own = _holds(session, scope)
        return [
            RuleView(spec, values.value(spec.key), spec.key in own, values.level(spec.key))
            for spec in SPECS
            if scope.level is Level.LAB or not spec.lab_only
        ]

    def decided_in(self, slug: str, key: str) -> Scope:
        """Return where the value that holds for a machine was decided, the lab if nowhere."""
        with self._database.read() as session:
            scope = Scope(Level.MACHINE, slug)
            level = _holds(session, scope)[0].level(spec_of(key).key)
            match level:
                case Level.MACHINE:
                    return scope
                case Level.KIND:
                    kind = session.scalar(select(Machine.kind).where(Machine.slug == slug))
                    return Scope(level, kind or "")
                case _:
                    return LAB

    def set(
        self, actor: Actor, scope: Scope, key: str, value: object, reason: str, now: datetime
    ) -> None:
        """Decide a value; only an admin does. It is written down with who, when and before.

        :raises InvalidError: where the value is none; nothing has changed then.
        """
        _must_be_admin(actor)
        spec = spec_of(key)
        wanted = checked(spec, value, scope)
        self.prepare(spec, wanted, now)
        with self._database.write() as session:
            self.apply(session, actor, scope, key, [wanted], checked_reason(reason), now)
        self._workshop.live.touch()

    def unset(self, actor: Actor, scope: Scope, key: str, reason: str, now: datetime) -> None:
        """Let the value of the wider scope hold here again, or the default for the lab."""
        _must_be_admin(actor)
        spec = spec_of(key)
        with self._database.write() as session:
            self.apply(session, actor, scope, spec.key, None, checked_reason(reason), now)
        self._workshop.live.touch()

    def history(self) -> Sequence[ChangeView]:
        """Return the newest changes."""
        with self._database.read() as session:
            rows = session.execute(
                select(RuleChange, Person.name)
                .join(Person, Person.id == RuleChange.person_id)
                .order_by(RuleChange.at.desc(), RuleChange.id.desc())
                .limit(_MOST_CHANGES)
            ).all()
            return [
                ChangeView(
                    at=row.at,
                    person=name,
                    scope=Scope.read(row.scope),
                    scope_name=scope_name(session, Scope.read(row.scope)),
                    rule=row.rule,
                    old=row.old,
                    new=row.new,
                    reason=row.reason,
                    proposal_id=row.proposal_id,
                )
                for row, name in rows
            ]

    def prepare(self, spec: Spec, value: Value, now: datetime) -> None:
        """Look up what a value needs, before any transaction waits for it."""
        if spec.unit is Unit.PLACE and isinstance(value, str):
            self._keep_holidays(value, now)

    def refresh_holidays(self, now: datetime) -> bool:
        """Look the next years' holidays up where they are known no further than this one."""
        with self._database.read() as session:
            place = _holds(session, LAB)[0].holidays
            row = session.get(Setting, HOLIDAYS)
            kept = {} if row is None else read_json(row.value)
        if place is None or (kept.get("place") == place and kept.get("until") != now.year):
            return False
        self._keep_holidays(place, now)
        return True

    def apply(
        self,
        session: Session,
        actor: Actor,
        scope: Scope,
        key: str,
        new: Sequence[Value] | None,
        reason: str,
        now: datetime,
        proposal_id: str | None = None,
    ) -> None:
        """Change a value inside a transaction; *new* holds it, None takes it away."""
        take_turn(session, TURN)
        machine_id = known_scope(session, scope)
        own = dict(_own(session, scope, machine_id))
        old = [own[key]] if key in own else None
        if old == new:
            return
        if new is None:
            own.pop(key)
        else:
            own[key] = new[0]
        session.merge(Setting(key=setting_key(scope, machine_id), value=json.dumps(own)))
        session.flush()
        values, _ = _holds(session, scope)
        if values.shortest_min > values.longest_min:
            raise InvalidError("rule.shortest-longest", field="value")
        session.add(
            RuleChange(
                id=self._workshop.new_id(),
                at=now,
                person_id=actor.person_id,
                scope=str(scope),
                rule=key,
                old=old,
                new=None if new is None else list(new),
                reason=reason,
                proposal_id=proposal_id,
            )
        )

    def _keep_holidays(self, place: str, now: datetime) -> None:
        days = look_up(place, now.year)
        until = now.year + YEARS - 1
        kept: Mapping[str, Any] = {"place": place, "until": until, "days": dict(days)}
        with self._database.write() as session:
            session.merge(Setting(key=HOLIDAYS, value=json.dumps(kept)))


def known_scope(session: Session, scope: Scope) -> str:
    """Return the id of a scope's machine, "" for the lab and a kind.

    :raises NotFoundError: if there is no such machine or kind.
    """
    match scope.level:
        case Level.MACHINE:
            found = session.scalar(select(Machine.id).where(Machine.slug == scope.of))
            if found is None:
                raise NotFoundError("machine.unknown", machine=scope.of)
            return found
        case Level.KIND:
            has = session.scalar(select(Machine.id).where(Machine.kind == scope.of).limit(1))
            if has is None and scope.of not in KINDS:
                raise NotFoundError("rule.kind-unknown", kind=scope.of)
            return ""
        case _:
            return ""


def scope_name(session: Session, scope: Scope) -> str:
    """Return what people call it: the machine's name, else the word of the scope."""
    if scope.level is not Level.MACHINE:
        return scope.of
    name = session.scalar(select(Machine.name).where(Machine.slug == scope.of))
    return scope.of if name is None else name


def value_at(session: Session, scope: Scope, key: str) -> Value:
    """Return the value that holds in a scope now."""
    return _holds(session, scope)[0].value(key)


def _holds(session: Session, scope: Scope) -> tuple[Values, Mapping[str, object]]:
    """Return what holds in a scope, and what it sets itself."""
    machine_id = known_scope(session, scope)
    lab = _own(session, LAB, "")
    kind: Mapping[str, object] = {}
    own: Mapping[str, object] = lab
    match scope.level:
        case Level.KIND:
            own = kind = _own(session, scope, "")
            return resolved(lab, kind, {}), own
        case Level.MACHINE:
            of = session.scalar(select(Machine.kind).where(Machine.id == machine_id))
            kind = _own(session, Scope(Level.KIND, of or ""), "")
            own = _own(session, scope, machine_id)
            return resolved(lab, kind, own), own
        case _:
            return resolved(lab, {}, {}), own


def _own(session: Session, scope: Scope, machine_id: str) -> Mapping[str, Any]:
    row = session.get(Setting, setting_key(scope, machine_id), populate_existing=True)
    return {} if row is None else read_json(row.value)


def _must_be_admin(actor: Actor) -> None:
    if not actor.is_at_least(Role.ADMIN):
        raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)


def review_date(text: str, today: date) -> date | None:
    """Return the day on which a decision is looked at again; None where none was named.

    :raises InvalidError: if it is no day, or one of the past.
    """
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not today <= day <= today.replace(year=today.year + 20, day=1):
        raise InvalidError("proposal.review", field="review_on")
    return day
