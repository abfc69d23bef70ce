"""From the call of `stop_now` to the first stop byte out of the kernel's queue [ms].

A real host process streams to a pty; behind it a process of its own answers each line after a
millisecond and notes when the stop comes in. Given as percentiles over many stops in mid-run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import time
import tty
from pathlib import Path

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import HostConfig, write_host_config
from drivers.profile import FirmwareProfile, load_profile
from drivers.snapshot import Phase
from drivers.stopping import stop_now

STOPS = 100
LONGEST_S = 90.0  # for all of them
BOUND_MS = 50.0  # of 99 in 100 stops
LINES = 200_000
ANSWER_S = 0.001

MACHINE = f"""
import os, sys, time
port, report = int(sys.argv[1]), int(sys.argv[2])
held = b""
while True:
    data = os.read(port, 4096)
    if b"M112" in data:
        os.write(report, b"%.6f\\n" % time.monotonic())
    *lines, held = (held + data).split(b"\\n")
    for line in lines:
        if b"M112" in line or not line:
            continue
        time.sleep({ANSWER_S})
        if b"M115" in line:
            os.write(port, b"FIRMWARE_NAME:Marlin bench\\n")
        os.write(port, b"ok T:20.0 /0.0\\n" if b"M105" in line else b"ok\\n")
"""


def wait_for(true) -> None:
    until = time.monotonic() + 30.0
    while not true():
        if time.monotonic() > until:
            raise SystemExit("waited in vain")
        time.sleep(0.01)


def connected(path: Path) -> HostClient:
    for _ in range(1000):
        with contextlib.suppress(HostError):
            return HostClient.connect(path, "bench")
        time.sleep(0.01)
    raise SystemExit("no host")


def measure(folder: Path, port: str, times: int) -> list[float]:
    """Return the delay of each stop [s]."""
    profile = FirmwareProfile.from_json(load_profile("marlin-2").to_json() | {"boot_wait_s": 0.05})
    config = HostConfig("bench", "fdm", port, 250_000, profile, "l", folder / "s", folder / "state")
    write_host_config(folder / "host.json", config)
    (folder / "p").write_text("".join(f"G1 X{n % 200} Y{n % 190} E{n}\n" for n in range(LINES)))
    (folder / "i").write_bytes(struct.pack(f"<{LINES}I", *range(1, LINES + 1)))
    with (folder / "log").open("wb") as log:
        host = subprocess.Popen(
            [sys.executable, "-m", "drivers.host", str(folder / "host.json")], stderr=log
        )
    try:
        delays: list[float] = []
        until = time.monotonic() + LONGEST_S
        while len(delays) < STOPS and time.monotonic() < until:
            delays.append(one(config, folder, len(delays), times))
        return delays
    finally:
        host.kill()
        host.wait()


def one(config: HostConfig, folder: Path, number: int, times: int) -> float:
    with connected(config.socket) as client:
        wait_for(lambda: client.state().phase is Phase.IDLE)
        program = client.load(folder / "p", folder / "i")
        record = {"id": "x", "stream_sha256": program, "limits_sha256": "l", "verdict": "pass"}
        client.start(f"r{number}", program, record)
        wait_for(lambda: client.state().acked > 30 + 7 * (number % 10))
        began = time.monotonic()
        if not stop_now(config.socket, "bench"):
            raise SystemExit("not obeyed")
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(times, 1)
        client.ack(f"r{number}", 1000)
        client.reconnect()
    return float(line) - began


def main() -> None:
    """Measure and print."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    times, report = os.pipe()
    machine = subprocess.Popen(
        [sys.executable, "-c", MACHINE, str(master), str(report)], pass_fds=(master, report)
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            delays = sorted(1000.0 * s for s in measure(Path(name), os.ttyname(slave), times))
    finally:
        machine.kill()
        machine.wait()
    rank = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
    figures = {f"{key}_ms": round(delays[int(at * len(delays))], 2) for key, at in rank.items()}
    result = {"bench": "stop", "stops": len(delays), **figures, "max_ms": round(delays[-1], 2)}
    result |= {"bound_p99_ms": BOUND_MS, "is_within": figures["p99_ms"] <= BOUND_MS}
    print(json.dumps(result | {"load_1min": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
