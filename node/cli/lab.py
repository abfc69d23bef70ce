"""`fabnode ledger verify`, `fabnode demo` and `fabnode simulate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from jobs.domain.errors import InvalidError
from node.cli.words import complain, print_json, say


def verify(args: argparse.Namespace) -> int:
    """Check every hash and signature of the usage records."""
    from node.cli.offline import opened

    with opened() as node:
        verdict = node.services.ledger.verify()
    if args.json:
        print_json(
            {
                "ok": verdict.ok,
                "records": verdict.records,
                "head": verdict.head,
                "bad_seq": verdict.bad_seq,
                "problem": verdict.problem,
            }
        )
    elif verdict.ok:
        say("cli.ledger-whole", records=verdict.records, head=verdict.head[:16])
    else:
        complain(
            f"error.ledger.{verdict.problem or 'body'}",
            seq=verdict.bad_seq if verdict.bad_seq is not None else 0,
        )
    return 0 if verdict.ok else 1


def demo(args: argparse.Namespace) -> int:
    """Run a simulated lab that makes a real design."""
    from node.demo import run_demo

    return run_demo(speed=args.speed, port=args.port, ends=args.exit)


def simulate(args: argparse.Namespace) -> int:
    """Be a machine on a pseudo-terminal until told to end."""
    from drivers.simulators import Wishes
    from drivers.simulators import simulate as live
    from drivers.simulators.usb import Plug

    link: Path = args.link
    if not link.name or not link.parent.is_dir():
        raise InvalidError("simulator.no-folder", file=str(link))
    if link.exists() and not link.is_symlink():
        raise InvalidError("simulator.no-link", file=str(link))  # it would be overwritten
    plug = Plug.read(args.usb) if args.usb else None
    if plug is not None and link.absolute().parent.name != "dev":
        raise InvalidError("simulator.no-dev", file=str(link))
    wishes = Wishes(baud=args.baud, plug=plug, hears_rates=args.hears_rates)
    live(args.profile, link, args.speed, args.seed, args.fault, wishes=wishes)
    return 0
