"""A workshop to try use cases in: a real database and library, a fake way to the machines."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import uuid6
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from drivers.acts import Order
from jobs.designs.library import Library
from jobs.domain.machine import Control, MachineLimits
from jobs.domain.people import Actor, Role
from jobs.services.live import LiveBoard, LiveState
from jobs.services.workers import WorkerLimits
from jobs.services.workshop import LiveOffsets, StartOrder, Workshop
from jobs.store.database import Database
from jobs.store.tables import Machine, Person

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)  # a Wednesday, 10:00 in Berlin


@dataclass
class FakeGateway:
    """Records what is asked of machine hosts. `answers[(verb, slug)]` is a code to refuse with."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    orders: list[StartOrder] = field(default_factory=list)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    changes: int = 0
    acts: list[tuple[str, Order, str]] = field(default_factory=list)
    wire_logs: list[Path] = field(default_factory=list)

    def _called(self, verb: str, slug: str) -> str | None:
        self.calls.append((verb, slug))
        return self.answers.get((verb, slug))

    def start(self, slug: str, order: StartOrder) -> str | None:
        self.orders.append(order)
        return self._called("start", slug)

    def pause(self, slug: str, by: str) -> str | None:
        return self._called("pause", slug)

    def resume(self, slug: str, by: str) -> str | None:
        return self._called("resume", slug)

    def cancel(self, slug: str, by: str) -> str | None:
        return self._called("cancel", slug)

    told: LiveOffsets | str = "host.not_now"

    def offsets(self, slug: str) -> LiveOffsets | str:
        return self.told

    def trace(self, slug: str, lines: Sequence[str], by: str) -> str | None:
        return self._called(f"trace {'; '.join(lines)}", slug)

    def answer(self, slug: str, prompt: int, choice: int, by: str) -> str | None:
        return self._called(f"answer {prompt} {choice} {by}", slug)

    def reconnect(self, slug: str) -> str | None:
        return self._called("reconnect", slug)

    def stop(self, slug: str, by: str) -> str | None:
        return self._called("stop", slug)

    def release(self, slug: str, by: str) -> str | None:
        return self._called("release", slug)

    def own_board(self, slug: str, by: str) -> str | None:
        return self._called("own-board", slug)

    def identify(self, slug: str) -> str | None:
        return self._called("identify", slug)

    def keep_heat(self, slug: str, by: str, seconds: int) -> str | None:
        return self._called(f"keep-heat {by} {seconds}", slug)

    def act(self, slug: str, order: Order, by: str) -> str | None:
        self.acts.append((slug, order, by))
        return self._called("act", slug)

    def power(self, slug: str, by: str, *, on: bool) -> str | None:
        return self._called(f"power {on} {by}", slug)

    def wire_log(self, slug: str, run: str) -> list[Path]:
        return [path for path in self.wire_logs if run in path.name]

    def machines_changed(self) -> None:
        self.changes += 1


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
        return Actor(person_id, login.title(), role, simulated)

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
