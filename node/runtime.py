"""The composition root: builds every part once, hands it to those who use it, ends it."""

from __future__ import annotations

import logging
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import uuid6
from fastapi import FastAPI

from jobs.designs.library import Library
from jobs.domain.clock import BEAT_S, Judged
from jobs.domain.errors import UnavailableError
from jobs.domain.modules import Module
from jobs.domain.sentences import Catalogue
from jobs.services import Services, build_services
from jobs.services.computer import supply
from jobs.services.delivering import Delivering
from jobs.services.live import LiveBoard
from jobs.services.machines import HostNeed
from jobs.services.power import ActorNeed
from jobs.services.views import HealthView
from jobs.services.workers import WorkerLimits, namespaces_available
from jobs.services.workshop import Workshop
from jobs.store.database import HEAD, Database
from node import topics
from node.actors import Actors
from node.asking import BoardAsker
from node.config import NodeConfig, database_url
from node.control import Listener
from node.home import find_devices
from node.identity import load_key
from node.lock import HomeLock
from node.memory import give_back, set_aside, share_one_heap
from node.mqtt import Publisher
from node.plug_logins import known_logins
from node.supervisor import Hearing, Layout, Supervisor
from node.timekeeper import read_clock
from node.timers import Timers
from node.topics import Message
from web.app import create_app
from web.context import WebSettings

log = logging.getLogger(__name__)

_SLICER = "prusa-slicer"


def version() -> str:
    """Return the installed release."""
    return metadata.version("fabnode")


