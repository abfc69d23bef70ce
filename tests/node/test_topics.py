"""Every event has a topic; nothing personal is in a message."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.domain.events import EventType
from node.topics import EVENT_TOPICS, event_topic, status


def test_every_event_has_a_row() -> None:
    assert set(EVENT_TOPICS) == set(EventType)


def test_topics_stay_in_the_sites_own_tree() -> None:
    for kind in EventType:
        topic = event_topic("berlin", kind)
        assert topic.startswith("fab/v1/berlin/out/event/")
        assert "+" not in topic
        assert "#" not in topic


def test_the_certificate_is_retained_and_names_the_node() -> None:
    message = status("berlin", "ready", datetime(2026, 1, 1, tzinfo=UTC), "0.1", "did:key:z6Mk")
    assert message.retain
    assert b'"state":"ready"' in message.payload
    assert b"did:key:z6Mk" in message.payload
