"""What the node says to the world: event types, and the CloudEvents envelope around them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum


class EventType(StrEnum):
    """Events that leave through the outbox; `type` on the wire is `org.fabnode.<word>.v1`."""

    JOB_QUEUED = "job.queued"
    JOB_STARTED = "job.started"
    JOB_FINISHED = "job.finished"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_INTERRUPTED = "job.interrupted"
    USAGE_RECORDED = "usage.recorded"
    MATERIAL_CONSUMED = "material.consumed"
    RESERVATION_MADE = "reservation.made"
    RESERVATION_CANCELLED = "reservation.cancelled"
    RESERVATION_DISPLACED = "reservation.displaced"


def rfc3339(instant: datetime) -> str:
    """Return *instant* as RFC 3339 in UTC with `Z` and microseconds.

    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05.000000Z'
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def envelope(
    kind: EventType,
    data: Mapping[str, object],
    *,
    event_id: str,
    source: str,
    at: datetime,
    recorded_at: datetime,
    sequence: int,
) -> bytes:
    """Return the event in CloudEvents structured JSON, so that every bridge keeps it whole.

    :param event_id: a UUIDv7; with *source* it marks duplicates.
    :param source: the node's `did:key`.
    Source: cloudevents/spec:cloudevents/spec.md 1.0.
    """
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": f"org.fabnode.{kind.value}.v1",
        "time": rfc3339(at),
        "recordedtime": rfc3339(recorded_at),
        "sequence": f"{sequence:020d}",
        "datacontenttype": "application/json",
        "data": dict(data),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
