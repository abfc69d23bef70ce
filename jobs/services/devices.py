"""Device accounts: kiosks and displays, made by an admin, paired once, revoked at once."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.domain.presence import code_of, seconds_left, window_of
from jobs.services import passwords
from jobs.services.at_kiosk import IDLE_KEY, LONGEST_IDLE_S, SHORTEST_IDLE_S, DeviceKind, idle_of
from jobs.services.calendars import rows_where
from jobs.services.presence import ALONE_KEY
from jobs.services.workshop import Workshop
from jobs.store.persons import Standing
from jobs.store.presence import Device, KioskVisit, MachineSecret, Presence
from jobs.store.tables import Allocation, Machine, Setting

_START_KEY, _END_KEY = "kiosk.badge_start", "kiosk.badge_end"
_LONGEST_KEY: Final = 20  # characters of a key's name
_PAIRING: Final = timedelta(minutes=30)  # within which a new device is set up
# No letter that is mistaken for another; ten of them are 48 bits for half an hour.
_LETTERS: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_CODE_LETTERS: Final = 10
_SEEN: Final = timedelta(minutes=1)  # a look every few seconds need not be a write each time
_AHEAD: Final = timedelta(days=1)  # of bookings on a screen
_SHOWN: Final = 3  # of them, for one machine
_MOST: Final = 200  # devices, revoked ones too

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device without its secret; `machines` are slug and name of those that it stands at."""

    id: str
    kind: DeviceKind
    name: str
    machines: Sequence[tuple[str, str]]
    made_at: datetime
    pair_until: datetime | None
    paired_at: datetime | None
    seen_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """The code on a machine's display, and for how many seconds it stays."""

    code: str
    left_s: int


@dataclass(frozen=True, slots=True)
class Coming:
    """A booking as a screen tells of it; `name` is "" where its person does not show it."""

    interval: Interval
    name: str


