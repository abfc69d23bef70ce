"""The passwords of the house's smart plugs: one file that only the node's own user reads.

They stand in no database, page, answer of the API or log; a machine's host finds those of its own
plugs in its `host.json`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from drivers.errors import HostError
from drivers.plug import parse_plug
from drivers.plug_login import Login, is_login
from jobs.domain.errors import InvalidError, UnavailableError

log = logging.getLogger(__name__)


def door_of(text: str) -> str:
    """Return the address of a plug, `192.168.1.40` or `192.168.1.40:8080`, as it is kept.

    :raises InvalidError: `plug.bad-address` if it is none, or outside the house.

    >>> door_of("192.168.1.40:80"), door_of("10.0.0.3:8080")
    ('192.168.1.40', '10.0.0.3:8080')
    """
    try:
        # A relay has no password of its own.
        return parse_plug(f"shelly-gen2:{text.replace('/', ' ')}").door
    except HostError as error:
        raise InvalidError("plug.bad-address", address=text[:60]) from error


def read_logins(home: Path) -> dict[str, Login]:
    """Return the logins by the plug's address; none where nobody has said any.

    :raises UnavailableError: `plug.bad-file` if the file is damaged.
    """
    path = _path(home)
    try:
        values = json.loads(path.read_bytes())
        return {
            str(door): Login(str(one["user"]), str(one["password"])) for door, one in values.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # Not what stands in it, nor what the reader says of it: that may hold a password.
        raise UnavailableError("plug.bad-file", file=str(path)) from error


def known_logins(home: Path) -> dict[str, Login]:
    """Return the logins; none where their file is damaged, which is logged."""
    try:
        return read_logins(home)
    except UnavailableError as error:
        log.error("%s", error)  # noqa: TRY400 (its cause may hold a password)
        return {}


def keep_login(home: Path, door: str, login: Login | None) -> None:
    """Keep the login of a plug; None: it has none any more.

    :raises InvalidError: `plug.bad-login` if a plug can be told no such name or password.
    """
    if login is not None and not is_login(login.user, login.password):
        raise InvalidError("plug.bad-login")
    logins = read_logins(home)
    logins.pop(door, None)
    if login is not None:
        logins[door] = login
    _write(_path(home), logins)


def _write(path: Path, logins: Mapping[str, Login]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    told = {door: {"user": one.user, "password": one.password} for door, one in logins.items()}
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if os.geteuid() == 0:
            # Written by root for the node, which must be able to read it.
            owner = path.parent.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _path(home: Path) -> Path:
    return home / "keys" / "plugs.json"
