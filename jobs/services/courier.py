"""The child that carries notices out of the house: JSON lines in, one JSON object out.

Apprise and all that it loads live here, and for seconds only: the node would carry them in memory
for ever.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apprise import AppriseAsset

_SCHEMES = frozenset({"mailto", "mailtos", "ntfy", "ntfys"})
_LONGEST_PROBLEM = 200


def carry(messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Send each message (`id`, `url`, `title`, `text`).

    :returns: what went wrong with each, in the words of the library; "" for what went well.
    """
    from apprise import AppriseAsset

    # A server that answers "look there" does not decide where a node connects to.
    asset = AppriseAsset(http_redirects=False, async_mode=False)
    return {one["id"]: _send(asset, one) for one in messages}


def _send(asset: AppriseAsset, message: Mapping[str, str]) -> str:
    from apprise import Apprise, LogCapture, logging

    if message["url"].partition("://")[0] not in _SCHEMES:
        return "this way is not open"
    sender = Apprise(asset=asset)
    with LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        sent = sender.add(message["url"]) and sender.notify(
            body=message["text"], title=message["title"]
        )
        words = " ".join(said.getvalue().split())
    return "" if sent else (words or "no answer")[:_LONGEST_PROBLEM]


if __name__ == "__main__":
    json.dump(carry(json.load(sys.stdin)), sys.stdout)
