"""One of several processes that want the same hours of the same machines at the same instant.

`python -m tests.jobs.services.many_at_once` reads what to do as one line of JSON, says that it is
ready, waits for another line, does it on threads of its own, and prints what came of each request.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import uuid6

from jobs.designs.library import Library
from jobs.domain.errors import RefusedError
from jobs.domain.people import Actor, Role
from jobs.services.approvals import NO_PLEA, consent_of
from jobs.services.bookings import Bookings
from jobs.services.live import LiveBoard
from jobs.services.workers import WorkerLimits
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from tests.fake_gateway import FakeGateway
from tests.jobs.services.conftest import TestSigner

THREADS = 8
QUARTER = timedelta(minutes=15)


class Crowd:
    """What one process does: half-hours and hours, moves of them, and now and then an outage."""

    def __init__(self, wish: dict[str, object], folder: Path) -> None:
        self.wish = wish
        self.now = datetime.fromisoformat(str(wish["now"]))
        self.people = [Actor(one, "", Role.MEMBER) for one in wish["people"]]
        self.staff = Actor(str(wish["staff"]), "", Role.OPERATOR)
        self.bookings = Bookings(workshop_on(str(wish["url"]), folder))
        self.made: list[tuple[Actor, str]] = []  # by this process; threads only append

    def act(self, number: int) -> dict[str, object]:
        chance = random.Random(f"{self.wish['seed']}/{number}")
        start = self.now + timedelta(hours=1) + chance.randrange(16) * QUARTER
        end = start + chance.randrange(1, 5) * QUARTER
        slug = chance.choice(list(self.wish["machines"]))
        verb = "outage" if number % 25 == 24 else "move" if number % 8 == 7 else "book"
        done: dict[str, object] = {"verb": verb, "reasons": [], "said": True}
        try:
            if verb == "outage":
                self.bookings.outage(self.staff, slug, start, end, "", self.now)
            elif verb == "move" and self.made:
                who, claim = chance.choice(self.made)
                self.bookings.move(who, claim, start, end, self.now)
            else:
                who = chance.choice(self.people)
                self.made.append((who, self.bookings.book(who, slug, start, end, self.now).id))
                done["verb"] = "book"
        except RefusedError as error:
            done["reasons"] = [one.reason.value for one in error.refusals]
            # Who is too late hears until when it is taken.
            done["said"] = all(one.passes_at for one in error.refusals if one.reason == "taken")
        return done


def workshop_on(url: str, folder: Path) -> Workshop:
    """Return a workshop as a node has it, on a database that others write to."""
    return Workshop(
        database=Database(url),
        library=Library(folder / "library"),
        work_dir=folder,
        signer=TestSigner(),
        gateway=FakeGateway(),
        live=LiveBoard(),
        site="test-lab",
        zone=ZoneInfo("Europe/Berlin"),
        slicer=None,
        worker_limits=WorkerLimits(),
        new_id=lambda: str(uuid6.uuid7()),
        new_token=lambda: secrets.token_urlsafe(32),
    )


def everything_goes(_session: object, _workshop: object, actor: Actor, *_: object) -> object:
    """The rules as of somebody who saw nothing in the way."""
    return consent_of([], actor, NO_PLEA)


def main() -> None:
    wish = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="fabnode-crowd-") as folder:
        crowd = Crowd(wish, Path(folder))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        blind = patch("jobs.services.bookings.consent_for", everything_goes)
        if wish["blind"]:
            blind.start()
        with ThreadPoolExecutor(THREADS) as threads:
            done = list(threads.map(crowd.act, range(int(wish["requests"]))))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
