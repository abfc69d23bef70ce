"""What people are told: by topic, on which ways, and how often a message is tried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from jobs.domain.errors import InvalidError

MOST_TRIES: Final = 6
KEPT: Final = timedelta(days=1)  # what could not be told for so long is told in the house alone
_WAITS_S: Final = (60, 300, 1800, 7200, 21600)


class Topic(StrEnum):
    """What a person may choose to be told about; each notice has one."""

    BOOKINGS = "bookings"  # one's own time: lost, moved, offered, swapped
    REMINDERS = "reminders"
    FREED = "freed"  # what one waits for
    JOBS = "jobs"
    LAB = "lab"


class Say(StrEnum):
    """How a person wants to hear of a topic."""

    AWAY = "away"  # here, and at the person's addresses
    HERE = "here"  # on the pages alone
    NOT = "not"


class Way(StrEnum):
    """How a notice leaves the house."""

    EMAIL = "email"
    NTFY = "ntfy"


class DeliveryState(StrEnum):
    """Of one notice to one address."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"  # given up


MUST_KNOW: Final = frozenset({Topic.BOOKINGS})  # nobody loses time without a word of it
# Reminders and freed time are worth nothing if they are read a day later.
DEFAULT: Final[Mapping[Topic, Say]] = dict.fromkeys(Topic, Say.AWAY) | {Topic.LAB: Say.HERE}
_TOPICS: Final[Mapping[str, Topic]] = {
    "address": Topic.BOOKINGS,
    "booking": Topic.BOOKINGS,
    "swap": Topic.BOOKINGS,
    "training": Topic.BOOKINGS,
    "reminder": Topic.REMINDERS,
    "wait": Topic.FREED,
    "job": Topic.JOBS,
}
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$&'*+=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,189}")
_NTFY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_SECURITY: Final[Mapping[str, str]] = {"none": "insecure", "starttls": "starttls", "tls": "ssl"}


def topic_of(code: str) -> Topic:
    """Return the topic of a notice by the first word of its code.

    >>> topic_of("booking-displaced"), topic_of("rule-changed")
    (<Topic.BOOKINGS: 'bookings'>, <Topic.LAB: 'lab'>)
    """
    return _TOPICS.get(code.partition("-")[0], Topic.LAB)


def back_off(tries: int) -> timedelta:
    """Return how long to wait after so many tries in vain.

    >>> back_off(1), back_off(99)
    (datetime.timedelta(seconds=60), datetime.timedelta(seconds=21600))
    """
    return timedelta(seconds=_WAITS_S[min(max(tries, 1), len(_WAITS_S)) - 1])


def checked_target(way: Way, target: str) -> str:
    """Return an address as it is kept: an e-mail address, or the name of an ntfy topic.

    No host is taken from a person: where messages go, only the lab decides.

    :raises InvalidError: if it is neither.
    """
    target = target.strip()
    if not (_EMAIL if way is Way.EMAIL else _NTFY).fullmatch(target):
        raise InvalidError(f"notices.{way.value}", field="target")
    return target


def checked_email(values: Mapping[str, str]) -> dict[str, str]:
    """Return how the lab sends e-mail: `host`, `port`, `security`, `user`, `password`, `sender`.

    :raises InvalidError: naming the field.
    """
    found = {
        key: values.get(key, "").strip() for key in ("host", "port", "security", "user", "sender")
    }
    found["password"] = values.get("password", "")
    if not _HOST.fullmatch(found["host"]):
        raise InvalidError("notices.host", field="host")
    if not (found["port"].isdecimal() and 0 < int(found["port"]) < 65536):
        raise InvalidError("notices.port", field="port")
    if found["security"] not in _SECURITY:
        raise InvalidError("notices.security", field="security")
    if not _EMAIL.fullmatch(found["sender"]):
        raise InvalidError("notices.email", field="sender")
    if max(len(found["user"]), len(found["password"])) > 200:
        raise InvalidError("notices.user", field="user")
    return found


def checked_ntfy(values: Mapping[str, str]) -> dict[str, str]:
    """Return which ntfy server the lab uses: `server`, such as `https://ntfy.sh`.

    :raises InvalidError: if it is no address of a server.
    """
    server = values.get("server", "").strip().rstrip("/")
    parts = urlsplit(server)
    host = parts.netloc.rpartition(":")[0] or parts.netloc
    is_plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    try:
        port = parts.port
    except ValueError:
        port = 0
    has_port = port is None or port > 0
    known = parts.scheme in ("http", "https") and _HOST.fullmatch(host)
    if not (is_plain and has_port and known and len(server) <= 300):
        raise InvalidError("notices.server", field="server")
    return {"server": server}


def apprise_url(way: Way, lab: Mapping[str, str], target: str) -> str:
    """Return the address as Apprise reads it; the lab's own values say where it goes.

    >>> apprise_url(Way.NTFY, {"server": "https://ntfy.sh"}, "mia")
    'ntfys://ntfy.sh/mia?image=no'
    """
    if way is Way.NTFY:
        scheme, _, place = lab["server"].partition("://")
        return f"{'ntfys' if scheme == 'https' else 'ntfy'}://{place}/{quote(target)}?image=no"
    secret = ""
    if lab["user"]:
        secret = f"{quote(lab['user'], safe='')}:{quote(lab['password'], safe='')}@"
    query = urlencode(
        {"from": lab["sender"], "to": target, "mode": _SECURITY[lab["security"]], "format": "text"}
        # Apprise would fall back to the address's own host for the name.
        | ({"user": lab["user"]} if lab["user"] else {})
    )
    scheme = "mailto" if lab["security"] == "none" else "mailtos"
    return f"{scheme}://{secret}{lab['host']}:{lab['port']}/?{query}"
