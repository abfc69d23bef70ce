"""The node's own key: Ed25519, made once, kept readable by its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jobs.domain.did import did_key
from jobs.domain.errors import UnavailableError


class NodeKey:
    """Signs records; `did` is the public key in `did:key` form."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.did = did_key(self.public)

    def sign(self, body: bytes) -> str:
        """Return the hex signature over exactly *body*."""
        return self._private.sign(body).hex()


def load_key(home: Path) -> NodeKey:
    """Return the key of the node in *home*, making it at the first start.

    :raises UnavailableError: `node.bad-key` if the file holds none. It is never replaced: the
        records that it has signed name it.
    """
    path = home / "keys" / "node.ed25519"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # Written aside and linked in whole: a cut in the middle must not leave half a key.
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, Ed25519PrivateKey.generate().private_bytes_raw())
            os.fsync(handle)
        finally:
            os.close(handle)
        part.rename(path)
    try:
        return NodeKey(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
    except ValueError as error:
        raise UnavailableError("node.bad-key", file=str(path)) from error
