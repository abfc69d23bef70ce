"""One of several processes whose people want the same few seats at the same instant.

`python -m tests.jobs.services.seats_at_once` speaks as `many_at_once` does.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from jobs.domain.errors import RefusedError
from jobs.domain.people import Actor, Role
from jobs.services.trainings import Trainings
from tests.jobs.services.many_at_once import THREADS, workshop_on


def main() -> None:
    wish = json.loads(sys.stdin.readline())
    now = datetime.fromisoformat(wish["now"])
    people = [Actor(one, "", Role.MEMBER) for one in wish["people"]]
    with tempfile.TemporaryDirectory(prefix="fabnode-seats-") as folder:
        trainings = Trainings(workshop_on(wish["url"], Path(folder)))

        def act(number: int) -> str:
            chance = random.Random(f"{wish['seed']}/{number}")
            do = chance.choice(
                (trainings.sign_up, trainings.sign_up, trainings.wait, trainings.sign_off)
            )
            try:
                do(chance.choice(people), wish["training"], now)
            except RefusedError as error:
                return error.refusals[0].reason.value
            return "done"

        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        with ThreadPoolExecutor(THREADS) as threads:
            done = list(threads.map(act, range(int(wish["requests"]))))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
