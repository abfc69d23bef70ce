"""`fabnode import`: bring people, qualifications, bookings and prices along from another system."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from jobs.domain.errors import NotAllowedError
from jobs.domain.importing import LARGEST_BYTES, What
from node.cli.words import err, print_json, say, text


def bring(args: argparse.Namespace) -> int:
    """Take a list in, wholly or not at all; each row that is wrong is told."""
    from node.cli.offline import opened

    path: Path = args.file
    with path.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    with opened() as node:
        people = node.services.people
        admin = people.first_admin()
        if admin is None:
            raise NotAllowedError("person.not-allowed", needed="admin")
        actor, now = people.actor_of(admin), datetime.now(UTC)
        found = node.services.importing.run(
            actor, What(args.what), path.name, data, now, dry=args.dry_run
        )
    is_blocked = any(one.blocks for one in found.problems)
    if args.json:
        print_json(
            {
                "made": found.made,
                "known": found.known,
                "taken": found.taken,
                "problems": [
                    {
                        "line": one.line,
                        "field": one.field,
                        "code": one.code,
                        "detail": text(f"import.{one.code}", **one.values),
                        "blocks": one.blocks,
                    }
                    for one in found.problems
                ],
            }
        )
        return 1 if is_blocked else 0
    for one in found.problems:
        place = f"{path.name}:{one.line}:" + (f" {one.field}:" if one.field else "")
        err(f"{place} {text(f'import.{one.code}', **one.values)}")
    if is_blocked:
        say("page.import.blocked")
        return 1
    word = "would" if args.dry_run else "did"
    say(f"page.import.{word}", made=found.made, known=found.known)
    return 0
