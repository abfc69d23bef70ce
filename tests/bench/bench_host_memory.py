"""Memory of machine hosts, one alone and three together, in mid-run [MiB]: resident and shared out.

`rss` counts what several processes share in each of them; `pss` shares it out among them.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import HostConfig, write_host_config
from drivers.profile import load_profile
from drivers.simulators import PtyMachine
from drivers.snapshot import Phase

LINES = 300_000
RUN_S = 5.0


def memory(pid: int) -> dict[str, float]:
    """Return rss and pss of a process [MiB]."""
    sums = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in ("Rss", "Pss"):
            sums[f"{key.lower()}_mib"] = round(int(rest.split()[0]) / 1024, 1)
    return sums


def begun(folder: Path, slug: str, port: Path) -> subprocess.Popen[bytes]:
    """Start a host and a long run on it."""
    config = HostConfig(
        machine=slug,
        kind="fdm",
        port=str(port),
        baud=250_000,
        profile=load_profile("marlin-2"),
        limits_sha256="l",
        socket=folder / f"{slug}.sock",
        state_dir=folder / slug,
    )
    file = folder / f"{slug}.json"
    write_host_config(file, config)
    with (folder / "log").open("ab") as log:
        host = subprocess.Popen([sys.executable, "-m", "drivers.host", str(file)], stderr=log)
    for _ in range(1500):
        time.sleep(0.02)
        with (
            contextlib.suppress(HostError),
            HostClient.connect(config.socket, "bench") as client,
        ):
            if client.state().phase is Phase.IDLE:
                program = client.load(folder / "p", folder / "i")
                record = {"stream_sha256": program, "limits_sha256": "l", "verdict": "pass"}
                client.start("r1", program, record)
                return host
    raise SystemExit("no host")


def measured(hosts: Iterable[subprocess.Popen[bytes]]) -> dict[str, float]:
    """Return the largest figures among hosts."""
    figures = [memory(host.pid) for host in hosts]
    return {key: max(figure[key] for figure in figures) for key in figures[0]}


def main() -> None:
    """Measure and print."""
    hosts: list[subprocess.Popen[bytes]] = []
    with (
        tempfile.TemporaryDirectory() as name,
        contextlib.ExitStack() as machines,
    ):
        folder = Path(name)
        (folder / "p").write_text("".join(f"G1 X{n % 200} E{n} F3000\n" for n in range(LINES)))
        (folder / "i").write_bytes(struct.pack(f"<{LINES}I", *range(1, LINES + 1)))
        try:
            figures = {}
            for count, slug in enumerate(("anna", "bert", "cleo"), 1):
                machine = machines.enter_context(PtyMachine("marlin-2", speed=10.0))
                hosts.append(begun(folder, slug, machine.port))
                if count in (1, 3):
                    time.sleep(RUN_S)
                    figures["alone" if count == 1 else "three"] = measured(hosts)
            print(json.dumps({"bench": "host_memory", "lines": LINES, **figures}))
        finally:
            for host in hosts:
                host.kill()
                host.wait()


if __name__ == "__main__":
    main()
