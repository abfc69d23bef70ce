"""By what names the node is called: another one in the address bar is somebody's trap.

A page of a stranger may have its own name lead to this node's address ("DNS rebinding"), and its
script would then speak with us as if it were one of ours. Nobody outside can give out an IP
address, a name without a dot, or one that is for a house's network only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

# Source: RFC 6761 and 6762 (localhost, local), RFC 8375 (home.arpa), ICANN (internal); routers
# give out `lan`, which is no name of the world either.
_OF_HOUSES: Final = ("localhost", "local", "lan", "internal", "home.arpa")
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,9}\.?")


def host_of(header: str) -> str:
    """Return the name of a `Host` header, without its port.

    >>> host_of("Fab.local:8080"), host_of("[2001:db8::1]:80"), host_of("fab")
    ('fab.local', '2001:db8::1', 'fab')
    """
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def is_ours(header: str, known: Collection[str]) -> bool:
    """Return whether a `Host` header may be of a request to this node.

    :param known: names that the lab has given the node, in small letters.

    >>> [is_ours(one, {"fab.example"}) for one in ("192.0.2.1:80", "fab", "fab.local", "[::1]")]
    [True, True, True, True]
    >>> [is_ours(one, {"fab.example"}) for one in ("fab.example:80", "evil.example", "", "a b")]
    [True, False, False, False]
    """
    host = host_of(header)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return True
    if not _NAME.fullmatch(host):
        return False
    host = host.removesuffix(".")
    is_of_house = "." not in host or host.endswith(tuple(f".{one}" for one in _OF_HOUSES))
    return is_of_house or host in known
