"""Lines per second of our session against simulated boards; prints one JSON object.

Run: python tests/bench/bench_stream.py [LINES]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from drivers.profile import load_profile
from drivers.sending import send_file
from drivers.simulators import PtyMachine

LINES = 3000
# A real AVR board and line; then a board and a line that cost nothing, where we are the limit.
CASES = {
    "real": ["--cpu", "1"],
    "unlimited": ["--cpu", "0", "--baud", "0"],
}


def program(lines: int, kind: str) -> str:
    """A straight line in small steps: the planner is never the limit."""
    head = ["G21", "G90", "G1 F6000"] if kind == "grbl" else ["G90", "G1 F6000"]
    return (
        "\n".join([*head, *(f"G1 X{i * 0.01:.3f} Y{i * 0.005:.3f}" for i in range(lines))]) + "\n"
    )


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(name: str, case: str, lines: int, folder: Path) -> dict[str, object]:
    profile = load_profile(name, None)
    path = folder / "program.gcode"
    path.write_text(program(lines, profile.dialect))
    speed = 1.0 if case == "real" else 20.0
    with PtyMachine(name, speed=speed, arguments=CASES[case]) as machine:
        began = time.perf_counter()
        processor = processor_s()
        result = send_file(path, str(machine.port), profile)
        processor = processor_s() - processor
        wall = time.perf_counter() - began
        machine.stop()
        facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
    moves = [f["line"] for f in facts if f["kind"] == "executed" and "X" in f["line"]]
    overflowed = sum(f["count"] for f in facts if f["kind"] == "overflowed")
    return {
        "result": str(result.result),
        "reason": result.reason,
        "lines_per_s": round(result.lines / result.time_s, 1) if result.time_s else 0.0,
        "processor_us_per_line": round(processor / max(result.lines, 1) * 1e6, 1),
        "to_first_line_s": round(wall - result.time_s, 2),
        "resends": result.resends,
        "overflowed_bytes": overflowed,
        "each_line_once": len(moves) == len(set(moves)) == lines,
    }


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    with tempfile.TemporaryDirectory() as folder:
        report = {
            f"{name}, {case}": measure(
                name, case, lines if case == "unlimited" else lines // 3, Path(folder)
            )
            for name in ("marlin-2", "grbl-1.1")
            for case in CASES
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