def prepare_home(home: Path, config: NodeConfig) -> None:
    """Make the data folder and bring its database to the newest revision.

    :raises UnavailableError: `database.migration-failed` with the reason.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o750)
    url = database_url(home, config)
    if _is_current(url):
        return
    # Alembic stays in a child: the node would carry it in memory for ever.
    done = subprocess.run(
        [sys.executable, "-m", "jobs.store.migrate", url],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["?"]
        raise UnavailableError("database.migration-failed", reason=lines[-1][:300])


def _is_current(url: str) -> bool:
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError:
        return False
    return rows == [(HEAD,)]


def build_workshop(
    home: Path,
    config: NodeConfig,
    live: LiveBoard,
    supervisor: Supervisor,
    asker: BoardAsker | None = None,
) -> Workshop:
    """Return what services stand on, for the node and for commands alike."""
    slicer = shutil.which(_SLICER)
    return Workshop(
        database=Database(database_url(home, config)),
        library=Library(home / "library"),
        work_dir=home / "work",
        signer=load_key(home),
        gateway=supervisor,
        live=live,
        site=config.site,
        zone=config.zone,
        slicer=None if slicer is None else (slicer,),
        worker_limits=WorkerLimits(),
        new_id=lambda: str(uuid6.uuid7()),
        new_token=lambda: secrets.token_urlsafe(32),
        profiles_dir=Layout(home, "").profiles,
        devices=find_devices(),
        ask_board=asker,
    )


class Runtime:
    """One node, from open to close.

    :param spawn_hosts: start machine hosts ourselves; False where systemd does.
    :raises JobsError: when the folder is taken or the database cannot be brought up to date.
    """

    def __init__(self, home: Path, config: NodeConfig, *, spawn_hosts: bool = True) -> None:
        self.home = home
        self.config = config
        home.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._lock = HomeLock(home)
        prepare_home(home, config)
        self.live = LiveBoard()
        software = f"fabnode {version()}"
        broker = config.local_broker
        layout = Layout(home, software, spawn_hosts, find_devices(), broker)
        self.actors = Actors(self.live, broker, lambda: known_logins(home), self._hear_actor)
        self.supervisor = Supervisor(
            layout, self.live, self._host_needs, self.actors, self._actor_needs
        )
        asker = None if spawn_hosts else BoardAsker(home / "run")
        self.workshop = build_workshop(home, config, self.live, self.supervisor, asker)
        self.services: Services = build_services(self.workshop)
        self.publisher = self._build_publisher()
        self._lacks_namespaces = False  # until the probe has told
        self._timers = Timers()
        self._listener = Listener(home, self._on_nudge)

    def app(self) -> FastAPI:
        """Return the pages and the API."""
        settings = WebSettings(
            site=self.config.site,
            version=version(),
            secure_cookies=self.config.is_by_tls,
            address=self.config.address,
            hosts=self.config.names,
            proxies=self.config.proxies,
            provider=self.config.oidc.provider(),
            zone=self.config.zone,
            locale=self.config.language,
        )
        return create_app(self.services, settings, self.health)

    def open(self) -> None:
        """Start the hosts, the timers and the publisher."""
        services = self.services
        share_one_heap()
        self._beat()  # before anything runs out by the clock
        self.supervisor.open(Hearing(services.runs.apply, services.runs.reattached))
        self._timers.every(1.0, "dispatch", services.dispatch.tick)
        self._timers.every(10.0, "overruns", services.runs.overruns)
        self._timers.every(60.0, "foresight", services.foresight.tick)
        self._timers.every(60.0, "plans", services.planning.tick)
        preparation = services.preparation
        self._timers.every(60.0, "renew", preparation.renew)
        self._timers.every(3600.0, "sweep", services.sweep.tick)
        self._timers.every(30.0, "approvals", services.approvals.release)
        self._timers.every(86400.0, "holidays", services.house.refresh_holidays)
        self._timers.every(3600.0, "service", services.servicing.remind)
        catalogue = Catalogue(self.config.language)
        self._timers.every(300.0, "day-sheet", lambda now: services.day_sheet.tick(now, catalogue))
        self._timers.every(30.0, "lapsing", services.lapsing.tick)
        self._timers.every(600.0, "stays", services.standings.tick)
        self._timers.every(5.0, "power", services.power.tick)
        self._timers.every(30.0, "fire-watch", services.lasers.tick)
        self._timers.every(60.0, "house", services.visits.tick)
        self._timers.every(30.0, "trainings", services.learning.tick)
        self._timers.every(600.0, "qualifications", services.learning.expire)
        self._timers.every(60.0, "money", services.money.tick)
        delivering = Delivering(self.workshop, self.config.language)
        self._timers.every(10.0, "notices", delivering.tick)
        self._timers.every(30.0, "memory", lambda _now: give_back())
        self._timers.loop("clock", self._keep_time, idle_s=BEAT_S)
        self._timers.loop("prepare", lambda: preparation.prepare_next(_now), idle_s=0.5)
        self._timers.loop("pictures", services.pictures.draw_next, idle_s=5.0)
        self._timers.start()
        # The probe is a child of its own and takes a third of a second: pages do not wait for it.
        threading.Thread(target=self._probe_namespaces, name="probe", daemon=True).start()
        self._listener.start()
        if self.publisher is not None:
            self.publisher.start()
        set_aside()

    def close(self) -> None:
        """End everything but the hosts, which go on."""
        self._timers.stop()
        self._listener.stop()
        if self.publisher is not None:
            self.publisher.stop()
        self.actors.stop()
        self.supervisor.close()
        self.workshop.database.close()
        self._lock.release()

    def health(self) -> HealthView:
        """Return how the node is, without touching anything slow."""
        waiting, database, needs = 0, "ok", list[HostNeed]()
        try:
            waiting = self.services.outbox.waiting()
            needs = self._host_needs()
        except Exception:
            log.exception("the database does not answer")
            database = "error"
        slicer = self.workshop.slicer
        power = supply(self.workshop.devices)
        return HealthView(
            ok=database == "ok",
            database=database,
            broker="none" if self.publisher is None else self.publisher.state,
            outbox_waiting=waiting,
            slicer=None if slicer is None else Path(slicer[0]).name,
            sandbox_namespaces=not self._lacks_namespaces,
            hosts={need.slug: self.live.get(need.slug).phase for need in needs},
            version=version(),
            supply="low" if power.is_low else "was-low" if power.was_low else "ok",
        )

    def _beat(self) -> Judged:
        reading = read_clock(self.workshop.devices, is_vouched=self.config.clock == "trusted")
        return self.services.clock.beat(reading)

    def _keep_time(self) -> bool:
        if self._beat().jump is not None:
            # The scheduler waits for an instant that a clock set back does not reach for long.
            self._timers.wake()
        return False

    def _probe_namespaces(self) -> None:
        self._lacks_namespaces = not namespaces_available()

    def _actor_needs(self) -> list[ActorNeed]:
        return self.services.power.needs()

    def _hear_actor(self, slug: str, event: Mapping[str, object]) -> None:
        self.services.runs.apply(slug, event, _now())

    def _host_needs(self) -> list[HostNeed]:
        return self.services.machines.host_needs()

    def _build_publisher(self) -> Publisher | None:
        if not self.config.mqtt.host:
            return None
        return Publisher(
            self.config.mqtt,
            site=self.config.site,
            did=self.workshop.signer.did,
            version=version(),
            outbox=self.services.outbox,
            projections=self._projections,
            is_on=lambda: Module.NETWORK in self.services.modules.on(),
        )

    def _projections(self) -> Iterable[Message]:
        board = self.services.machines.board(_now(), None)
        return [topics.machine_state(self.config.site, machine) for machine in board]

    def _on_nudge(self) -> None:
        self.supervisor.machines_changed()
        self.live.touch()


def listen(config: NodeConfig) -> socket.socket:
    """Return a listening socket; port 0 takes any free one.

    :raises UnavailableError: `node.cannot-listen`, with the address and the reason.
    """
    host, port = config.listens_at
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    out = socket.socket(family, socket.SOCK_STREAM)
    try:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind((host, port))
        out.listen(128)
    except OSError as error:
        out.close()
        raise UnavailableError(
            "node.cannot-listen", address=config.bind, reason=error.strerror or "?"
        ) from error
    out.set_inheritable(False)
    return out


def _now() -> datetime:
    return datetime.now(UTC)
