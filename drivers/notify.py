"""Tell systemd that we are ready and alive (sd_notify), where systemd listens."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send *state*, such as `READY=1`; False where nobody listens.

    Source: systemd, sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear of us [s]: half of what it allows."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 2e6 if allowed.isdecimal() and int(allowed) > 0 else None
