"""Measure the house's rules in a lab that decided all of them; prints one JSON object.

CPU seconds of this process, the median of five: what else runs beside must not count. The
wish is one in a full month: 400 claims on the machine, 60 bookings of the person.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval
from jobs.domain.people import Role
from jobs.domain.rules import FOR_EVER, Act, Facts, OwnBooking, Values, passes, refusals_of, slots
from jobs.domain.rules.times import LOOK_AHEAD_DAYS
from jobs.domain.rules.values import Level

ROUNDS = 5
NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUSY = tuple(Interval(NOW + n * 3 * HOUR, NOW + (n * 3 + 2) * HOUR) for n in range(400))
OWN = tuple(
    OwnBooking(Interval(NOW + n * 24 * HOUR, NOW + (n * 24 + 1) * HOUR), str(n), "ender", "fdm")
    for n in range(60)
)
FACTS = Facts(
    start=NOW + 30 * HOUR,
    end=NOW + 32 * HOUR,
    now=NOW,
    role=Role.MEMBER,
    zone=ZoneInfo("Europe/Berlin"),
    known_until=NOW + timedelta(days=LOOK_AHEAD_DAYS),
    machine="ender",
    kind="fdm",
    taken=BUSY,
    own=OWN,
    qualified_until=FOR_EVER,
)
STRICT = Values(
    qualification_needed=True,
    day_quota_min=240,
    week_quota_min=900,
    most_bookings=5,
    gap_min=30,
    opening="Mo-Fr 09:00-21:00; Sa 10:00-16:00",
    approval_needed=True,
    levels={"day_quota_min": Level.LAB},
)


def cpu_us(work: Callable[[], object], times: int) -> float:
    """Return the median CPU time of one call [µs]."""
    found = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - begin) / times * 1e6)
    return round(statistics.median(found), 1)


def main() -> int:
    """Print the figures."""
    free = FACTS.at(NOW + 2 * HOUR, NOW + 3 * HOUR)
    start = Facts(
        start=NOW,
        end=NOW + HOUR,
        now=NOW,
        role=Role.MEMBER,
        zone=FACTS.zone,
        known_until=FACTS.known_until,
        act=Act.START,
    )
    step = timedelta(minutes=15)
    result = {
        "start_without_rules_us": cpu_us(lambda: passes(start, Values()), 5000),
        "booking_without_rules_us": cpu_us(lambda: passes(free, Values()), 500),
        "booking_by_all_rules_us": cpu_us(lambda: passes(free, STRICT), 200),
        "refused_with_all_ways_us": cpu_us(lambda: refusals_of(FACTS, STRICT), 50),
        "refusals": len(refusals_of(FACTS, STRICT)),
        "next_six_slots_us": cpu_us(lambda: list(islice(slots(FACTS, STRICT, step), 6)), 5),
        "next_six_slots_without_rules_us": cpu_us(
            lambda: list(islice(slots(FACTS, Values(), step), 6)), 20
        ),
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
