"""What a worker costs: an empty task, reading a manifest, slicing our own design [s, wall].

Medians of five; the slicer's is left out where none is installed.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from jobs.designs import example_folder
from jobs.domain.machine import MachineLimits
from jobs.services.workers import Task, WorkerResult, run_worker
from jobs.slicing import load_recipe, slicer_available

RUNS = 5
PRINTER = MachineLimits(envelope_mm=(220.0, 210.0, 250.0), nozzle_mm=0.4, filament_mm=1.75)
MESH = example_folder() / "bench-comb.stl"


def median_s(once: Callable[[], WorkerResult]) -> float:
    results = [once() for _ in range(RUNS)]
    assert all(result.ok for result in results), results
    return round(statistics.median(result.wall_s for result in results), 3)


def sliced(recipe_name: str) -> WorkerResult:
    with tempfile.TemporaryDirectory() as folder:
        return run_worker(
            Task.SLICE,
            {"recipe": load_recipe(recipe_name).to_json(), "limits": PRINTER.to_json()},
            {MESH.name: MESH},
            outputs=Path(folder),
        )


def main() -> None:
    manifest = example_folder() / "okh.toml"
    found = {
        "manifest_s": median_s(lambda: run_worker(Task.MANIFEST, {}, {manifest.name: manifest})),
        "inspect_mesh_s": median_s(lambda: run_worker(Task.INSPECT, {}, {MESH.name: MESH})),
        "slice_builtin_s": median_s(lambda: sliced("pla-builtin")),
    }
    if slicer_available("prusaslicer"):
        found["slice_prusaslicer_s"] = median_s(lambda: sliced("pla-standard"))
    print(json.dumps({"workers": found}))


if __name__ == "__main__":
    main()
