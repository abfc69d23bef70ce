"""The password of a plug, and how it is shown to one: never in a path, never in a sentence.

Basic goes with every question (Shelly Gen1, Tasmota); Digest answers what a plug has asked (Shelly
Gen2), so that the password itself never leaves the house's computer.

*Source:* RFC 7617; RFC 7616; Shelly Gen2 "Authentication"; Tasmota `HandleHttpCommand`, which
prefers the header to `user=` and `password=` in the path.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

USER = "admin"  # of all three makers, unless somebody has chosen another
LONGEST = 128  # characters of a name or password
_HASHES: Mapping[str, str] = MappingProxyType({"SHA-256": "sha256", "MD5": "md5"})
_PART = re.compile(r'(\w+)=(?:"([^"\\]*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a plug. Its text form does not hold the password."""

    user: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """Return the header's value.

        >>> Login("admin", "joker").basic()
        'Basic YWRtaW46am9rZXI='
        """
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {binascii.b2a_base64(pair, newline=False).decode('ascii')}"

    def digest(self, asked: Challenge, path: str, count: int, cnonce: str) -> str:
        """Return the header's value for a GET of *path*.

        :param count: how often this nonce was answered, this time included; from 1.
        :param cnonce: a random text of ours.
        """
        name = _HASHES[asked.algorithm]

        def hashed(*parts: str) -> str:
            # What a plug asks for is no choice of ours; MD5 is what older ones know.
            made = hashlib.new(name, ":".join(parts).encode(), usedforsecurity=False)
            return made.hexdigest()

        who = hashed(self.user, asked.realm, self.password)
        what = hashed("GET", path)
        times = f"{count:08x}"
        proof = hashed(who, asked.nonce, times, cnonce, "auth", what)
        parts = {
            "username": self.user,
            "realm": asked.realm,
            "nonce": asked.nonce,
            "uri": path,
            "cnonce": cnonce,
            "response": proof,
        }
        if asked.opaque:
            parts["opaque"] = asked.opaque
        said = ", ".join(f'{key}="{value}"' for key, value in parts.items())
        return f"Digest {said}, qop=auth, nc={times}, algorithm={asked.algorithm}"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a plug wants its password woven into."""

    realm: str
    nonce: str
    algorithm: str
    opaque: str = ""


def read_challenge(value: str) -> Challenge | None:
    """Return what a `WWW-Authenticate` asks for; None if it is nothing that we can answer.

    >>> read_challenge('Digest qop="auth", realm="shelly1", nonce="6f", algorithm=SHA-256')
    Challenge(realm='shelly1', nonce='6f', algorithm='SHA-256', opaque='')
    >>> read_challenge('Basic realm="x"') is None, read_challenge('Digest qop="auth-int"') is None
    (True, True)
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest" or len(rest) > 1000:
        return None
    parts = {name.lower(): quoted or plain for name, quoted, plain in _PART.findall(rest)}
    algorithm = parts.get("algorithm", "MD5").upper()
    offered = {one.strip() for one in parts.get("qop", "").split(",")}
    is_known = algorithm in _HASHES and "auth" in offered
    if not is_known or not parts.get("nonce") or "realm" not in parts:
        return None
    texts = (parts["realm"], parts["nonce"], parts.get("opaque", ""))
    if not all(text.isascii() and (text.isprintable() or not text) for text in texts):
        return None
    return Challenge(texts[0], texts[1], algorithm, texts[2])


def is_login(user: str, password: str) -> bool:
    """Tell whether these can be said to a plug: printable, and a name without a colon.

    >>> is_login("admin", "joker"), is_login("a:b", "x"), is_login("admin", "")
    (True, False, False)
    """
    both = 0 < len(user) <= LONGEST and 0 < len(password) <= LONGEST
    return both and user.isprintable() and password.isprintable() and not set(user) & set(':"\\')
