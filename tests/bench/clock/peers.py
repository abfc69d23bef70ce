"""What other hosts take a program to last, each in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from link.peers import environment, printrun, run_script

from jobs.domain.machine import MachineLimits

HERE = Path(__file__).parent


def printrun_s(program: Path) -> float | None:
    """Return Printrun 2.2's estimate [s]; None if it gave none."""
    command = [str(printrun()), str(HERE / "printrun_time.py"), str(program)]
    said = run_script(command, isolated=True)
    return float(str(said["time_s"])) if "time_s" in said else None


def octoprint_s(program: Path, limits: MachineLimits) -> float | None:
    """Return OctoPrint 1.11's estimate [s], by its command line as its server calls it."""
    python = environment("octoprint", "OctoPrint==1.11.*")
    x, y, z = limits.feed_max_mm_min
    done = subprocess.run(
        [
            *(str(python), "-m", "octoprint", "analysis", "gcode", "--max-t=10"),
            *(f"--speed-x={x / 60}", f"--speed-y={y / 60}", f"--speed-z={z / 60}"),
            str(program),
        ],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=600.0,
        check=False,
    )
    found = re.search(r"(?m)^\s*total_time: ([0-9.]+)|estimatedPrintTime: ([0-9.]+)", done.stdout)
    if found is None:
        sys.stderr.write(done.stdout[-400:])
        return None
    # OctoPrint's own analysis is in minutes; the command prints those.
    return float(found[1] or found[2]) * 60.0
