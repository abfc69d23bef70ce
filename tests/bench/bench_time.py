"""Planned time beside a simulated machine's, the slicer's own and what other hosts say.

Run: python tests/bench/bench_time.py [--no-peers] [--commons FOLDER] [--parts N]

Prints one JSON object. Prints: real parts from the commons and one of our own, sliced here by
the real PrusaSlicer for a printer with classic jerk and planned also for junction deviation; the
simulated board is a whole Marlin in virtual time that parses, plans and moves by itself. CNC:
five router programs on a simulated Grbl. Errors are shares of the simulated motion, for the
slicer of its own estimate, for other hosts of the simulated motion with its dwells.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from clock import cnc, compare, peers, prints  # noqa: E402 (the folder of a script is no package)

from jobs.analysis.program import inspect_program  # noqa: E402
from jobs.slicing import slicer_available  # noqa: E402

_GRAMS = re.compile(rb"(?m)^; filament used \[g\] = ([0-9.]+)")
_ROUNDED_G = 0.005  # the slicer prints two decimals


def one_print(mesh: Path, folder: Path, *, with_peers: bool) -> dict[str, object]:
    """Slice, plan, simulate and compare one part."""
    path, made = prints.sliced(mesh, folder)
    data = path.read_bytes()
    planned, moved = compare.printed(data, prints.PRINTER)
    other, other_moved = compare.printed(data, compare.without_jerk(prints.PRINTER))
    report = inspect_program(data, prints.PRINTER)
    ours, volume = float(str(report["time_s"])), float(str(report["volume_mm3"]))
    row: dict[str, object] = {
        "program": mesh.stem,
        "lines": data.count(b"\n"),
        "planned_s": round(planned, 1),
        "simulated_s": round(moved, 1),
        "error": round(compare.error(planned, moved), 5),
        "error_junction_deviation": round(compare.error(other, other_moved), 5),
        "slicer_s": made.time_s,
        "error_to_slicer": round(compare.error(ours, made.time_s), 4) if made.time_s else None,
        "mass_error": round(_mass_error(volume, data), 5),
    }
    if with_peers:
        truth = moved + ours - planned
        for name, said in (
            ("octoprint", peers.octoprint_s(path, prints.PRINTER)),
            ("printrun", peers.printrun_s(path)),
        ):
            row[f"error_{name}"] = None if said is None else round(compare.error(said, truth), 4)
    return row


def one_cut(name: str, text: str) -> dict[str, object]:
    """Plan and simulate one router program."""
    planned, moved = compare.milled(text.encode())
    return {
        "program": name,
        "lines": text.count("\n"),
        "planned_s": round(planned, 1),
        "simulated_s": round(moved, 1),
        "error": round(compare.error(planned, moved), 5),
    }


def _mass_error(volume_mm3: float, data: bytes) -> float:
    """Return how far our mass is off the slicer's, beyond what its two decimals hide."""
    found = _GRAMS.search(data)
    wanted = float(found[1]) if found else 0.0
    off = volume_mm3 / 1000.0 * prints.DENSITY_G_CM3 - wanted
    return max(abs(off) - _ROUNDED_G, 0.0) / wanted if wanted else 0.0


def worst(rows: list[dict[str, object]], key: str) -> float | None:
    """Return the largest of one kind of error, its sign left out."""
    found = [abs(float(str(row[key]))) for row in rows if row.get(key) is not None]
    return max(found, default=None)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--commons", type=Path, default=prints.COMMONS)
    parser.add_argument("--parts", type=int, default=100)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    meshes = prints.parts(args.commons) if slicer_available("prusaslicer") else []
    with tempfile.TemporaryDirectory() as folder:
        for mesh in meshes[: args.parts]:
            sys.stderr.write(f"{mesh.stem} …\n")
            rows.append(one_print(mesh, Path(folder), with_peers=not args.no_peers))
    cuts = [one_cut(name, text) for name, text in cnc.programs().items()]
    keys = [key for key in rows[0] if "error" in key] if rows else []
    print(
        json.dumps(
            {
                "bench": "time",
                "worst": {key: worst(rows, key) for key in keys},
                "worst_cnc": worst(cuts, "error"),
                "prints": rows,
                "cnc": cuts,
            },
            indent=1,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
