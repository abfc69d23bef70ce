"""`fabnode stop`: straight to the machine hosts, whether the node lives or not."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from drivers.stopping import stop_all
from node.home import find_home

_SOCKET = ".sock"
_NODE = "node"  # the running node listens there for commands; it is no machine


def stop(args: argparse.Namespace) -> int:
    """Stop one machine or all of them, then say of each whether its host obeyed."""
    run = find_home() / "run"
    there = _hosts(run)
    wanted = there if args.all else [slug for slug in there if slug == args.slug]
    obeyed = stop_all([run / f"{slug}{_SOCKET}" for slug in wanted], _caller())

    from node.cli.words import complain, say  # a catalogue takes longer to read than a stop

    if not there:
        complain("error.stop.no-hosts", folder=str(run))
    elif not wanted:
        complain("error.stop.unknown", slug=args.slug, known=", ".join(there))
    for path, did in obeyed.items():
        if did:
            say("cli.stopped", slug=path.stem)
        else:
            complain("error.stop.unreachable", slug=path.stem)
    return 0 if wanted and all(obeyed.values()) else 1


def _hosts(run: Path) -> list[str]:
    """Return the machines that have, or had, a host."""
    try:
        names = os.listdir(run)  # noqa: PTH208 - pathlib's glob would hide that we may not look
    except FileNotFoundError:
        return []
    slugs = {name.removesuffix(_SOCKET) for name in names if name.endswith(_SOCKET)}
    return sorted(slugs - {_NODE})


def _caller() -> str:
    try:
        return f"{getpass.getuser()} (console)"
    except (KeyError, OSError):  # a user without a name may stop a machine, too
        return "console"
