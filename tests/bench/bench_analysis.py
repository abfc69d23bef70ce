"""Measure the analysis of programs of growing length; prints one JSON object.

Run as `python tests/bench/bench_analysis.py [FILE]`; without a file a spiral of our own.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path

from jobs.analysis import prepare_program
from jobs.domain.machine import MachineLimits

PRINTER = MachineLimits(
    (250.0, 210.0, 210.0), nozzle_max_c=280.0, bed_max_c=110.0, filament_mm=1.75
)


def spiral(lines: int) -> bytes:
    """Return a print of many short moves, as slicers write them."""
    out = ["M104 S200", "G28", "M109 S200", "G21", "G90", "M83", "G1 Z0.2 F3000"]
    for index in range(lines):
        radius, angle = 20.0 + index % 500 / 25.0, index * 0.11
        x, y = 100 + radius * math.cos(angle), 100 + radius * math.sin(angle)
        out.append(f"G1 X{x:.3f} Y{y:.3f} E{0.033 * radius / 40:.5f}")
        if index % 500 == 499:
            out.append(f";LAYER_CHANGE\nG1 Z{0.2 + index / 500 * 0.01:.2f} F1800")
    return "\n".join([*out, "M104 S0", ""]).encode()


def measure(data: bytes) -> dict[str, float]:
    """Return lines, seconds and lines a second of the best of two preparations."""
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "program.gcode")
        upload.write_bytes(data)
        best = math.inf
        for _ in range(2):
            begin = time.perf_counter()
            prepare_program(upload, Path(folder, "out"), PRINTER, "marlin", ["M500"], 1.24, "fdm")
            best = min(best, time.perf_counter() - begin)
    lines = data.count(b"\n")
    return {"lines": lines, "time_s": round(best, 3), "lines_per_s": round(lines / best)}


def main(arguments: list[str]) -> int:
    """Print the table."""
    if arguments:
        rows = [measure(Path(arguments[0]).read_bytes())]
    else:
        rows = [measure(spiral(lines)) for lines in (10_000, 100_000, 1_000_000)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"bench": "analysis", "rows": rows, "peak_memory_bytes": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
