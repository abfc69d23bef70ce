"""Devices that stand at machines, and who is at a kiosk: looked up inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.store.presence import Device, KioskVisit
from jobs.store.tables import Setting

IDLE_KEY: Final = "kiosk.idle_s"  # setting: after so long without a touch a kiosk forgets whom
SHORTEST_IDLE_S, USUAL_IDLE_S, LONGEST_IDLE_S = 15, 45, 300
LONGEST_VISIT: Final = timedelta(minutes=10)


class DeviceKind(StrEnum):
    """What a device account may do; it reaches its own few pages and nothing else."""

    KIOSK = "kiosk"  # people identify themselves there, for one thing at a time
    DISPLAY = "display"  # stands at one machine, shows its state and the code
    WALL = "wall"  # shows all machines, to be read from afar; no name, no code


def devices_at(session: Session, machine_id: str) -> tuple[bool, Sequence[str]]:
    """Return whether a display shows the machine's code, and the names of the kiosks there."""
    rows = session.scalars(
        select(Device).where(Device.token_sha256.is_not(None), Device.revoked_at.is_(None))
    )
    here = [one for one in rows if machine_id in one.machine_ids]
    kiosks = [one.name for one in here if one.kind == DeviceKind.KIOSK]
    return any(one.kind == DeviceKind.DISPLAY for one in here), sorted(kiosks)


def idle_of(session: Session) -> timedelta:
    """Return after how long without a touch a visit at a kiosk is over."""
    row = session.get(Setting, IDLE_KEY)
    said = int(row.value) if row is not None and row.value.isdecimal() else USUAL_IDLE_S
    return timedelta(seconds=min(max(said, SHORTEST_IDLE_S), LONGEST_IDLE_S))


def visit_lives(session: Session, token_sha256: str, now: datetime) -> bool:
    """Return whether somebody is still at the kiosk where that visit began."""
    row = session.get(KioskVisit, token_sha256)
    if row is None or not row.began_at <= now < row.began_at + LONGEST_VISIT:
        return False
    if now >= row.seen_at + idle_of(session):
        return False
    device = session.get(Device, row.device_id)
    return device is not None and device.revoked_at is None
