"""Which checklist holds where, and whether a person has gone through it for what comes now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.care import Moment
from jobs.domain.errors import RefusedError
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.store.tables import Machine, UsageEvent
from jobs.store.upkeep import Checklist, ChecklistAnswer

CHECK_HOLDS: Final = timedelta(hours=1)  # what was looked at longer ago may have changed


def list_of(session: Session, machine_id: str | None, moment: Moment) -> Checklist | None:
    """Return the newest version of a list, of a machine or (None) of the lab; None without one."""
    place = Checklist.machine_id == machine_id if machine_id else Checklist.machine_id.is_(None)
    row = session.scalars(
        select(Checklist)
        .where(place, Checklist.moment == moment.value)
        .order_by(Checklist.version.desc())
        .limit(1)
    ).first()
    return row if row is not None and row.items else None


def whole_answer(session: Session, asked: Checklist, since: datetime) -> ChecklistAnswer | None:
    """Return the last word about a list from *since* on, if every item of it was ticked.

    Who found something wrong afterwards outweighs who did not.
    """
    last = session.scalars(
        select(ChecklistAnswer)
        .where(ChecklistAnswer.checklist_id == asked.id, ChecklistAnswer.at >= since)
        .order_by(ChecklistAnswer.at.desc(), ChecklistAnswer.id.desc())
        .limit(1)
    ).first()
    return last if last is not None and len(last.ticked) == len(asked.items) else None


def word_before_use(session: Session, asked: Checklist, now: datetime) -> ChecklistAnswer | None:
    """Return the word that allows one use of a machine; the use that begins has used it up."""
    answer = whole_answer(session, asked, now - CHECK_HOLDS)
    if answer is None:
        return None
    used = select(UsageEvent.id).where(
        UsageEvent.start_at >= answer.at, UsageEvent.machine_id == asked.machine_id
    )
    return answer if session.scalar(used.limit(1)) is None else None


def before_use_refusals(session: Session, machine: Machine, now: datetime) -> list[Refusal]:
    """Return why nothing starts on a machine until somebody has gone through its list."""
    asked = list_of(session, machine.id, Moment.BEFORE_USE)
    if asked is None or word_before_use(session, asked, now) is not None:
        return []
    ways = (Way(WayKind.CHECKLIST, ref=asked.id, name=machine.name),)
    return [Refusal(Reason.BEFORE_USE, {"machine": machine.name}, ways=ways)]


def keep_answer(
    session: Session,
    answer_id: str,
    asked: Checklist,
    person_id: str,
    ticked: Collection[int],
    note: str,
    now: datetime,
) -> Sequence[str]:
    """Write down what a person found; return the items that they did not tick.

    :raises RefusedError: `checklist-changed` if the list has a newer version.
    """
    newest = list_of(session, asked.machine_id, Moment(asked.moment))
    if newest is None or newest.id != asked.id:
        raise RefusedError([Refusal(Reason.CHECKLIST_CHANGED)])
    kept = sorted({one for one in ticked if 0 <= one < len(asked.items)})
    session.add(
        ChecklistAnswer(
            id=answer_id,
            checklist_id=asked.id,
            person_id=person_id,
            at=now,
            ticked=kept,
            note=note,
        )
    )
    return [str(text) for number, text in enumerate(asked.items) if number not in kept]
