"""What a browser's address bar says, and whether it is a place that passkeys know."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import Request

from jobs.services.passkeys import Place
from web.context import Web
from web.hosts import host_of


def own_address(request: Request, web: Web) -> str:
    """Return scheme and host as people reach the node, without a slash at the end."""
    return web.settings.address or str(request.base_url).rstrip("/")


def place_of(request: Request, web: Web) -> Place | None:
    """Return the place that a passkey would be for.

    None where browsers have no passkeys: they want TLS, or this very computer, and a name.

    Source: W3C Web Authentication, "Relying Party Identifier"; W3C Secure Contexts.
    """
    parts = urlsplit(own_address(request, web))
    host = host_of(parts.netloc)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    is_here = host == "localhost" or host.endswith(".localhost")
    if parts.scheme != "https" and not is_here:
        return None
    return Place(host, f"{parts.scheme}://{parts.netloc}")
