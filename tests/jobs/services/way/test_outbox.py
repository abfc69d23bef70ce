"""The outbox: what became true is said once it is true, in order, until the broker has it."""

from __future__ import annotations

import json

import pytest

from jobs.domain.events import EventType
from jobs.services import outbox
from jobs.store.tables import OutboxMessage


def say(house, *words: EventType) -> list[str]:
    with house.workshop.database.write() as session:
        return [
            outbox.add(session, word, {}, at=house.now, now=house.now, workshop=house.workshop)
            for word in words
        ]


def test_events_wait_in_order_until_they_are_acknowledged(house):
    ids = say(house, EventType.JOB_QUEUED, EventType.JOB_STARTED, EventType.JOB_FINISHED)
    pending = house.services.outbox.pending()
    assert [one.id for one in pending] == ids
    assert [seq for seq, *_ in pending] == sorted(seq for seq, *_ in pending)
    house.services.outbox.acked(ids[:1], house.now)
    assert [one.id for one in house.services.outbox.pending(limit=1)] == [ids[1]]
    assert house.services.outbox.waiting() == 2


def test_an_acknowledgement_twice_keeps_the_first_time(house):
    ids = say(house, EventType.JOB_QUEUED)
    house.services.outbox.acked(ids, house.now)
    first = house.now
    house.services.outbox.acked(ids, house.later(hours=1))
    assert house.row(OutboxMessage).acked_at == first


def test_tries_are_counted(house):
    ids = say(house, EventType.JOB_QUEUED)
    house.services.outbox.tried(ids)
    house.services.outbox.tried(ids)
    assert house.row(OutboxMessage).tries == 2


def test_the_envelope_names_the_node_and_its_own_number(house):
    say(house, EventType.JOB_QUEUED)
    (seq, event_id, kind, body) = house.services.outbox.pending()[0]
    event = json.loads(body)
    assert (event["id"], event["type"]) == (event_id, f"org.fabnode.{kind.value}.v1")
    assert int(event["sequence"]) == seq
    assert event["source"] == house.workshop.signer.did


def test_a_transaction_that_fails_says_nothing(house):
    def fail() -> None:
        with house.workshop.database.write() as session:
            outbox.add(
                session,
                EventType.JOB_QUEUED,
                {},
                at=house.now,
                now=house.now,
                workshop=house.workshop,
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert house.services.outbox.waiting() == 0


def test_the_events_of_one_job_are_found(house, running):
    job_id, _ = running
    say(house, EventType.RESERVATION_MADE)
    assert [one.kind for one in house.services.outbox.of_job(job_id)] == [EventType.JOB_STARTED]
