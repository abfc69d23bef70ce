"""A public Ed25519 key as the name of a node: `did:key:z6Mk…`."""

from __future__ import annotations

from typing import Final

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PREFIX: Final = "did:key:z"  # z: base58btc
_ED25519: Final = b"\xed\x01"  # multicodec ed25519-pub as a varint
_KEY_BYTES: Final = 32


def did_key(public: bytes) -> str:
    """Return the `did:key` form of a raw public key; `public_key` reads it.

    Source: w3c-ccg/did-method-key, "Ed25519".

    >>> did_key(bytes(32))
    'did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP'
    """
    number = int.from_bytes(_ED25519 + public)
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return _PREFIX + text


def public_key(did: str) -> bytes:
    """Return the raw public key that *did* is.

    :raises ValueError: if it is not the one spelling of an Ed25519 key in base58btc.
    """
    if not did.startswith(_PREFIX):
        raise ValueError("not a did:key in base58btc")
    number = 0
    for sign in did.removeprefix(_PREFIX):
        number = number * 58 + _BASE58.index(sign)
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    public = raw.removeprefix(_ED25519)
    if len(public) != _KEY_BYTES or did != did_key(public):
        raise ValueError("not an Ed25519 key")
    return public
