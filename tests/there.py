"""People at machines, for tests: a seat of their own, and presence proved by what machines ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.domain.people import Actor, Role
from jobs.services import passwords
from jobs.services.at_kiosk import DeviceKind
from jobs.services.proving import Proving
from jobs.store.tables import SignIn

if TYPE_CHECKING:
    from jobs.services import Services
    from jobs.services.devices import DeviceView
    from jobs.services.workshop import Workshop


def seated(workshop: Workshop, actor: Actor, now: datetime, browser: str = "") -> Actor:
    """Return *actor* as signed in at a browser of their own, for a long while."""
    token = f"seat of {actor.person_id}{browser}"
    seat = passwords.fingerprint(token)
    with workshop.database.write() as session:
        if session.get(SignIn, seat) is None:
            session.add(
                SignIn(
                    token_sha256=seat,
                    person_id=actor.person_id,
                    csrf="c" * 43,
                    created_at=now,
                    seen_at=now + timedelta(days=36500),
                    expires_at=now + timedelta(days=4000),
                )
            )
    return replace(actor, seat=seat)


def display_at(services: Services, admin: Actor, slug: str, now: datetime) -> DeviceView:
    """Return a paired display that stands at a machine; *admin* has a seat."""
    _, code = services.devices.make(admin, DeviceKind.DISPLAY, f"Display {slug}", [slug], now)
    return services.devices.pair(code, now)[0]


def stand_at(services: Services, actor: Actor, slug: str, now: datetime) -> None:
    """Have *actor* read the code from the machine's display and type it, as people do."""
    chief = replace(actor, role=Role.ADMIN)
    here = [one for one in services.devices.list(chief) if (slug, DeviceKind.DISPLAY) in _of(one)]
    device = here[0] if here else display_at(services, chief, slug, now)
    shown = services.devices.shown(device, now)
    assert shown is not None
    Proving(services.workshop).by_code(actor, slug, shown.code, now)


def _of(device: DeviceView) -> set[tuple[str, DeviceKind]]:
    paired = device.paired_at is not None
    return {(slug, device.kind) for slug, _ in device.machines if paired}
