"""The node's own keys, made once, kept readable by their owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from jobs.domain.did import did_key
from jobs.domain.errors import UnavailableError

_SEED_BYTES: Final = 32  # RFC 8032: the private key is any 32 octets


class NodeKey:
    """Signs records; `did` is the public key in `did:key` form."""

    def __init__(self, private: SigningKey) -> None:
        self._private = private
        self.public = bytes(private.verify_key)
        self.did = did_key(self.public)

    def sign(self, body: bytes) -> str:
        """Return the hex signature over exactly *body*."""
        return self._private.sign(body).signature.hex()


def load_key(home: Path) -> NodeKey:
    """Return the key of the node in *home*, making it at the first start.

    :raises UnavailableError: `node.bad-key` if the file holds none. It is never replaced: the
        records that it has signed name it.
    """
    path = home / "keys" / "node.ed25519"
    _make_once(path, lambda: secrets.token_bytes(_SEED_BYTES))
    try:
        return NodeKey(SigningKey(path.read_bytes()))
    except ValueError as error:  # another length
        raise UnavailableError("node.bad-key", file=str(path)) from error


def load_secret(home: Path) -> bytes:
    """Return what this node and its machine hosts share, making it at the first start.

    It seals start orders (`drivers.sealing`) and nothing else: lost, it is simply made anew.
    """
    path = home / "keys" / "hosts.secret"
    _make_once(path, lambda: secrets.token_bytes(32))
    return path.read_bytes()


def _make_once(path: Path, make: Callable[[], bytes]) -> None:
    """Write a key that only its owner reads, if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    # Written aside and linked in whole: a cut in the middle must not leave half a key.
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, make())
        os.fsync(handle)
    finally:
        os.close(handle)
    part.rename(path)
