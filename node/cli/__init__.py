"""The `fabnode` command: one sub-command a module, one sentence an error.

Exit codes: 0 done, 1 refused or failed (of a check: blocked), 2 wrong usage, 130 interrupted by
Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from drivers.errors import DriverError
from jobs.domain.errors import JobsError
from node.cli.arguments import build_parser as build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every error a person can meet is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        # A path need not be text, and a terminal need not know our quotes and arrows.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    args = build_parser().parse_args(argv)
    try:
        return _act(args)
    except (JobsError, DriverError) as error:
        from node.cli.words import say_error

        say_error(error)
        return _failed(args)
    except BrokenPipeError:
        return 1  # who reads our words has gone
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        from node.cli.words import complain

        # Of two names the second is the one that a person has typed.
        file = error.filename2 or error.filename or "?"
        complain("error.system", reason=error.strerror or str(error), file=str(file))
        return _failed(args)


def _failed(args: argparse.Namespace) -> int:
    """Return the code of a command that could not do its work."""
    # Of a check, 1 is a verdict: who asked for one must not take a typo for it.
    return 2 if args.command == "check" else 1


def _act(args: argparse.Namespace) -> int:
    """Carry out one command.

    Each is imported when it is wanted: a stop must not wait until the pages are loaded.
    """
    if args.command == "stop":
        from node.cli.stopping import stop

        return stop(args)
    _speak_of_the_inside(verbose=args.verbose)
    match args.command:
        case "send":
            from node.cli.sending import send as act
        case "inspect":
            from node.cli.checking import inspect as act
        case "check":
            from node.cli.checking import check as act
        case "ports":
            from node.cli.ports import ports as act
        case "machine":
            from node.cli.machines import machine as act
        case "plug":
            from node.cli.plugs import plug as act
        case "run":
            from node.cli.house import run as act
        case "init":
            from node.cli.house import init as act
        case "admin":
            from node.cli.house import reset as act
        case "house":
            from node.cli.evacuating import who as act
        case "ledger":
            from node.cli.lab import verify as act
        case "import":
            from node.cli.importing import bring as act
        case "start":
            from node.cli.starting import start as act
        case "resume":
            from node.cli.starting import resume as act
        case "demo":
            from node.cli.lab import demo as act
        case "simulate":
            from node.cli.lab import simulate as act
        case other:
            raise AssertionError(other)
    return act(args)


def _speak_of_the_inside(*, verbose: bool) -> None:
    import logging

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
