"""The simulated lab: a data folder, people, machines, a broker and a node of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from jobs.domain.people import Actor, LabMode, Role
from jobs.services import Services, build_services
from jobs.services.at_kiosk import DeviceKind
from jobs.services.live import LiveBoard
from node.config import NodeConfig, read_config
from node.demo.api import LOGIN, DemoError, Keys
from node.demo.broker import Broker, free_port
from node.demo.ending import undisturbed
from node.demo.machines import MACHINES, Simulators
from node.runtime import build_workshop, prepare_home, version
from node.supervisor import Layout, Supervisor

SITE = "demo"
_HOST_PATIENCE_S = 5.0  # for a host that still runs a job to switch its machine off
COMMONS = "commons"  # name of the folder of real designs, where it lies beside the project


def commons_folder() -> Path | None:
    """Return the folder of real designs beside the project, where there is one."""
    folder = Path(__file__).parents[3] / "shared" / "commons"
    return folder if folder.is_dir() else None


class DemoLab:
    """Everything the demo starts, and ends again.

    :param speed: simulated seconds a second.
    :param port: of the pages; 0 takes a free one.
    """

    def __init__(self, speed: float, port: int = 0, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fabnode-demo-"))
        self.home = self.folder / "home"
        self.address = f"http://127.0.0.1:{port or free_port()}"
        self.broker = Broker(self.folder / "broker") if Broker.program() else None
        self.node: subprocess.Popen[bytes] | None = None
        self.simulators = Simulators(self.folder / "ports", speed)
        try:
            if self.broker is not None:
                self.broker.start()
            self.simulators.wait_ready()
            self.keys = self._furnish()
        except BaseException as error:
            self.close(keep_folder=_is_failure(error))
            raise

    def __enter__(self) -> DemoLab:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """End everything; after a failure the logs stay."""
        del kind, trace
        self.close(keep_folder=_is_failure(error))

    def start_node(self, timeout_s: float = 30.0) -> None:
        """Start the node and wait until its pages answer.

        :raises DemoError: if they do not; the log says why.
        """
        with (self.folder / "node.log").open("ab") as out:
            self.node = subprocess.Popen(
                [sys.executable, "-m", "node", "run", "--bind", self.address.split("//")[1]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "FABNODE_HOME": str(self.home)},
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.node.poll() is None:
            try:
                with urlopen(f"{self.address}/healthz", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise DemoError("demo.no-node", log=str(self.folder / "node.log"))

    def kill_node(self) -> None:
        """End the node as a power cut of its process would; hosts and machines go on."""
        if self.node is not None:
            self.node.kill()
            self.node.wait()
            self.node = None

    def host_pid(self, slug: str) -> int:
        """Return the process id of a machine's host."""
        if (pid := self._host_pids().get(slug)) is None:
            raise DemoError("demo.no-host", machine=slug)
        return pid

    def close(self, *, keep_folder: bool = False) -> None:
        """End the node, the hosts, the simulators and the broker; clear up."""
        with undisturbed():
            if self.node is not None:
                self.node.terminate()
                try:
                    self.node.wait(15)
                except subprocess.TimeoutExpired:
                    self.kill_node()
            self._end_hosts()
            self.simulators.stop()
            if self.broker is not None:
                self.broker.stop()
            if not keep_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _host_pids(self) -> dict[str, int]:
        """Return the hosts that run, by machine: they are no children of ours."""
        machines = self.home / "machines"  # a visitor may have added one of their own
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    files = (Path(word) for word in words if word.endswith("/host.json"))
                    own = (file.parent for file in files if file.parent.parent == machines)
                    found.update({folder.name: int(entry.name) for folder in own})
        return found

    def _end_hosts(self) -> None:
        """Have each host end; one that still runs a job switches heat and spindle off first."""
        for pid in self._host_pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _HOST_PATIENCE_S
        while (left := self._host_pids()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left.values():  # its machine is simulated: nothing stays hot
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _furnish(self) -> Keys:
        """Seed people and machines, as an admin would on the first evening."""
        self.home.mkdir(parents=True, exist_ok=True)
        text = f'site = "{SITE}"\nbind = "{self.address.split("//")[1]}"\nclock = "trusted"\n'
        if self.broker is not None:
            text += f'[mqtt]\nhost = "127.0.0.1"\nport = {self.broker.port}\n'
        (self.home / "node.toml").write_text(text, encoding="utf-8")
        config: NodeConfig = read_config(self.home)
        prepare_home(self.home, config)
        with self._console() as services:
            now = datetime.now(UTC)
            people = services.people
            admin = people.create("admin", "Admin", Role.ADMIN, password=None, actor=None, now=now)
            chief = people.actor_of(admin)
            services.lab.set_mode(chief, LabMode.SHARED_LAB, now)
            password = services.workshop.new_token()
            made = people.create(
                LOGIN,
                "Simulated operator",
                Role.OPERATOR,
                password=password,
                simulated=True,
                actor=chief,
                now=now,
            )
            _, key = people.make_api_key(people.actor_of(made), "demo", now)
            if (commons := commons_folder()) is not None:
                services.designs.add_source(chief, COMMONS, "folder", str(commons))
            for machine in MACHINES:
                port = self.simulators.port(machine.slug)
                services.machines.add(chief, machine.spec(port), now)
            displays, spare = (
                {one.slug: _display(services, chief, name, one.slug, now) for one in MACHINES}
                for name in ("Simulated display", "Display to look at")
            )
            return Keys(key, password, people.make_link(admin.id, now), displays, spare)

    def add_display(self, slug: str) -> None:
        """Set a display up at a machine that came later; the operator can then stand there."""
        with self._console() as services:
            first = services.people.first_admin()
            assert first is not None
            chief, now = services.people.actor_of(first), datetime.now(UTC)
            self.keys.displays[slug] = _display(services, chief, "Simulated display", slug, now)

    @contextmanager
    def _console(self) -> Iterator[Services]:
        """Every use case, on the lab's own database, as at the console of its computer."""
        live = LiveBoard()
        layout = Layout(self.home, f"fabnode {version()}", spawn=False)
        supervisor = Supervisor(layout, live, list)
        workshop = build_workshop(self.home, read_config(self.home), live, supervisor)
        try:
            yield build_services(workshop)
        finally:
            workshop.database.close()


def _display(services: Services, chief: Actor, name: str, slug: str, now: datetime) -> str:
    """Return the code of a new display at a machine."""
    at_console = replace(chief, seat="console")
    return services.devices.make(at_console, DeviceKind.DISPLAY, name, [slug], now)[1]


def _is_failure(error: BaseException | None) -> bool:
    """Tell a failure, whose logs are worth keeping, from a person who has seen enough."""
    return isinstance(error, DemoError)
