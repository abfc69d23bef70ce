"""The node under the demo's load: memory, start to first page, wall time of the whole job.

Memory is read from /proc: `rss` is what a process holds, `pss` counts shared pages by share.
The resident figure of the node is taken one minute after the load has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from node.demo import wishes
from node.demo.lab import DemoLab
from node.demo.machines import MACHINES
from node.demo.story import tell

REST_S = 60.0
STARTS = 3


def memory_mib(pid: int, key: str, file: str = "status") -> float:
    """Return one figure of a process [MiB]."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def main() -> None:
    """Measure and print."""
    # As on a machine where fabnode is installed: byte code is kept from one start to the next.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "node", "demo", "--exit"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    demo_s = time.monotonic() - began
    lab = DemoLab(speed=120.0)
    try:
        starts = []
        for _ in range(STARTS):
            lab.kill_node()
            before = time.monotonic()
            lab.start_node()
            starts.append(round(time.monotonic() - before, 2))
        tell(lab, wishes(), say=lambda _: None)
        time.sleep(REST_S)
        assert lab.node is not None
        hosts = [lab.host_pid(machine.slug) for machine in MACHINES]
        result = {
            "demo_exit_code": done.returncode,
            "demo_wall_s": round(demo_s, 1),
            "start_to_first_page_s": sorted(starts)[STARTS // 2],
            "node_rss_mib": memory_mib(lab.node.pid, "VmRSS"),
            "node_rss_peak_mib": memory_mib(lab.node.pid, "VmHWM"),
            "host_rss_mib": max(memory_mib(pid, "VmRSS") for pid in hosts),
            "host_pss_mib": max(memory_mib(pid, "Pss", "smaps_rollup") for pid in hosts),
        }
    finally:
        lab.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
