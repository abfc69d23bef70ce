"""Twelve starts from four processes on one database, and credit for five: five begin."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.domain.modules import Module
from jobs.domain.people import Role
from jobs.domain.rules.values import LAB
from jobs.services.purse import available
from jobs.store.tables import Attempt
from tests.jobs.services.way.conftest import open_house, waiting_adder

ROOT = Path(__file__).parents[4]
PROCESSES, EACH, PAID = 4, 3, 5


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "which", ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]
)
def test_no_two_starts_spend_the_same_credit(
    which: str,
    request: pytest.FixtureRequest,
    make_workshop: Callable[..., object],
    add_person: Callable[..., object],
    add_machine: Callable[..., str],
    now: object,
) -> None:
    database = request.getfixturevalue(which)
    house = open_house(make_workshop(database), now)  # type: ignore[arg-type]
    services, add = house.services, waiting_adder(house)
    ada = add_person(house.workshop, "ada", Role.ADMIN)
    mia = add_person(house.workshop, "mia", Role.OPERATOR)
    services.modules.choose(ada, set(Module), house.now)
    services.prices.set(ada, {"of": "kind:fdm", "amount": "1", "per": "start"}, house.now)
    services.house.set(ada, LAB, "owing_most", 0, "", house.now)
    services.money.pay(ada, mia.person_id, str(PAID), "R-1", "", house.now)
    jobs = []
    for number in range(PROCESSES * EACH):
        machine_id = add_machine(house.workshop, f"printer-{number}")
        jobs.append((add(mia, machine_id), f"printer-{number}"))
    wish = {
        "url": database.url,
        "person": mia.person_id,
        "seat": mia.seat,
        "now": house.now.isoformat(),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.services.starts_at_once"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for number, process in enumerate(processes):
            mine = jobs[number * EACH : (number + 1) * EACH]
            process.stdin.write(json.dumps({**wish, "jobs": mine}) + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=150)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    done = list(itertools.chain.from_iterable(json.loads(text) for text in told))
    assert sorted(done) == [[]] * PAID + [["credits-short"]] * (len(jobs) - PAID)
    assert len(house.rows(Attempt)) == PAID
    with database.read() as session:
        assert available(session, mia.person_id, house.now) == 0
