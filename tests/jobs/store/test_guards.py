"""The overlap guard, asked directly: no program logic stands between these tests and the rows."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.store.database import HEAD, Database, is_overlap
from jobs.store.migrate import alembic_config, upgrade
from jobs.store.tables import Allocation, Machine, Person

T0 = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DATABASES = ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]
CLAIM_KINDS = (AllocationKind.RESERVATION, AllocationKind.HOLD)
FACT_KINDS = (AllocationKind.RUN, AllocationKind.OUTAGE, AllocationKind.CLOSURE)
SCRIPTS = ScriptDirectory.from_config(alembic_config(""))
REVISIONS = [one.revision for one in SCRIPTS.walk_revisions()]


def fill(database: Database) -> None:
    """Two machines and two people."""
    with database.write() as session:
        for name in ("a", "b"):
            session.add(Person(id=name, login=name, name=name, role="member", created_at=T0))
            session.add(
                Machine(
                    id=name,
                    slug=name,
                    name=name,
                    kind="fdm",
                    control="none",
                    limits={},
                    created_at=T0,
                )
            )


@pytest.fixture
def filled(request: pytest.FixtureRequest) -> Database:
    database: Database = request.getfixturevalue(request.param)
    fill(database)
    return database


_numbers = itertools.count()


def entry(
    kind: AllocationKind,
    start: int,
    end: int,
    *,
    person: str | None = "a",
    machine: str = "a",
    state: AllocationState = AllocationState.ACTIVE,
) -> Allocation:
    """An allocation in whole hours."""
    return Allocation(
        id=f"n{next(_numbers)}",
        machine_id=machine,
        kind=kind.value,
        state=state.value,
        start_at=T0 + start * HOUR,
        end_at=T0 + end * HOUR,
        person_id=person,
        note="",
        sequence=0,
        created_at=T0,
    )


def enters(database: Database, row: Allocation) -> bool:
    try:
        with database.write() as session:
            session.add(row)
    except IntegrityError as error:
        if is_overlap(error):
            return False
        raise
    return True


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_claims_exclude_each_other_even_of_one_person(filled: Database) -> None:
    for first, second in itertools.product(CLAIM_KINDS, repeat=2):
        with filled.write() as session:
            session.execute(text("DELETE FROM allocation"))
        assert enters(filled, entry(first, 2, 4))
        for start, end in ((1, 3), (3, 5), (2, 4), (1, 5), (2, 3)):
            assert not enters(filled, entry(second, start, end))
        assert enters(filled, entry(second, 1, 2, person="b"))
        assert enters(filled, entry(second, 4, 5))
        assert enters(filled, entry(second, 2, 4, machine="b"))


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_what_is_over_takes_no_time(filled: Database) -> None:
    for state in (
        AllocationState.ENDED,
        AllocationState.CANCELLED,
        AllocationState.DISPLACED,
        AllocationState.ACTIVE,
    ):
        assert enters(filled, entry(AllocationKind.RESERVATION, 1, 2, state=state))


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_a_cancelled_claim_cannot_come_back_over_another(filled: Database) -> None:
    gone = entry(AllocationKind.RESERVATION, 1, 3, state=AllocationState.CANCELLED)
    assert enters(filled, gone)
    assert enters(filled, entry(AllocationKind.RESERVATION, 2, 4))
    with pytest.raises(IntegrityError) as refused, filled.write() as session:
        session.get_one(Allocation, gone.id).state = AllocationState.ACTIVE.value
    assert is_overlap(refused.value)


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_a_move_is_guarded_like_a_new_claim(filled: Database) -> None:
    row = entry(AllocationKind.RESERVATION, 5, 6)
    assert enters(filled, entry(AllocationKind.RESERVATION, 1, 3))
    assert enters(filled, row)
    with pytest.raises(IntegrityError) as refused, filled.write() as session:
        session.get_one(Allocation, row.id).start_at = T0 + 2 * HOUR
    assert is_overlap(refused.value)


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
@pytest.mark.parametrize("kind", FACT_KINDS)
def test_a_claim_and_a_fact_exclude_each_other_but_for_ones_own_run(
    filled: Database, kind: AllocationKind
) -> None:
    own_may = kind is AllocationKind.RUN
    assert enters(filled, entry(kind, 1, 3, person="a"))
    assert enters(filled, entry(AllocationKind.RESERVATION, 2, 4, person="a")) is own_may
    assert not enters(filled, entry(AllocationKind.RESERVATION, 2, 3, person="b"))
    assert enters(filled, entry(AllocationKind.RESERVATION, 10, 12, person="a"))
    assert enters(filled, entry(kind, 11, 13, person="a")) is own_may
    assert not enters(filled, entry(kind, 11, 13, person=None))


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_facts_lie_over_each_other(filled: Database) -> None:
    for first in FACT_KINDS:
        assert enters(filled, entry(first, 1, 3, person=None))


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_an_interval_grows(filled: Database) -> None:
    for start, end in ((2, 2), (3, 2)):
        with pytest.raises(IntegrityError), filled.write() as session:
            session.add(entry(AllocationKind.RESERVATION, start, end))


@pytest.mark.parametrize("filled", DATABASES, indirect=True)
def test_of_many_inserts_at_the_same_instant_one_enters(filled: Database) -> None:
    gate = threading.Barrier(20)
    results: list[bool] = []

    def insert(row: Allocation) -> None:
        gate.wait(timeout=20)
        results.append(enters(filled, row))

    rows = [
        entry(AllocationKind.RESERVATION, 1, 3, person="ab"[number % 2]) for number in range(10)
    ] + [entry(AllocationKind.RUN, 2, 4, person=None) for _ in range(10)]
    threads = [threading.Thread(target=insert, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)

    with filled.read() as session:
        kinds = sorted(session.scalars(text("SELECT kind FROM allocation")))
    assert len(kinds) == results.count(True)
    assert kinds in (["reservation"], ["run"] * 10)


@pytest.mark.postgresql
def test_the_constraint_alone_keeps_claims_apart(postgresql_database: Database) -> None:
    """Whoever loads rows with triggers off, as a restore does, still cannot double-book."""
    fill(postgresql_database)
    with postgresql_database.write() as session:
        session.execute(text("ALTER TABLE allocation DISABLE TRIGGER allocation_no_overlap"))
    assert enters(postgresql_database, entry(AllocationKind.RESERVATION, 1, 3))
    assert not enters(postgresql_database, entry(AllocationKind.HOLD, 2, 4, person="b"))
    assert enters(postgresql_database, entry(AllocationKind.HOLD, 3, 4, person="b"))


@pytest.mark.postgresql
def test_an_insert_waits_for_one_that_it_cannot_see_yet(postgresql_database: Database) -> None:
    """Two transactions that are blind to each other: without the lock both would pass."""
    fill(postgresql_database)
    results: list[bool] = []
    claim = entry(AllocationKind.RESERVATION, 2, 4, person="b")
    thread = threading.Thread(target=lambda: results.append(enters(postgresql_database, claim)))
    with postgresql_database.write() as session:
        session.add(entry(AllocationKind.RUN, 1, 3))
        session.flush()
        thread.start()
        thread.join(timeout=0.5)
        assert results == []
    thread.join(timeout=20)
    assert results == [False]


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_goes_to_head_and_is_guarded(revision: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'fabnode.db'}"
    upgrade(url, revision)
    upgrade(url)
    _tries_to_double_book(url)


@pytest.mark.postgresql
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_goes_to_head_and_is_guarded_on_postgresql(
    revision: str, new_postgresql: Callable[..., str]
) -> None:
    url = new_postgresql(f"from_{revision}")
    upgrade(url, revision)
    upgrade(url)
    _tries_to_double_book(url)


def _tries_to_double_book(url: str) -> None:
    command.check(alembic_config(url))  # the tables are what the code says they are
    database = Database(url)
    fill(database)
    assert enters(database, entry(AllocationKind.RESERVATION, 1, 3))
    assert not enters(database, entry(AllocationKind.RESERVATION, 2, 4, person="b"))
    assert not enters(database, entry(AllocationKind.OUTAGE, 2, 4, person=None))
    database.close()


def test_the_head_that_the_node_asks_for_is_the_newest_revision() -> None:
    assert SCRIPTS.get_current_head() == HEAD