class Devices:
    """Use cases about devices, and what a device itself asks for."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def list(self, actor: Actor) -> Sequence[DeviceView]:
        """Return every device, those in use first."""
        _must_be_admin(actor)
        with self._database.read() as session:
            query = (
                select(Device).order_by(Device.revoked_at.is_not(None), Device.name).limit(_MOST)
            )
            return [_view(session, row) for row in session.scalars(query)]

    def make(
        self, actor: Actor, kind: DeviceKind, name: str, slugs: Collection[str], now: datetime
    ) -> tuple[DeviceView, str]:
        """Add a device, and return the code that pairs it, told only now.

        :raises InvalidError: `device.machines` where a display has not just one machine, or a
            kiosk none.
        """
        _must_be_admin(actor)
        name = " ".join(name.split())
        if not 1 <= len(name) <= 80:
            raise InvalidError("device.name", field="name", characters=80)
        with self._database.write() as session:
            machines = session.scalars(
                select(Machine).where(Machine.slug.in_(slugs), Machine.retired_at.is_(None))
            ).all()
            if len(machines) != len(set(slugs)):
                raise InvalidError("device.machines", field="machines")
            fits = {DeviceKind.DISPLAY: len(machines) == 1, DeviceKind.KIOSK: len(machines) >= 1}
            if not fits.get(kind, True):
                raise InvalidError("device.machines", field="machines")
            row = Device(
                id=self._workshop.new_id(),
                kind=kind.value,
                name=name,
                machine_ids=[one.id for one in machines],
                made_by=actor.person_id,
                made_at=now,
            )
            session.add(row)
            code = _open_pairing(row, now)
            session.flush()
            view = _view(session, row)
        log.info("device %s (%s) made by %s", row.id, kind, actor.person_id)
        return view, code

    def pair_again(self, actor: Actor, device_id: str, now: datetime) -> tuple[DeviceView, str]:
        """Return a new code for a device, for another screen; the one that had it has it no more.

        :raises NotFoundError: also for one that was revoked.
        """
        _must_be_admin(actor)
        with self._database.write() as session:
            row = session.get(Device, device_id)
            if row is None or row.revoked_at is not None:
                raise NotFoundError("device.unknown")
            _forget(session, row, now)
            return _view(session, row), _open_pairing(row, now)

    def revoke(self, actor: Actor, device_id: str, now: datetime) -> None:
        """End a device at once, and whatever was proved by it; twice changes nothing."""
        _must_be_admin(actor)
        with self._database.write() as session:
            row = session.get(Device, device_id)
            if row is None:
                raise NotFoundError("device.unknown")
            _forget(session, row, now)
            row.revoked_at = row.revoked_at or now
            row.pair_sha256 = row.pair_until = None
        log.info("device %s revoked by %s", device_id, actor.person_id)
        self._workshop.live.touch()

    def pair(self, typed: str, now: datetime) -> tuple[DeviceView, str]:
        """Return which device that code is for, and the token that its browser keeps; once.

        :raises InvalidError: `device.pair-code`.
        """
        code = "".join(typed.split()).replace("-", "").upper()[:40]
        token = self._workshop.new_token()
        with self._database.write() as session:
            row = session.scalar(
                update(Device)
                .where(
                    Device.pair_sha256 == passwords.fingerprint(code),
                    Device.pair_until > now,
                    Device.revoked_at.is_(None),
                )
                .values(
                    pair_sha256=None,
                    pair_until=None,
                    token_sha256=passwords.fingerprint(token),
                    paired_at=now,
                    seen_at=now,
                )
                .returning(Device)
            )
            if row is None:
                raise InvalidError("device.pair-code", field="code")
            view = _view(session, row)
        log.info("device %s paired", view.id)
        self._workshop.live.touch()
        return view, token

    def known(self, token: str, now: datetime) -> DeviceView | None:
        """Return which device shows that token; None where it is revoked, or none of ours."""
        with self._database.read() as session:
            row = session.scalar(
                select(Device).where(
                    Device.token_sha256 == passwords.fingerprint(token),
                    Device.revoked_at.is_(None),
                )
            )
            if row is None:
                return None
            view = _view(session, row)
        if row.seen_at is None or not timedelta() <= now - row.seen_at < _SEEN:
            with self._database.write() as session:
                session.execute(update(Device).where(Device.id == view.id).values(seen_at=now))
        return view

    def shown(self, device: DeviceView, now: datetime) -> Shown | None:
        """Return the code that a machine's display shows now; None for any other device."""
        if device.kind is not DeviceKind.DISPLAY or not device.machines:
            return None
        with self._database.read() as session:
            row = session.get(Device, device.id)
            machine_id = str(row.machine_ids[0]) if row is not None else ""
            known = session.get(MachineSecret, machine_id)
        if known is None:
            with self._database.write() as session:
                known = session.get(MachineSecret, machine_id)
                if known is None:
                    secret = self._workshop.new_token()[:64]
                    known = MachineSecret(machine_id=machine_id, secret=secret, made_at=now)
                    session.add(known)
        return Shown(code_of(known.secret, machine_id, window_of(now)), seconds_left(now))

    def coming(self, device: DeviceView, now: datetime) -> Mapping[str, Sequence[Coming]]:
        """Return what is booked next, by machine; a name only where its person shows it.

        Minors are never named.
        """
        with self._database.read() as session:
            entries = rows_where(
                session,
                Allocation.kind == AllocationKind.RESERVATION.value,
                Allocation.state == AllocationState.ACTIVE.value,
                Allocation.end_at > now,
                Allocation.start_at < now + _AHEAD,
            )
            minors = set(session.scalars(select(Standing.person_id).where(Standing.is_minor)))
            found: dict[str, list[Coming]] = {}
            chosen = {slug for slug, _ in device.machines}
            for one in entries:
                own = found.setdefault(one.slug, [])
                if len(own) < _SHOWN and (one.slug in chosen or not chosen):
                    is_named = one.is_open and one.row.person_id not in minors
                    name = one.name if is_named else ""
                    own.append(Coming(Interval(one.row.start_at, one.row.end_at), name))
            return found

    def settings(self) -> tuple[int, bool]:
        """Return after how many seconds a kiosk forgets whom, and whether a lone person's
        printers ask for proof too.
        """
        with self._database.read() as session:
            alone = session.get(Setting, ALONE_KEY) is not None
            return int(idle_of(session).total_seconds()), alone

    def badge_keys(self) -> tuple[str, str]:
        """Return the keys that a badge reader, which types, begins and ends a number with."""
        with self._database.read() as session:
            rows = [session.get(Setting, key) for key in (_START_KEY, _END_KEY)]
        start, end = (row.value if row is not None else None for row in rows)
        return start or "", "Enter" if end is None else end

    def set_settings(
        self, actor: Actor, idle_s: int, *, alone_asks: bool, keys: tuple[str, str] = ("", "Enter")
    ) -> None:
        """Decide them.

        :param keys: by the names that browsers give keys, such as `;`, `F8`, `Enter`; "": none.
        :raises InvalidError: `device.idle` out of bounds, `device.key`.
        """
        _must_be_admin(actor)
        if not SHORTEST_IDLE_S <= idle_s <= LONGEST_IDLE_S:
            fields = {"low": SHORTEST_IDLE_S, "high": LONGEST_IDLE_S}
            raise InvalidError("device.idle", field="idle_s", **fields)
        if not all(len(key) <= _LONGEST_KEY and key.isprintable() for key in keys):
            raise InvalidError("device.key", field="badge_start")
        with self._database.write() as session:
            session.merge(Setting(key=IDLE_KEY, value=str(idle_s)))
            for name, key in zip((_START_KEY, _END_KEY), keys, strict=True):
                session.merge(Setting(key=name, value=key))
            session.execute(delete(Setting).where(Setting.key == ALONE_KEY))
            if alone_asks:
                session.add(Setting(key=ALONE_KEY, value="ask"))
        self._workshop.live.touch()


def _open_pairing(row: Device, now: datetime) -> str:
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))
    row.pair_sha256, row.pair_until = passwords.fingerprint(code), now + _PAIRING
    return f"{code[:5]}-{code[5:]}"


def _forget(session: Session, row: Device, now: datetime) -> None:
    """Take a device's token away, who is at it, what was proved there, and the codes it knew."""
    row.token_sha256 = row.paired_at = row.seen_at = None
    session.execute(delete(KioskVisit).where(KioskVisit.device_id == row.id))
    session.execute(
        update(Presence)
        .where(Presence.device_id == row.id, Presence.ended_at.is_(None))
        .values(ended_at=now)
    )
    if row.kind == DeviceKind.DISPLAY:
        session.execute(delete(MachineSecret).where(MachineSecret.machine_id.in_(row.machine_ids)))


def _view(session: Session, row: Device) -> DeviceView:
    machines = session.scalars(
        select(Machine)
        .where(Machine.id.in_(row.machine_ids), Machine.retired_at.is_(None))
        .order_by(Machine.name)
    )
    return DeviceView(
        id=row.id,
        kind=DeviceKind(row.kind),
        name=row.name,
        machines=tuple((one.slug, one.name) for one in machines),
        made_at=row.made_at,
        pair_until=row.pair_until,
        paired_at=row.paired_at,
        seen_at=row.seen_at,
        revoked_at=row.revoked_at,
    )


def _must_be_admin(actor: Actor) -> None:
    """Refuse whoever is no admin, and any key: it would open a door for itself."""
    if not actor.is_at_least(Role.ADMIN):
        raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
    if not actor.seat:
        raise NotAllowedError("device.by-key")
