"""200 wishes for the same hours from four processes on one database: never an overlap."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from jobs.domain.people import Actor, Role
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.sharing import Notice
from jobs.store.tables import Allocation, OutboxMessage
from tests.jobs.services.test_booking_sequences import may_lie_together

ROOT = Path(__file__).parents[3]
DATABASES = ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]
PROCESSES, EACH = 4, 50


def crowd(wish: dict[str, object], module: str = "many_at_once") -> list[dict[str, object]]:
    """Let all processes loose at once and return what came of every request."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"tests.jobs.services.{module}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for number, process in enumerate(processes):
            process.stdin.write(json.dumps({**wish, "seed": number, "requests": EACH}) + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=110)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * PROCESSES
        return list(itertools.chain.from_iterable(json.loads(text) for text in told))
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("blind", [False, True], ids=["by-the-rules", "by-the-database-alone"])
@pytest.mark.parametrize("which", DATABASES)
def test_of_200_wishes_from_four_processes_no_two_overlap_and_losers_hear_why(
    which: str,
    blind: bool,
    request: pytest.FixtureRequest,
    make_workshop: Callable[[Database], Workshop],
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
    now: datetime,
) -> None:
    database: Database = request.getfixturevalue(which)
    workshop = make_workshop(database)
    machines = ["ender", "prusa", "voron"]
    for slug in machines:
        add_machine(workshop, slug)
    people = [add_person(workshop, f"p{number}").person_id for number in range(8)]
    staff = add_person(workshop, "otto", Role.OPERATOR).person_id
    url = database.engine.url.render_as_string(hide_password=False)
    done = crowd(
        {
            "url": url,
            "now": now.isoformat(),
            "people": people,
            "staff": staff,
            "machines": machines,
            "blind": blind,
        }
    )
    assert len(done) == PROCESSES * EACH
    lost = [one for one in done if one["reasons"]]
    assert len(lost) > PROCESSES * EACH // 2, "they want the same"
    assert {reason for one in lost for reason in one["reasons"]} <= {
        "taken",
        "out-of-service",
        "already-ended",  # a claim to move that an outage took meanwhile
    }
    assert all(one["said"] for one in lost)
    assert not any(one["reasons"] for one in done if one["verb"] == "outage"), "facts win"

    with database.read() as session:
        rows = session.scalars(select(Allocation)).all()
        words = session.scalars(select(OutboxMessage)).all()
        notices = session.scalars(select(Notice)).all()
    active = [row for row in rows if row.state == "active"]
    for one, two in itertools.combinations(active, 2):
        if one.machine_id == two.machine_id:
            assert may_lie_together(one, two)
    won = [one for one in done if one["verb"] == "book" and not one["reasons"]]
    reservations = [row for row in rows if row.kind == "reservation"]
    assert len(reservations) == len(won) > 0
    assert sum(row.kind == "outage" for row in rows) == PROCESSES * (EACH // 25)
    # Each of a claim's changes left one word, numbered, and who lost time was told.
    said = [json.loads(word.body)["data"] for word in words]
    for row in reservations:
        numbers = [one["sequence"] for one in said if one["allocation"] == row.id]
        assert sorted(numbers) == list(range(row.sequence + 1))
    displaced = {f"booking:{row.id}" for row in reservations if row.state == "displaced"}
    assert displaced <= {notice.about for notice in notices}
