"""What every request of the web works with: services, settings, sentences and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from jobs.domain.modules import Module
from jobs.domain.people import LabMode
from jobs.domain.sentences import Catalogue
from jobs.services import Services
from jobs.services.views import HealthView
from web.link_sign_ins import LinkSignIns
from web.live import LiveStreams
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
    """

    site: str
    version: str
    zone: ZoneInfo
    secure_cookies: bool = False
    locale: str = "en"
    static_vendor: Path = STATIC / "vendor"


@dataclass(frozen=True, slots=True)
class Web:
    """One per app, in `app.state.web`."""

    services: Services
    settings: WebSettings
    health: Callable[[], HealthView]
    catalogue: Catalogue
    renderer: Renderer
    streams: LiveStreams
    by_link: LinkSignIns
    clock: Callable[[], datetime]

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
