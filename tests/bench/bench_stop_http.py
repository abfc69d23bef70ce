"""From a stop asked for over HTTP to its first byte at the machine [ms].

A whole node serves `POST /api/v1/machines/…/stop` to a keep-alive connection with a key; behind it
a real host keeps a pty. A process of its own is the machine: it answers each line after a
millisecond and notes when the first byte of a stop can be read (the end of line before M112).
Takes less than two minutes: so many stops as fit into that, at most STOPS of each kind.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from jobs.domain.people import LabMode, Role
from jobs.services import build_services
from jobs.services.live import LiveBoard
from jobs.services.machine_specs import parse_machine
from node.config import read_config
from node.demo.broker import free_port
from node.runtime import build_workshop, prepare_home
from node.supervisor import Layout, Supervisor

STOPS = 200
AT_REST_S, IN_A_JOB_S = 20.0, 70.0  # for all stops of a kind
BOUND_MS = 50.0  # of 99 in 100 stops
HOST_ENDS_S = 15.0
ANSWER_S = 0.001
SLUG = "bench"

# One thread reads and looks at the clock, another answers: who is slow must not read late. A line
# that is empty belongs to a stop only if M112 follows it: a handshake begins with one, too.
MACHINE = f"""
import os, queue, sys, threading, time
port, report = int(sys.argv[1]), int(sys.argv[2])
todo = queue.SimpleQueue()

def read():
    held, blank_at, is_told = b"", 0.0, False
    while True:
        data = os.read(port, 4096)
        now = time.monotonic()
        *lines, held = (held + data).split(b"\\n")
        for line in lines:
            if b"M112" in line and not is_told:
                os.write(report, b"%.6f\\n" % (blank_at or now))
                is_told = True
            blank_at = 0.0 if line else now
            if b"M115" in line:
                is_told = False
            todo.put(line)

threading.Thread(target=read, daemon=True).start()
while True:
    line = todo.get()
    if b"M115" in line:
        os.write(port, b"FIRMWARE_NAME:Marlin bench\\n")
    if line and b"M112" not in line:
        time.sleep({ANSWER_S})
        os.write(port, b"ok T:20.0 /0.0\\n" if b"M105" in line else b"ok\\n")
"""


def wait_for(is_so: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.005)


class Api:
    """One program at a keep-alive connection."""

    def __init__(self, port: int, key: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._key = {"Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> object:
        headers = self._key | ({"Content-Type": kind} if kind else {})
        self._http.request(method, f"/api/v1{path}", body, headers)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def post(self, path: str, body: object = None) -> object:
        data = b"" if body is None else json.dumps(body).encode()
        return self.ask("POST", path, data, "application/json")

    def machine(self) -> dict[str, object]:
        found = self.ask("GET", f"/machines/{SLUG}")
        assert isinstance(found, dict)
        return found

    def upload(self, program: bytes) -> str:
        body = io.BytesIO()
        for name, value in (("machine", SLUG), ("purpose", "own")):
            body.write(b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n' % name.encode())
            body.write(value.encode() + b"\r\n")
        body.write(
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.gcode"\r\n\r\n'
        )
        body.write(program + b"\r\n--x--\r\n")
        made = self.ask("POST", "/jobs", body.getvalue(), "multipart/form-data; boundary=x")
        assert isinstance(made, dict)
        return str(made["id"])


def furnish(home: Path, port: int, wire: str) -> str:
    """Write a home with one machine and one operator; return the operator's key."""
    home.mkdir(parents=True)
    (home / "node.toml").write_text(
        f'site = "bench"\nbind = "127.0.0.1:{port}"\nclock = "trusted"\n'
    )
    config = read_config(home)
    prepare_home(home, config)
    live = LiveBoard()
    idle = Supervisor(Layout(home, "bench", spawn=False), live, list)
    workshop = build_workshop(home, config, live, idle)
    try:
        services, now = build_services(workshop), datetime.now(UTC)
        people = services.people
        admin = people.create("admin", "Admin", Role.ADMIN, password=None, actor=None, now=now)
        chief = people.actor_of(admin)
        # Of one person's printers nobody asks that they be seen to stand there.
        services.lab.set_mode(chief, LabMode.ONLY_ME, now)
        values = {
            "slug": SLUG, "name": "Bench", "kind": "fdm", "control": "serial",
            "profile": "marlin-2", "port": wire, "envelope_mm": [220, 220, 250],
            "nozzle_max_c": 260, "bed_max_c": 110, "nozzle_mm": 0.4, "filament_mm": 1.75,
        }  # fmt: skip
        services.machines.add(chief, parse_machine(values), now)
        # A board on a real port boots for seconds; this one never does.
        profile = Path(sys.modules["drivers"].__path__[0]).parent / "firmware_profiles"
        own = home / "firmware_profiles"
        own.mkdir()
        text = (profile / "marlin-2.toml").read_text()
        lines = [line for line in text.splitlines() if not line.startswith("boot_wait_s")]
        (own / "marlin-2.toml").write_text("boot_wait_s = 0.05\n" + "\n".join(lines) + "\n")
        return people.make_api_key(chief, "bench", now)[1]
    finally:
        workshop.database.close()


