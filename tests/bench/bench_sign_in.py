"""Five hundred members sign in within ten minutes while others read pages.

A whole node of its own process over real HTTP. Each member comes at a random moment of the window,
reads the way in, sends name and password, and looks at the board; beside them, readers who are
signed in read the busiest pages, one every second each. What is told:

- the time of a sign-in and of other pages, while they come and in the quiet before [ms];
- how much work of the node a sign-in costs beside an idle node [CPU ms], whatever else runs here;
- the node's resident memory before, at its peak and one minute after [MiB];
- a class: all who fit into one room press the button in the same second.

`BENCH_SIGN_IN_S` is the length of the window, else 600 s.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from jobs.domain.people import LabMode, Role
from jobs.services import build_services
from jobs.services.live import LiveBoard
from jobs.services.machine_specs import parse_machine
from jobs.services.passwords import cost
from node.config import read_config
from node.demo.broker import free_port
from node.runtime import build_workshop, prepare_home
from node.supervisor import Layout, Supervisor

MEMBERS, READERS, CLASS = 500, 12, 30
WINDOW_S = float(os.environ.get("BENCH_SIGN_IN_S", "600"))
QUIET_S = min(30.0, WINDOW_S / 4)
REST_S = min(60.0, WINDOW_S / 4)
SEED = 20260304
PAGES = ("/", "/queue", "/house", "/me")
PASSWORD = "a password of member {number}"


@dataclass
class Times:
    """What was measured [s], by several threads."""

    sign_in: list[float] = field(default_factory=list)
    page: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def furnish(home: Path) -> list[str]:
    """Make a lab of members and machines; return the cookies of the readers."""
    config = read_config(home)
    prepare_home(home, config)
    live = LiveBoard()
    layout = Layout(home, "bench", spawn=False)
    workshop = build_workshop(home, config, live, Supervisor(layout, live, list))
    try:
        services, now = build_services(workshop), datetime.now(UTC)
        people = services.people
        chief = people.actor_of(
            people.create("ada", "Ada", Role.ADMIN, password="the chief's own", actor=None, now=now)
        )
        services.lab.set_mode(chief, LabMode.SHARED_LAB, now)
        for number in range(8):
            machine = {"slug": f"m{number}", "kind": "saw", "control": "none"}
            services.machines.add(chief, parse_machine(machine), now)
        for number in range(MEMBERS):
            people.create(
                f"member{number}",
                f"Member {number}",
                Role.MEMBER,
                password=PASSWORD.format(number=number),
                actor=chief,
                now=now,
            )
        readers = [people.by_login(f"member{number}") for number in range(READERS)]
        links = [people.make_link(one.id, now) for one in readers if one is not None]
        return [people.redeem(link, now)[0] for link in links]
    finally:
        workshop.database.close()


@contextmanager
def node_at(home: Path, port: int) -> Iterator[int]:
    """Run a node; yield its process id."""
    with (home / "node.log").open("wb") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "node", "run", "--bind", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "FABNODE_HOME": str(home)},
        )
        try:
            until = time.monotonic() + 120
            while time.monotonic() < until:
                try:
                    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                        break
                except OSError:
                    time.sleep(0.1)
            yield node.pid
        finally:
            node.terminate()
            node.wait(30)


def ask(
    port: int, method: str, path: str, cookie: str = "", form: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Send one request on a connection of its own, as a phone that comes by; return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Cookie": f"fabnode={cookie}"} if cookie else {}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    body = None if form is None else urlencode(form)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return answer.status, answer.getheader("set-cookie") or "", text
    finally:
        connection.close()


def sign_in(port: int, number: int, times: Times) -> None:
    """Come in as one member: the page, the form, the board."""
    try:
        ask(port, "GET", "/sign-in")
        form = {"login": f"member{number}", "password": PASSWORD.format(number=number)}
        began = time.monotonic()
        status, cookie, _ = ask(port, "POST", "/sign-in", form=form)
        took = time.monotonic() - began
        token = re.search(r"fabnode=([^;]+)", cookie)
        if status != 303 or token is None:
            times.failed.append(f"member{number}: {status}")
            return
        times.sign_in.append(took)
        began = time.monotonic()
        ask(port, "GET", "/", token[1])
        times.page.append(time.monotonic() - began)
    except OSError as error:
        times.failed.append(f"member{number}: {error}")


def read_pages(port: int, cookie: str, times: Times, done: threading.Event, seed: int) -> None:
    """Read pages, one a second, until told to end."""
    chance = random.Random(seed)
    while not done.wait(chance.uniform(0.5, 1.5)):
        began = time.monotonic()
        try:
            status, _, _ = ask(port, "GET", chance.choice(PAGES), cookie)
        except OSError as error:
            times.failed.append(f"page: {error}")
            continue
        if status == 200:
            times.page.append(time.monotonic() - began)
        else:
            times.failed.append(f"page: {status}")


@contextmanager
def readers(port: int, cookies: Sequence[str], times: Times) -> Iterator[None]:
    """Have people read pages meanwhile."""
    done = threading.Event()
    threads = [
        threading.Thread(target=read_pages, args=(port, cookie, times, done, SEED + number))
        for number, cookie in enumerate(cookies)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(90)


def come_in(port: int, moments: Sequence[tuple[float, int]], times: Times) -> None:
    """Have members come in at their moments [s from now]."""
    began = time.monotonic()
    threads = []
    for at, number in sorted(moments):
        time.sleep(max(0.0, began + at - time.monotonic()))
        thread = threading.Thread(target=sign_in, args=(port, number, times))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(90)


def cpu_s(pid: int) -> float:
    """Return what a process has worked, its threads included [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, key: str) -> float:
    """Return one figure of a process [MiB]."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)
    return round(int(found[1]) / 1024, 1) if found else 0.0


def told(seconds: Sequence[float]) -> dict[str, float]:
    """Return count and percentiles [ms]."""
    if len(seconds) < 2:
        return {"count": len(seconds)}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "count": len(seconds),
        "p50_ms": round(1000 * cuts[49], 1),
        "p95_ms": round(1000 * cuts[94], 1),
        "p99_ms": round(1000 * cuts[98], 1),
        "max_ms": round(1000 * max(seconds), 1),
    }


def measure(home: Path) -> dict[str, object]:
    """Measure and return what there is to tell."""
    cookies, port = furnish(home), free_port()
    chance = random.Random(SEED)
    with node_at(home, port) as pid:
        for path in PAGES:
            ask(port, "GET", path, cookies[0])
        quiet, busy, crowd = Times(), Times(), Times()
        before = memory_mib(pid, "VmRSS")
        began, worked = time.monotonic(), cpu_s(pid)
        with readers(port, cookies, quiet):
            time.sleep(QUIET_S)
        idle_share = (cpu_s(pid) - worked) / (time.monotonic() - began)
        moments = [(chance.uniform(0.0, WINDOW_S), number) for number in range(MEMBERS)]
        began, worked = time.monotonic(), cpu_s(pid)
        with readers(port, cookies, busy):
            come_in(port, moments, busy)
        spent = cpu_s(pid) - worked - idle_share * (time.monotonic() - began)
        come_in(port, [(0.0, number) for number in range(CLASS)], crowd)
        peak = memory_mib(pid, "VmHWM")
        time.sleep(REST_S)
        after = memory_mib(pid, "VmRSS")
    chosen = cost()
    return {
        "members": MEMBERS,
        "window_s": WINDOW_S,
        "argon2": {
            "memory_kib": chosen.memory_kib,
            "passes": chosen.passes,
            "at_a_time": chosen.lanes,
        },
        "sign_in": told(busy.sign_in),
        "pages_meanwhile": told(busy.page),
        "pages_in_the_quiet": told(quiet.page),
        "a_class_at_once": told(crowd.sign_in),
        "sign_in_cpu_ms": round(1000 * spent / max(1, len(busy.sign_in)), 1),
        "node_rss_before_mib": before,
        "node_rss_peak_mib": peak,
        "node_rss_after_mib": after,
        "failed": [*quiet.failed, *busy.failed, *crowd.failed][:10],
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder))))


if __name__ == "__main__":
    main()
