"""Usage records: the exact bytes of one attempt's account, and the links of their chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

GENESIS = "0" * 64  # `prev` of the first record

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]


def canonical(body: Mapping[str, Json]) -> bytes:
    """Return the one byte form of a record: sorted keys, no blanks, integers only.

    :raises TypeError: at a float: its text differs between languages, so it cannot be signed.
    """
    _refuse_floats(dict(body))
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("a record holds integers only")
    if isinstance(value, dict):
        for part in value.values():
            _refuse_floats(part)
    elif isinstance(value, list):
        for part in value:
            _refuse_floats(part)


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the chain as it is stored and shown."""

    seq: int
    prev: str
    body: bytes  # exactly what was signed; contains seq and prev
    digest: str
    signature: str  # hex, Ed25519 over body


def digest(body: bytes) -> str:
    """Return the hash that the next record names as its `prev`."""
    return hashlib.sha256(body).hexdigest()


def energy_fact(mwh: object, by: object) -> dict[str, Json] | None:
    """Return energy as a record has it: how much, and how it was measured; None: not at all."""
    if not isinstance(mwh, int) or isinstance(mwh, bool):
        return None
    return {"mwh": mwh, "how": "measured", "by": str(by)[:40]}
