"""What every request of the web works with: services, settings, sentences and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from jobs.domain.credentials import Way
from jobs.domain.modules import Module
from jobs.domain.people import LabMode
from jobs.domain.sentences import Catalogue
from jobs.services import Services
from jobs.services.outside import Provider
from jobs.services.views import HealthView
from web.guesses import Guesses
from web.live import LiveStreams
from web.pending import Pending
from web.rendering import Renderer

STATIC = Path(__file__).parent / "static"


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What the appliance decides about its pages.

    :param secure_cookies: under TLS: the cookie leaves only encrypted.
    :param static_vendor: the browser libraries; without them pages are plain but whole.
    :param address: as people reach the node, where a proxy stands before it; "" as they ask.
    :param hosts: names of the node beside those that only a house can give out.
    :param proxies: addresses and networks whose forwarded headers are believed; none by default.
    :param provider: of OpenID, if there is one.
    """

    site: str
    version: str
    zone: ZoneInfo
    secure_cookies: bool = False
    locale: str = "en"
    static_vendor: Path = STATIC / "vendor"
    address: str = ""
    hosts: frozenset[str] = frozenset()
    proxies: tuple[str, ...] = ()
    provider: Provider | None = None


@dataclass(frozen=True, slots=True)
class HalfSignIn:
    """Somebody who has proved one thing and is asked for a code."""

    person_id: str
    way: Way
    next_path: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a passkey was asked to sign.

    :param token: of the sign-in that asked for it; "" where nobody is signed in.
    """

    sent: bytes
    token: str


@dataclass(frozen=True, slots=True)
class Errand:
    """Somebody who was sent to the OpenID provider.

    :param browser: a secret in a cookie of theirs: nobody else comes back for them.
    :param token: of the sign-in that links or proves; "" for a new one.
    """

    browser: str
    nonce: str
    verifier: str
    next_path: str
    token: str
    what: Literal["enter", "link", "prove"]


@dataclass(frozen=True, slots=True)
class Web:
    """One per app, in `app.state.web`."""

    services: Services
    settings: WebSettings
    health: Callable[[], HealthView]
    catalogue: Catalogue
    renderer: Renderer
    streams: LiveStreams
    clock: Callable[[], datetime]
    guesses: Guesses = field(default_factory=Guesses)
    halves: Pending[HalfSignIn] = field(default_factory=Pending)
    challenges: Pending[Challenge] = field(default_factory=Pending)
    errands: Pending[Errand] = field(default_factory=Pending)

    def shares(self) -> bool:
        """Return whether several people share the machines, so that there are rules to read."""
        return self.services.lab.mode() is not LabMode.ONLY_ME

    def books(self) -> bool:
        """Return whether the lab shares its machines and books them, so that booking is shown."""
        is_on = Module.BOOKING in self.services.modules.on()
        return is_on and self.shares()


def web_of(request: Request) -> Web:
    """Return the app's one `Web`."""
    web = request.app.state.web
    assert isinstance(web, Web)
    return web


WebDep = Annotated[Web, Depends(web_of)]
