"""The last seat of a training, wanted by many at the same instant, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from jobs.domain.errors import RefusedError
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason
from jobs.services.trainings import Trainings, TrainingWish
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.house import TrainingSeat

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
    wish = TrainingWish("Printing", now + HOUR, HOUR, seats=3, slug="ender")
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
