"""`fabnode plug`: the password of a smart plug, asked for at the terminal and shown nowhere."""

from __future__ import annotations

import argparse
import getpass
import sys

from drivers.plug_login import LONGEST, Login
from node.cli.words import out, say, text
from node.control import nudge
from node.home import find_home
from node.plug_logins import door_of, keep_login, read_logins


def plug(args: argparse.Namespace) -> int:
    """Keep or forget the password of one plug, or say which plugs have one."""
    home = find_home()
    if not args.address:
        for kept, one in sorted(read_logins(home).items()):
            out(f"{kept}  {one.user}")
        return 0
    door = door_of(args.address)
    login = None if args.forget else Login(args.user, _password(door))
    keep_login(home, door, login)
    nudge(home)
    say("cli.plug-forgotten" if login is None else "cli.plug-kept", address=door)
    return 0


def _password(door: str) -> str:
    """Return the password: a word of the command line would stand in the list of processes."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(text("cli.plug-password", address=door) + " ")
    return (sys.stdin.readline(LONGEST + 2) if sys.stdin is not None else "").rstrip("\r\n")
