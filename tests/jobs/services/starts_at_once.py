"""One of several processes that start what one person can pay for only in part.

`python -m tests.jobs.services.starts_at_once` speaks as `many_at_once` does.
"""

from __future__ import annotations

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from jobs.domain.errors import JobsError, RefusedError
from jobs.domain.people import Actor, Role
from jobs.services import build_services
from jobs.services.live import LiveState
from tests.jobs.services.many_at_once import THREADS, workshop_on


def main() -> None:
    wish = json.loads(sys.stdin.readline())
    now = datetime.fromisoformat(wish["now"])
    actor = Actor(wish["person"], "", Role.OPERATOR, seat=wish["seat"])
    with tempfile.TemporaryDirectory(prefix="fabnode-starts-") as folder:
        workshop = workshop_on(wish["url"], Path(folder))
        services = build_services(workshop)
        for _, slug in wish["jobs"]:
            workshop.live.put(slug, LiveState(phase="idle", connected=True))

        def act(one: tuple[str, str]) -> list[str]:
            job, slug = one
            try:
                services.dispatch.start(actor, job, slug, now, is_clear=True)
            except RefusedError as error:
                return [refusal.reason.value for refusal in error.refusals]
            except JobsError as error:
                return [error.code]
            return []

        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        with ThreadPoolExecutor(THREADS) as threads:
            done = list(threads.map(act, wish["jobs"]))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
