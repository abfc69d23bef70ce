"""`fabnode run`, `fabnode init` and `fabnode admin reset`: the node itself."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Self

import uvicorn

from drivers.notify import notify, watchdog_s
from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.services import Services
from jobs.services.second_step import reset_by_console
from jobs.services.views import PersonView
from node.cli.offline import console_actor, database_errors_said, opened
from node.cli.words import say
from node.config import NodeConfig, read_config
from node.home import find_home
from node.runtime import Runtime, listen


def init(args: argparse.Namespace) -> int:
    """Make the data folder and print the sign-in link."""
    home = find_home()
    config = _first_config(home, args.site, args.timezone)
    with opened() as node:
        say("cli.init-done", home=str(home))
        _print_link(node.services, f"http://{socket.gethostname()}:{config.listens_at[1]}")
    return 0


def _first_config(home: Path, site: str | None, zone: str | None) -> NodeConfig:
    """Write `node.toml` where there is none, and return what it says.

    :raises InvalidError: if a value is not right; nothing is left behind then.
    """
    path = home / "node.toml"
    home.mkdir(parents=True, exist_ok=True, mode=0o750)
    if path.exists():
        if site is not None or zone is not None:
            raise InvalidError("init.already-there", file=str(path))
        return read_config(home)
    values = {"site": site or "lab", "timezone": zone or _zone()}
    # A JSON string is a TOML string, too.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    path.write_bytes("".join(lines).encode(errors="replace"))
    try:
        return read_config(home)
    except InvalidError as error:
        path.unlink()
        raise InvalidError(f"init.{error.field}", name=values[error.field]) from error


def run(args: argparse.Namespace) -> int:
    """Run the node until it is told to end."""
    home = find_home()
    config = read_config(home)
    if args.bind:
        config = config.model_copy(update={"bind": args.bind})
    with database_errors_said(), _Ending() as ending:
        _run(home, config, ending, spawn_hosts=args.hosts == "spawn")
    return 130 if ending.asked == signal.SIGINT else 0


class _Ending:
    """Hears SIGTERM and SIGINT from start to end, so that the rest is put in order even so.

    uvicorn hears them itself while it serves, and raises them once more when it is done: an
    exception here, or the signal's own effect, would leave the node half closed.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._server: uvicorn.Server | None = None
        self._before = {
            each: signal.signal(each, self._hear) for each in (signal.SIGTERM, signal.SIGINT)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def take(self, server: uvicorn.Server) -> None:
        """End *server* when told to, at once if it was told before."""
        self._server = server
        server.should_exit = bool(self.asked)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.asked = self.asked or number
        if self._server is not None:
            self._server.should_exit = True


def _run(home: Path, config: NodeConfig, ending: _Ending, *, spawn_hosts: bool) -> None:
    runtime = Runtime(home, config, spawn_hosts=spawn_hosts)
    try:
        with listen(config) as door:
            runtime.open()
            scheme = "https" if config.tls_cert else "http"
            address = f"{scheme}://{_shown(config)}:{door.getsockname()[1]}"
            say("cli.listening", address=address)
            if not any(admin.has_password for admin in _admins(runtime.services)):
                _print_link(runtime.services, address)
            _serve(runtime, config, door, ending)
    finally:
        runtime.close()


def reset(args: argparse.Namespace) -> int:
    """Print a new one-time link for the admin, who is asked for no code; it is written down."""
    del args
    with opened() as node:
        admin, now = _admin(node.services), datetime.now(UTC)
        reset_by_console(node.services.workshop, admin.id, now)
        _print_link(node.services, f"http://127.0.0.1:{node.config.listens_at[1]}")
    return 0


def _serve(runtime: Runtime, config: NodeConfig, door: socket.socket, ending: _Ending) -> None:
    """Serve pages until told to end, keeping systemd's watchdog fed."""
    server = uvicorn.Server(
        uvicorn.Config(
            runtime.app(),
            ws="none",
            log_level="warning",
            access_log=False,
            ssl_certfile=config.tls_cert or None,
            ssl_keyfile=config.tls_key or None,
            timeout_graceful_shutdown=2,  # SSE never ends by itself
            server_header=False,
            proxy_headers=False,
        )
    )
    ending.take(server)
    done = threading.Event()
    feeder = threading.Thread(target=_feed_watchdog, args=(runtime, done), daemon=True)
    feeder.start()
    notify("READY=1")
    try:
        server.run(sockets=[door])
    finally:
        notify("STOPPING=1")
        done.set()
        feeder.join(2)


def _feed_watchdog(runtime: Runtime, done: threading.Event) -> None:
    every = watchdog_s()
    while every is not None and not done.wait(every):
        # A node whose database does not answer is better started anew: the hosts go on.
        if runtime.health().ok:
            notify("WATCHDOG=1")


def _admins(services: Services) -> list[PersonView]:
    """Return the admins who may sign in, the oldest first."""
    people = services.people.list(console_actor())
    return [one for one in people if one.role is Role.ADMIN and not one.disabled]


def _admin(services: Services) -> PersonView:
    """Return the admin who has been here longest; one is made where there is none."""
    there = _admins(services)
    if there:
        return there[0]
    now = datetime.now(UTC)
    return services.people.create("admin", "Admin", Role.ADMIN, password=None, actor=None, now=now)


def _print_link(services: Services, address: str) -> None:
    """Print a one-time link that signs the admin in; make the admin where there is none."""
    token = services.people.make_link(_admin(services).id, datetime.now(UTC))
    say("cli.first-link", link=f"{address}/sign-in/link/{token}")


def _shown(config: NodeConfig) -> str:
    host = config.listens_at[0]
    return socket.gethostname() if host in {"0.0.0.0", "::", ""} else host


def _zone() -> str:
    """Return the machine's own zone by its IANA name, UTC where it is not told."""
    try:
        target = Path("/etc/localtime").resolve()
        return str(target).split("/zoneinfo/", 1)[1]
    except (IndexError, OSError):
        return "UTC"