@contextmanager
def node(home: Path, port: int) -> Iterator[None]:
    """Run a whole node, and its host with it."""
    with (home.parent / "node.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "node", "run"],
            env={**os.environ, "FABNODE_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: answers(port), "the node's pages")
        yield
    finally:
        running.terminate()
        running.wait(20)
        end_host(home)


def end_host(home: Path) -> None:
    """End the machine's host for certain: it outlives its node, and would take the next pty."""
    lock = home / "machines" / SLUG / "state" / "lock"
    if not lock.exists() or not (text := lock.read_text().strip()):
        return
    told = Path(f"/proc/{int(text)}/cmdline")
    until = time.monotonic() + HOST_ENDS_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        while is_host(told, home) and time.monotonic() < until:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(text), number)
            time.sleep(0.2)
        until += HOST_ENDS_S


def is_host(told: Path, home: Path) -> bool:
    """Tell whether a process is still the host that lives in *home*."""
    try:
        return str(home).encode() in told.read_bytes()
    except OSError:
        return False


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False


def stop(api: Api, times: int) -> float:
    """Stop once; return how long its first byte took [s]."""
    began = time.monotonic()
    api.post(f"/machines/{SLUG}/stop")
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(times, 1)
    return float(line) - began


def ready(api: Api) -> None:
    """Have the machine looked at, as after every stop."""
    wait_for(lambda: api.machine()["state"] == "error", "the stop is known")
    api.post(f"/machines/{SLUG}/inspected")
    wait_for(lambda: api.machine()["state"] in ("idle", "to-check"), "the machine is back")


def stops_at_rest(api: Api, times: int) -> list[float]:
    delays: list[float] = []
    until = time.monotonic() + AT_REST_S
    while len(delays) < STOPS and time.monotonic() < until:
        delays.append(stop(api, times))
        ready(api)
    return delays


def stops_in_a_job(api: Api, times: int) -> list[float]:
    """Stop runs of one program, each at another place."""
    moves = [f"G1 X{20 + n % 150} Y{20 + n % 140} F6000\n" for n in range(20_000)]
    api.upload(("G21\nG90\nG28\nG1 Z1 F600\n" + "".join(moves)).encode())
    delays: list[float] = []
    until = time.monotonic() + IN_A_JOB_S
    while len(delays) < STOPS and time.monotonic() < until:
        delays.append(stop_in_a_job(api, times, 30 + 7 * (len(delays) % 10)))
    return delays


def stop_in_a_job(api: Api, times: int, after_lines: int) -> float:
    job = waiting(api)
    api.post(f"/machines/{SLUG}/arm")
    wait_for(lambda: acked(api) > after_lines, "the job streams")
    delay = stop(api, times)
    ready(api)
    wait_for(lambda: ended(api, job), "the job has ended")
    api.post(f"/jobs/{job}/retry")
    return delay


def waiting(api: Api) -> str:
    found: list[str] = []

    def look() -> bool:
        jobs = api.ask("GET", "/queue")
        assert isinstance(jobs, list)
        found.extend(str(one["id"]) for one in jobs if one["state"] == "waiting")
        return bool(found)

    wait_for(look, "a job waits", 60)
    return found[0]


def acked(api: Api) -> int:
    run = api.machine()["run"]
    return int(run["acked_lines"]) if isinstance(run, dict) else 0


def ended(api: Api, job: str) -> bool:
    detail = api.ask("GET", f"/jobs/{job}")
    assert isinstance(detail, dict)
    return "retry" in detail["job"]["may"]


def figures(delays: list[float]) -> dict[str, float]:
    ranked = sorted(1000.0 * delay for delay in delays)
    at = {"p50_ms": 0.50, "p99_ms": 0.99}
    told = {key: round(ranked[int(rank * len(ranked))], 2) for key, rank in at.items()}
    return {"stops": len(ranked), **told, "max_ms": round(ranked[-1], 2)}


def wake_ups() -> list[float]:
    """Return how late this computer wakes a process that asked for a millisecond [s]."""
    late = []
    for _ in range(STOPS):
        began = time.monotonic()
        time.sleep(0.001)
        late.append(time.monotonic() - began - 0.001)
    return late


def main() -> None:
    """Measure and print."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    times, report = os.pipe()
    machine = subprocess.Popen(
        [sys.executable, "-c", MACHINE, str(master), str(report)], pass_fds=(master, report)
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            home, port = Path(folder) / "home", free_port()
            key = furnish(home, port, os.ttyname(slave))
            with node(home, port):
                api = Api(port, key)
                wait_for(lambda: api.machine()["state"] == "idle", "the machine")
                at_rest = figures(stops_at_rest(api, times))
                in_a_job = figures(stops_in_a_job(api, times))
    finally:
        machine.kill()
        machine.wait()
    late = figures(wake_ups())
    result = {
        "bench": "stop_http",
        "idle": at_rest,
        "streaming": in_a_job,
        "bound_p99_ms": BOUND_MS,
        "is_within": max(at_rest["p99_ms"], in_a_job["p99_ms"]) <= BOUND_MS,
        # What is noise of this computer, not ours.
        "wake_up": {"times": late.pop("stops"), **late},
        "load_1min": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
