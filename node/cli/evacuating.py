"""`fabnode house who`: who is in the house, also while no node runs."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from jobs.domain.events import rfc3339
from node.cli.words import out, print_json, say, text


def who(args: argparse.Namespace) -> int:
    """Print the list for a fire alarm: names, counts, and when somebody came or went last."""
    from node.cli.offline import console_actor, opened

    now = datetime.now(UTC)
    with opened() as node:
        seen = node.services.visits.look(console_actor(), now)
        zone = node.config.zone
    if args.json:
        print_json(
            {
                "count": seen.count,
                "visitors": seen.visitors,
                "minors": seen.minors,
                "changed_at": rfc3339(seen.changed_at) if seen.changed_at else None,
                "as_of": rfc3339(now),
                "present": [
                    {
                        "name": one.name,
                        "is_visitor": not one.person_id,
                        "is_minor": one.is_minor,
                        "host": one.host,
                        "since": rfc3339(one.since),
                    }
                    for one in seen.present
                ],
                "unsaid": [
                    {"name": one.name, "ended_at": rfc3339(one.ends_at)} for one in seen.unsaid
                ],
            }
        )
        return 0
    say("page.visits.count", count=seen.count)
    for one in seen.present:
        words = [one.name]
        words += [] if one.person_id else [text("page.visits.visitor")]
        words += [text("page.visits.minor")] if one.is_minor else []
        words += [f"{text('page.visits.host')} {one.host}"] if one.host else []
        words.append(f"{text('page.visits.since')} {one.since.astimezone(zone):%H:%M}")
        out("  " + " · ".join(words))
    if seen.visitors:
        say("page.visits.visitors", count=seen.visitors)
    if seen.minors:
        say("page.visits.minors", count=seen.minors)
    if seen.unsaid:
        out(f"{text('page.visits.unsaid')}. {text('page.visits.unsaid-means')}")
        for one in seen.unsaid:
            ended = f"{text('page.visits.ended')} {one.ends_at.astimezone(zone):%a %H:%M}"
            out(f"  {one.name} · {ended}")
    if seen.changed_at:
        out(f"{text('page.visits.changed')} {seen.changed_at.astimezone(zone):%a %d %b %H:%M}")
    return 0
