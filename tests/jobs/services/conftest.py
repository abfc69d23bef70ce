"""A workshop to try use cases in: a real database and library, a fake way to the machines."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import uuid6
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from jobs.designs.library import Library
from jobs.domain.machine import Control, MachineLimits
from jobs.domain.people import Actor, Role
from jobs.services.live import LiveBoard, LiveState
from jobs.services.workers import WorkerLimits
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.tables import Machine, Person
from tests.fake_gateway import FakeGateway
from tests.there import seated

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)  # a Wednesday, 10:00 in Berlin


class TestSigner:
    """A node identity of this test run."""

    __test__ = False

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    @property
    def did(self) -> str:
        return "did:key:z6MkTest"

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self._key.public_key()

    def sign(self, body: bytes) -> str:
        return self._key.sign(body).hex()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture(scope="session")
def signer() -> TestSigner:
    return TestSigner()


@pytest.fixture
def make_workshop(
    tmp_path: Path, gateway: FakeGateway, signer: TestSigner
) -> Callable[[Database], Workshop]:
    """Build a workshop on a database; all of one test share the gateway and the files."""

    def build(database: Database) -> Workshop:
        work_dir = tmp_path / "work"
        work_dir.mkdir(exist_ok=True)
        return Workshop(
            database=database,
            library=Library(tmp_path / "library"),
            work_dir=work_dir,
            signer=signer,
            gateway=gateway,
            live=LiveBoard(),
            site="test-lab",
            zone=ZoneInfo("Europe/Berlin"),
            slicer=None,
            worker_limits=WorkerLimits(),
            new_id=lambda: str(uuid6.uuid7()),
            new_token=lambda: secrets.token_urlsafe(32),
        )

    return build


@pytest.fixture
def workshop(database: Database, make_workshop: Callable[[Database], Workshop]) -> Workshop:
    """A workshop on a fresh SQLite file, in Berlin."""
    return make_workshop(database)


@pytest.fixture
def add_person() -> Callable[..., Actor]:
    """Write a person straight into the table: `add_person(workshop, "ana", Role.MEMBER)`."""

    def add(
        workshop: Workshop, login: str, role: Role = Role.MEMBER, *, simulated: bool = False
    ) -> Actor:
        person_id = workshop.new_id()
        with workshop.database.write() as session:
            session.add(
                Person(
                    id=person_id,
                    login=login,
                    name=login.title(),
                    role=role.value,
                    simulated=simulated,
                    created_at=NOW,
                )
            )
        return seated(workshop, Actor(person_id, login.title(), role, simulated), NOW)

    return add


@pytest.fixture
def add_machine() -> Callable[..., str]:
    """Write a machine straight into the table and return its id."""

    def add(
        workshop: Workshop,
        slug: str,
        *,
        kind: str = "fdm",
        control: Control = Control.SERIAL,
        limits: MachineLimits | None = None,
    ) -> str:
        machine_id = workshop.new_id()
        limits = limits or MachineLimits(
            (220.0, 220.0, 250.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4
        )
        is_serial = control is Control.SERIAL
        with workshop.database.write() as session:
            session.add(
                Machine(
                    id=machine_id,
                    slug=slug,
                    name=slug.title(),
                    kind=kind,
                    control=control.value,
                    profile=("grbl-1.1" if kind == "mill" else "marlin-2") if is_serial else None,
                    port=f"/dev/{slug}" if is_serial else None,
                    baud=115200 if is_serial else None,
                    limits=limits.to_json(),
                    created_at=NOW,
                )
            )
        return machine_id

    return add


@pytest.fixture
def admin(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    return add_person(workshop, "ada", Role.ADMIN)


@pytest.fixture
def operator(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    return add_person(workshop, "otto", Role.OPERATOR)


@pytest.fixture
def member(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    return add_person(workshop, "mia", Role.MEMBER)


@pytest.fixture
def other(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    """A second member."""
    return add_person(workshop, "noor", Role.MEMBER)


@pytest.fixture
def guest(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    return add_person(workshop, "gus", Role.GUEST)


@pytest.fixture
def printer(workshop: Workshop, add_machine: Callable[..., str]) -> str:
    """Id of the FDM printer with slug `ender`, connected and idle."""
    machine_id = add_machine(workshop, "ender")
    workshop.live.put("ender", LiveState(phase="idle", connected=True))
    return machine_id


@pytest.fixture
def mill(workshop: Workshop, add_machine: Callable[..., str]) -> str:
    """Id of the router with slug `router`, connected and idle."""
    limits = MachineLimits((300.0, 200.0, 60.0), spindle_max_rpm=12000.0)
    machine_id = add_machine(workshop, "router", kind="mill", limits=limits)
    workshop.live.put("router", LiveState(phase="idle", connected=True))
    return machine_id
