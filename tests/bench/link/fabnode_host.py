"""Send one file with a machine host, as a node has it; prints a line's processor time as JSON."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import HostConfig, write_host_config
from drivers.profile import load_profile
from drivers.snapshot import Phase, Snapshot

START_S = 60.0
LONGEST_S = 300.0


def main() -> None:
    path, port, baud = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # Without a pace the kernel's queue would be bounded by that of the profile.
    baud = baud or 4_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = HostConfig(
            machine="bench", kind="fdm", port=port, baud=baud,
            profile=replace(load_profile("marlin-2"), boot_wait_s=0.2, baud=baud),
            limits_sha256="l", socket=folder / "sock", state_dir=folder / "state",
        )  # fmt: skip
        write_host_config(folder / "host.json", config)
        index = folder / "index"
        lines = path.read_bytes().count(b"\n")
        index.write_bytes(struct.pack(f"<{lines}I", *range(1, lines + 1)))
        command = [sys.executable, "-m", "drivers.host", str(folder / "host.json")]
        host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            report = _send(config.socket, path, index, host.pid)
        finally:
            host.kill()
            host.wait()
    print(json.dumps(report))


def _send(door: Path, program: Path, index: Path, pid: int) -> dict[str, object]:
    with _ready(door) as client:
        known = client.load(program, index)
        record = {"stream_sha256": known, "limits_sha256": "l", "verdict": "pass"}
        client.subscribe()
        client.start("r1", known, record)
        seen: list[tuple[int, float]] = []  # lines acknowledged, processor time
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            for told in client.receive(1.0):
                if not isinstance(told, Snapshot):
                    continue
                if told.phase is Phase.STREAMING and told.acked:
                    seen.append((told.acked, _processor_s(pid)))
                elif seen:
                    (first, before), (last, after) = seen[0], seen[-1]
                    cost = (after - before) / max(last - first, 1) * 1e6
                    done = told.phase is Phase.IDLE and not told.stopped
                    return {"result": "done" if done else "failed", "processor_us_per_line": cost}
    return {"result": "failed"}


def _ready(door: Path) -> HostClient:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(HostError):
            client = HostClient.connect(door, "bench")
            if client.state().phase is Phase.IDLE:
                return client
            client.close()
        time.sleep(0.05)
    raise TimeoutError("no host")


def _processor_s(pid: int) -> float:
    # Finer than the clock ticks of /proc/<pid>/stat.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
