"""A start order's seal: proof to a host that its node, and nobody else, gave this order.

A host's socket is open to its group, for whoever must be able to stop a machine. Stopping needs
no proof; beginning a run does: run, program, preflight record and arming are sealed together
with a key that only the node and this host can read. It guards against any other client of the
socket, against a record of another machine, program or hour, and against one that was changed on
the way. It does not guard against whoever is the node's own user: they could read the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping


def machine_key(secret: bytes, machine: str) -> str:
    """Return the key of one machine's host, from the node's secret."""
    return hmac.new(secret, machine.encode(), hashlib.sha256).hexdigest()


def seal(key: str, machine: str, order: Mapping[str, object]) -> str:
    """Return the seal of a start order.

    :param key: of that machine, hexadecimal.
    :param order: `run`, `program`, `preflight` and `arming`, plain JSON values.
    """
    text = json.dumps({**order, "machine": machine}, sort_keys=True, separators=(",", ":"))
    return hmac.new(bytes.fromhex(key), text.encode(), hashlib.sha256).hexdigest()


def is_sealed(key: str, machine: str, order: Mapping[str, object], claimed: object) -> bool:
    """Tell whether *claimed* is the seal of that order."""
    if not isinstance(claimed, str) or not claimed.isascii():
        return False
    return hmac.compare_digest(seal(key, machine, order), claimed)
