"""Every topic the node speaks on: who may hear it, whether it stays, and what it says.

Layout: `fab/v1/<site>/…`. Nothing personal, no file name and no telemetry leaves the house.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.domain.events import EventType, rfc3339
from jobs.services.views import MachineView

ROOT = "fab/v1"


@dataclass(frozen=True, slots=True)
class Message:
    """One publication.

    :param expiry_s: after this long the broker may drop it [s]; 0 means never.
    """

    topic: str
    payload: bytes
    retain: bool
    qos: int = 1
    expiry_s: int = 0


# One row an event: the last part of its topic. To add a message, add an event and a row.
EVENT_TOPICS: Mapping[EventType, str] = {
    EventType.JOB_QUEUED: "job.queued",
    EventType.JOB_STARTED: "job.started",
    EventType.JOB_FINISHED: "job.finished",
    EventType.JOB_FAILED: "job.failed",
    EventType.JOB_CANCELLED: "job.cancelled",
    EventType.JOB_INTERRUPTED: "job.interrupted",
    EventType.USAGE_RECORDED: "usage.recorded",
    EventType.MATERIAL_CONSUMED: "material.consumed",
    EventType.RESERVATION_MADE: "reservation.made",
    EventType.RESERVATION_CANCELLED: "reservation.cancelled",
    EventType.RESERVATION_DISPLACED: "reservation.displaced",
}


def status_topic(site: str) -> str:
    """Return the topic of the birth certificate and the last will."""
    return f"{ROOT}/{site}/node/status"


def event_topic(site: str, kind: EventType) -> str:
    """Return where an event of the outbox goes.

    >>> event_topic("berlin", EventType.JOB_FINISHED)
    'fab/v1/berlin/out/event/job.finished'
    """
    return f"{ROOT}/{site}/out/event/{EVENT_TOPICS[kind]}"


def status(site: str, state: str, since: datetime, version: str, did: str) -> Message:
    """The node's certificate: `ready` at birth, `lost` as its will, `disconnected` when it goes."""
    return Message(
        status_topic(site),
        _json({"state": state, "since": rfc3339(since), "sw": version, "did": did}),
        retain=True,
    )


def machine_state(site: str, machine: MachineView) -> Message:
    """A machine's coarse state: what a neighbour needs to know, and nobody's name."""
    body: dict[str, object] = {
        "state": machine.state.value,
        "kind": machine.kind,
        "control": machine.control.value,
    }
    if machine.run is not None:
        body["progress"] = round(machine.run.progress, 2)
        if machine.run.ends_at is not None:
            # To the minute: enough to plan by, too coarse to watch a person by.
            body["eta"] = rfc3339(machine.run.ends_at.replace(second=0, microsecond=0))
    return Message(f"{ROOT}/{site}/m/{machine.slug}/state", _json(body), retain=True)


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(dict(body), separators=(",", ":")).encode()
