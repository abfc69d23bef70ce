"""Measure `fabnode inspect` on sliced programs beside what other hosts do; prints one JSON object.

Run as `python tests/bench/bench_analysis.py`. A part of our own is sliced by the real PrusaSlicer
and made again and again in one program until it has a million lines. Every time is that of a
whole command, start-up included, with the processor time of all its processes beside it: on a
machine that does other work only the latter and the ratios say something.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from jobs.slicing import load_recipe, slice_file, slicer_available  # noqa: E402
from tests.bench.clock.prints import OWN, PRINTER  # noqa: E402
from tests.bench.link import peers  # noqa: E402

LINES = (10_000, 100_000, 1_000_000, 10_000_000)
LARGE_BYTES = 300_000_000
COMPARED = 1_000_000
TRIES, TRIES_OF_PEERS = 3, 2
FABNODE = (sys.executable, "-m", "node", "inspect")
# The least that each takes to have its analysis: no server, no window.
OCTOPRINT = """
import sys
from octoprint.util.gcodeInterpreter import gcode
reader = gcode()
reader.load(sys.argv[1])
assert reader.get_result()["total_time"] > 0
"""
PRINTRUN = """
import sys
from printrun.gcoder import GCode
with open(sys.argv[1]) as file:
    assert GCode(file).duration
"""


def sliced(folder: Path) -> bytes:
    """Return the program of our own part; without the slicer there is nothing to measure."""
    if not slicer_available("prusaslicer"):
        raise SystemExit("prusa-slicer is not installed")
    program = folder / "part.gcode"
    slice_file(OWN[0], load_recipe("pla-standard"), PRINTER, program)
    return program.read_bytes()


def repeated(path: Path, part: bytes, lines: int = 0, size: int = 0) -> int:
    """Write the part again and again until it is so long; return the number of lines."""
    each = part.count(b"\n")
    whole = lines // each if lines else size // len(part)
    with path.open("wb") as file:
        for _ in range(whole):
            file.write(part)
        rest = part.splitlines(keepends=True)[: lines - whole * each] if lines else []
        file.writelines(rest)
    return whole * each + len(rest)


def run(command: Sequence[str], out: Path, *, isolated: bool = False) -> dict[str, float]:
    """Return wall and processor time [s] and the largest resident size [bytes] of a command.

    The size is that of the largest of its processes.
    """
    env = {key: value for key, value in os.environ.items() if not isolated or key != "PYTHONPATH"}
    begin = time.monotonic()
    with out.open("wb") as file:
        child = subprocess.Popen(command, stdout=file, cwd=ROOT, env=env)
        _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return {
        "wall_s": round(wall, 3),
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "peak_memory_bytes": used.ru_maxrss * 1024,
    }


def best(
    command: Sequence[str], out: Path, tries: int, *, isolated: bool = False
) -> dict[str, float]:
    """Return the quickest of several runs, by processor time."""
    runs = (run(command, out, isolated=isolated) for _ in range(tries))
    return min(runs, key=lambda row: row["cpu_s"])


def ours(path: Path, lines: int, tries: int) -> dict[str, float]:
    """Measure our own command."""
    out = path.with_suffix(".json")
    row = best([*FABNODE, str(path), "--json"], out, tries)
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told["lines"] == lines, told["lines"]
    return {
        "lines": lines,
        "bytes": path.stat().st_size,
        **row,
        "lines_per_s": round(lines / row["wall_s"]),
        "lines_per_cpu_s": round(lines / row["cpu_s"]),
    }


def compared(path: Path, folder: Path, row: dict[str, float]) -> dict[str, object]:
    """Measure the analyses of OctoPrint 1.11 and Printrun 2.2 on the same file."""
    pythons = {
        "octoprint_1_11": (peers.environment("octoprint", "OctoPrint==1.11.*"), OCTOPRINT),
        "printrun_2_2": (peers.printrun(), PRINTRUN),
    }
    result: dict[str, object] = {}
    for name, (python, script) in pythons.items():
        command = [str(python), "-c", script, str(path)]
        peer = best(command, folder / "peer.txt", TRIES_OF_PEERS, isolated=True)
        result[name] = {
            **peer,
            "times_ours_wall": round(peer["wall_s"] / row["wall_s"], 2),
            "times_ours_cpu": round(peer["cpu_s"] / row["cpu_s"], 2),
        }
    return result


def main() -> int:
    """Print the tables."""
    compileall.compile_dir(ROOT / "jobs", quiet=1)  # as installed; a worker may write nowhere
    folder = Path(tempfile.mkdtemp(prefix="bench-analysis-"))
    try:
        part = sliced(folder)
        path = folder / "program.gcode"
        rows, others = [], {}
        for lines in LINES:
            repeated(path, part, lines=lines)
            row = ours(path, lines, TRIES if lines <= COMPARED else 1)
            rows.append(row)
            if lines == COMPARED:
                others = compared(path, folder, row)
        large = ours(path, repeated(path, part, size=LARGE_BYTES), 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"bench": "analysis", "rows": rows, "peers": others, "large": large}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
