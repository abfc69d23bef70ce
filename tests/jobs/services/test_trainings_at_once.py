"""The last seat of a training, wanted by many at the same instant, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from jobs.domain.errors import RefusedError
from jobs.domain.learning import SeatState, TrainingWish
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason
from jobs.domain.rules.values import Scope
from jobs.services.trainings import Trainings
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.house import TrainingSeat
from tests.jobs.services.test_many_at_once import crowd

DATABASES = ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("which", DATABASES)
def test_as_many_get_a_seat_as_there_are(
    which: str,
    request: pytest.FixtureRequest,
    make_workshop: Callable[[Database], Workshop],
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
    now: datetime,
) -> None:
    workshop = make_workshop(request.getfixturevalue(which))
    add_machine(workshop, "ender")
    admin = add_person(workshop, "ada", Role.ADMIN)
    trainings = Trainings(workshop)
    wish = TrainingWish("Printing", now + HOUR, HOUR, seats=3, grants=[Scope.read("machine:ender")])
    training = trainings.create(admin, wish, now)
    people = [add_person(workshop, f"p{number}") for number in range(8)]
    refused: list[Reason] = []
    ready = threading.Barrier(len(people))

    def sign_up(person: Actor) -> None:
        ready.wait(30)
        try:
            trainings.sign_up(person, training, now)
        except RefusedError as error:
            refused.extend(one.reason for one in error.refusals)

    threads = [threading.Thread(target=sign_up, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with workshop.database.read() as session:
        assert session.scalar(select(func.count()).select_from(TrainingSeat)) == 3
    assert refused == [Reason.NO_FREE_SEAT] * 5
    assert trainings.get(admin, training).free == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("which", DATABASES)
def test_of_200_wishes_from_four_processes_no_seat_is_sold_twice(
    which: str,
    request: pytest.FixtureRequest,
    make_workshop: Callable[[Database], Workshop],
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
    now: datetime,
) -> None:
    database: Database = request.getfixturevalue(which)
    workshop = make_workshop(database)
    add_machine(workshop, "ender")
    admin = add_person(workshop, "ada", Role.ADMIN)
    trainings = Trainings(workshop)
    wish = TrainingWish("Printing", now + HOUR, HOUR, 3, [Scope.read("machine:ender")])
    training = trainings.create(admin, wish, now)
    people = [add_person(workshop, f"p{number}").person_id for number in range(12)]
    url = database.engine.url.render_as_string(hide_password=False)
    done = crowd(
        {"url": url, "now": now.isoformat(), "people": people, "training": training},
        "seats_at_once",
    )
    assert len(done) == 200
    assert set(done) == {"done", "no-free-seat"}
    view = trainings.get(admin, training)
    kept = [one for one in view.people if one.state is not SeatState.WAITING]
    assert len(kept) <= 3
    assert view.free == 3 - len(kept)
    assert not (view.free and view.waiting), "a free seat is offered to who waits"
