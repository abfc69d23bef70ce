"""What ten years of history cost: pages, the search for time, sweeps and ticks, the start.

The same lab on the same day, with one, five and ten years behind it. For each page the median and
the 95th percentile of the processor time of this process [ms] (what runs beside must not count)
and of the clock on the wall; a sweep is the median of several. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Mapping
from dataclasses import astuple
from pathlib import Path
from zoneinfo import ZoneInfo

import uuid6
from sqlalchemy import text

from jobs.designs.library import Library
from jobs.domain.people import Actor, Role
from jobs.services import Services, build_services
from jobs.services.foresight import Foresight
from jobs.services.live import LiveBoard, LiveState
from jobs.services.workers import WorkerLimits
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.migrate import upgrade
from node.memory import set_aside
from tests.bench.history import fill
from tests.fake_gateway import FakeGateway
from tests.jobs.services.conftest import TestSigner
from web.app import create_app
from web.context import HealthView, WebSettings

with warnings.catch_warnings():
    # Starlette asks for another client than the one that is installed.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

YEARS = (1, 5, 10)
ROUNDS = 40
STARTS = 3
MOST_SWEEPS = 200
PAGES = {
    "week_of_all_machines": "/book?view=week",
    "day_of_all_machines": "/book?view=day",
    "week_of_a_machine": "/machines/m7/calendar",
    "slots_on_all_machines": "/book?length=120",
    "slots_api": "/api/v1/bookings/free?length_min=120",
    "my_bookings": "/bookings",
    "board": "/",
    "machine": "/machines/m7",
    "machine_history": "/machines/m7/history",
    "queue": "/queue",
    "notices": "/notices",
}


def workshop_on(database: Database, folder: Path) -> Workshop:
    """Return a workshop whose machines are there and idle."""
    live = LiveBoard()
    for number in range(fill.MACHINES):
        live.put(f"m{number}", LiveState(phase="idle", connected=True))
    return Workshop(
        database=database,
        library=Library(folder / "library"),
        work_dir=folder,
        signer=TestSigner(),
        gateway=FakeGateway(),
        live=live,
        site="bench",
        zone=ZoneInfo("Europe/Berlin"),
        slicer=None,
        worker_limits=WorkerLimits(),
        new_id=lambda: str(uuid6.uuid7()),
        new_token=lambda: secrets.token_urlsafe(32),
    )


def health() -> HealthView:
    """Nothing of the kind is measured here."""
    return HealthView(
        ok=True,
        database="sqlite",
        broker="away",
        outbox_waiting=0,
        slicer=None,
        sandbox_namespaces=True,
        hosts={},
        version="0",
        supply="",
    )


def figures(work: Callable[[], object], rounds: int) -> Mapping[str, float]:
    """Return what one call costs [ms]; the first is not counted."""
    cpu, wall = [], []
    for turn in range(rounds + 1):
        began, at = time.process_time(), time.perf_counter()
        work()
        if turn:
            cpu.append((time.process_time() - began) * 1e3)
            wall.append((time.perf_counter() - at) * 1e3)
    return {
        "cpu_median_ms": round(statistics.median(cpu), 1),
        "cpu_p95_ms": round(sorted(cpu)[int(len(cpu) * 0.95) - 1], 1),
        "wall_p95_ms": round(sorted(wall)[int(len(wall) * 0.95) - 1], 1),
    }


def pages(services: Services, workshop: Workshop) -> Mapping[str, Mapping[str, float]]:
    """Return what each page costs a member."""
    member = Actor(fill.people()[7], "", Role.MEMBER)
    settings = WebSettings("Bench", "0", workshop.zone, secure_cookies=False)
    app = create_app(services, settings, health, clock=lambda: fill.NOW)
    with TestClient(app, follow_redirects=False) as client:
        token = services.people.make_link(member.person_id, fill.NOW)
        assert client.post(f"/sign-in/link/{token}").status_code == 303

        set_aside()  # as the node does once it has started

        def get(path: str) -> None:
            answer = client.get(path)
            assert answer.status_code == 200, path

        return {name: figures(lambda p=path: get(p), ROUNDS) for name, path in PAGES.items()}


def build_foresight(services: Services) -> Foresight:
    """Return one that has made no promise yet: in a house at rest most ticks do nothing."""
    return Foresight(services.workshop)


def sweeps(services: Services) -> Mapping[str, float]:
    """Return what each task of the timers costs when there is nothing to do [ms of CPU]."""
    now = fill.NOW
    for _ in range(MOST_SWEEPS):  # what is old goes a little at a time, once and not each hour
        if not any(astuple(services.sweep.tick(now))):
            break
    tasks: Mapping[str, Callable[[], object]] = {
        "lapsing": lambda: services.lapsing.tick(now),
        "dispatch": lambda: services.dispatch.tick(now),
        "overruns": lambda: services.runs.overruns(now),
        "foresight": lambda: build_foresight(services).tick(now),
        "sweep": lambda: services.sweep.tick(now),
        "outbox": lambda: services.outbox.pending(),
    }
    return {name: figures(task, 7)["cpu_median_ms"] for name, task in tasks.items()}


def start_s(database: Database, folder: Path) -> float:
    """Return how long a node takes from its start to its first page on that database."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    node = [sys.executable, "-m", "node"]
    environment = {**os.environ, "FABNODE_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    (home / "node.toml").write_text(f'bind = "{place}"\ntimezone = "Europe/Berlin"\n')
    # 40 hosts would be measured with it.
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE machine SET control = 'by-hand', port = NULL"))
    database.close()
    shutil.copyfile(database.url.removeprefix("sqlite:///"), home / "fabnode.db")
    taken = []
    try:
        for _ in range(STARTS):
            began = time.monotonic()
            process = subprocess.Popen(
                [*node, "run"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                while not _answers(place) and time.monotonic() - began < 60:
                    time.sleep(0.02)
                taken.append(time.monotonic() - began)
            finally:
                process.terminate()
                process.wait(30)
    finally:
        shutil.rmtree(home)
    return round(statistics.median(taken), 2)


def _answers(place: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{place}/sign-in", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> int:
    """Measure and print."""
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="fabnode-history-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'fabnode.db'}"
        upgrade(url)
        database = Database(url)
        fill.furnish(database)
        reached = 0
        for years in YEARS:
            fill.add_days(database, reached, 365 * years)
            reached = 365 * years
            workshop = workshop_on(database, folder)
            services = build_services(workshop)
            with database.read() as session:
                rows = {
                    table: session.scalar(text(f"SELECT count(*) FROM {table}"))
                    for table in ("allocation", "job", "notice", "person", "machine")
                }
            result[f"{years}_years"] = {
                "rows": rows,
                "database_mib": round((folder / "fabnode.db").stat().st_size / 2**20),
                "pages": pages(services, workshop),
                "sweeps_cpu_ms": sweeps(services),
            }
        result["start_to_first_page_s"] = start_s(database, folder)
        database.close()
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
