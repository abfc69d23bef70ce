"""Delivery of notices: what is due is taken, carried by a child, and tried again with patience.

A try is counted before it is made: of two timers at once one sends, and a node that dies in between
sends it once more rather than never.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from babel import Locale
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.notices import (
    KEPT,
    MOST_TRIES,
    DeliveryState,
    Way,
    apprise_url,
    back_off,
)
from jobs.domain.sentences import Catalogue, local_fields
from jobs.services.notices import ways_of
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice, NoticeAddress, NoticeDelivery

log = logging.getLogger(__name__)

Carrier = Callable[[Sequence[Mapping[str, str]]], Mapping[str, str]]
_AT_ONCE: Final = 20
_PATIENCE_S: Final = 180.0
_LONGEST_PROBLEM: Final = 200


def child(messages: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Have a child carry messages; what it did not answer for was not sent."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.services.courier"],
            input=json.dumps(list(messages)),
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        answer = json.loads(done.stdout or "{}")
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    if done.returncode != 0:
        log.warning("notices: the courier ended with %s", done.returncode)
    return answer if isinstance(answer, dict) else {}


class Delivering:
    """A function of the state and the time: a second tick at once finds nothing due."""

    def __init__(self, workshop: Workshop, locale: str = "en", carrier: Carrier = child) -> None:
        self._workshop = workshop
        self._catalogue = Catalogue(locale)
        self._locale = Locale.parse(locale) if locale != "pseudo" else Locale("en")
        self._carrier = carrier

    def tick(self, now: datetime) -> int:
        """Carry what is due; return how many arrived."""
        due = (
            select(NoticeDelivery.id)
            .where(
                NoticeDelivery.state == DeliveryState.WAITING.value, NoticeDelivery.next_at <= now
            )
            .limit(1)
        )
        with self._workshop.database.read() as session:
            if session.scalar(due) is None:
                return 0
        with self._workshop.database.write() as session:
            messages = self._take(session, now)
        if not messages:
            return 0
        answers = self._carrier(messages)
        with self._workshop.database.write() as session:
            for message in messages:
                self._note(session, message["id"], answers.get(message["id"], "?"), now)
        return sum(answers.get(message["id"]) == "" for message in messages)

    def _take(self, session: Session, now: datetime) -> list[Mapping[str, str]]:
        rows = session.execute(
            select(NoticeDelivery, Notice, NoticeAddress)
            .join(Notice, Notice.id == NoticeDelivery.notice_id)
            .join(NoticeAddress, NoticeAddress.id == NoticeDelivery.address_id)
            .where(
                NoticeDelivery.state == DeliveryState.WAITING.value, NoticeDelivery.next_at <= now
            )
            .order_by(NoticeDelivery.next_at, NoticeDelivery.id)
            .limit(_AT_ONCE)
            .with_for_update(of=NoticeDelivery, skip_locked=True)
        ).all()
        ways = ways_of(session)
        messages: list[Mapping[str, str]] = []
        for delivery, notice, address in rows:
            way = Way(address.way)
            if notice.at < now - KEPT or way not in ways:
                delivery.state = DeliveryState.FAILED.value
                continue
            delivery.tries += 1
            delivery.next_at = now + back_off(delivery.tries)
            messages.append(
                {
                    "id": delivery.id,
                    "url": apprise_url(way, ways[way], address.target),
                    "title": self._catalogue.text("notice.title", site=self._workshop.site),
                    "text": self.sentence(notice.code, notice.fields),
                }
            )
        return messages

    def sentence(self, code: str, fields: Mapping[str, str | int | float]) -> str:
        """Return a notice's sentence, its instants on the lab's clock."""
        local = local_fields(fields, self._workshop.zone, self._locale)
        return self._catalogue.text(f"notice.{code}", **local)

    def _note(self, session: Session, delivery_id: str, problem: str, now: datetime) -> None:
        delivery = session.get(NoticeDelivery, delivery_id)
        if delivery is None:  # its person has taken the address away meanwhile
            return
        address = session.get_one(NoticeAddress, delivery.address_id)
        address.problem = problem[:_LONGEST_PROBLEM]
        if not problem:
            delivery.state = DeliveryState.SENT.value
            address.reached_at = now
            return
        log.warning("notices: %s was not reached: %s", address.way, problem)
        if delivery.tries >= MOST_TRIES:
            delivery.state = DeliveryState.FAILED.value
