"""`fabnode machine …`: the machines of the lab."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.machine import SLUG
from jobs.services.machines import MachineSpec, parse_machine
from node.cli.offline import console_actor, opened
from node.cli.words import out, print_json, say
from node.control import nudge


def machine(args: argparse.Namespace) -> int:
    """List, add or retire machines."""
    match args.verb:
        case "add":
            return _add(args)
        case "retire":
            return _retire(args)
        case _:
            return _list(args)


def read_machine(path: Path, slug: str) -> MachineSpec:
    """Return the machine that a TOML file describes.

    :raises InvalidError: naming the file, the key and the nearest right one.
    """
    try:
        values: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "?"
        raise InvalidError("file.unreadable", file=str(path), reason=reason) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError("config.not-toml", file=str(path), problem=str(error)) from error
    return parse_machine({"slug": slug, **values})


def known_slug(text: str) -> str:
    """Return *text* if a machine may be called so.

    :raises NotFoundError: where none can be: a word of the terminal may hold bytes that no
        database takes.
    """
    if not SLUG.fullmatch(text):
        raise NotFoundError("machine.unknown", machine=text)
    return text


def _list(args: argparse.Namespace) -> int:
    with opened() as node:
        board = node.services.machines.board(datetime.now(UTC), None)
        kept = node.services.machines.calibrations([machine.slug for machine in board])
    rows = [
        {
            "slug": machine.slug,
            "name": machine.name,
            "kind": machine.kind,
            "control": machine.control.value,
            "profile": machine.profile,
            "port": machine.port,
        }
        for machine in board
    ]
    if args.json:
        promises = (kept[str(row["slug"])].to_json() for row in rows)
        told = [{**row, "promises": one} for row, one in zip(rows, promises, strict=True)]
        print_json({"machines": told})
    elif not rows:
        say("cli.no-machines")
    else:
        for row in rows:
            out("  ".join(str(value) for value in row.values() if value is not None))
    return 0


def _add(args: argparse.Namespace) -> int:
    if not SLUG.fullmatch(args.slug):
        raise InvalidError("machine.slug", field="slug", name=args.slug)
    spec = read_machine(args.file, args.slug)
    with opened() as node:
        node.services.machines.add(console_actor(), spec, datetime.now(UTC))
        home = node.home
    running = nudge(home)
    say("cli.machine-added" if running else "cli.machine-added-later", slug=args.slug)
    return 0


def _retire(args: argparse.Namespace) -> int:
    with opened() as node:
        node.services.machines.retire(console_actor(), known_slug(args.slug), datetime.now(UTC))
        home = node.home
    nudge(home)
    say("cli.machine-retired", slug=args.slug)
    return 0
