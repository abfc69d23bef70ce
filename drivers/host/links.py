"""What a machine may hang on, by the word in its host.json. A new kind is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.host.seam import OpenSession, Told
from drivers.session import Session
from drivers.transport import open_transport


def open_serial(config: HostConfig, publish: Callable[[Told], None], now: float) -> Session:
    """Open a port, or a serial server at `socket://host:port`, and begin to observe."""
    profile = replace(config.profile, baud=config.baud)
    session = Session(open_transport(config.port, config.baud), profile, publish, config.reach())
    session.connect(now)
    return session


LINKS: Mapping[str, OpenSession] = {"serial": open_serial}


def link_of(config: HostConfig) -> OpenSession:
    """Return what opens a machine's sessions.

    :raises HostError: `host.unknown_link` with the links there are.
    """
    if config.link not in LINKS:
        raise HostError("host.unknown_link", link=config.link, known=", ".join(LINKS))
    return LINKS[config.link]
