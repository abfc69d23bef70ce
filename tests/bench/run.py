"""Run every benchmark and print one JSON object: `make bench`, or with names of some.

Each `bench_*.py` prints JSON objects, one after another. Machines differ and are noisy, so
what counts are the ratios and medians in them, not the seconds.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST_S = 1800


def measure(script: Path) -> object:
    """Return what one benchmark printed."""
    try:
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not over within {LONGEST_S} s"}
    if done.returncode != 0:
        return {"failed": done.returncode}
    objects = list(read_objects(done.stdout))
    return objects[0] if len(objects) == 1 else objects


def read_objects(text: str) -> Iterator[object]:
    r"""Return every JSON object of a benchmark's output; what stands between is passed over.

    >>> list(read_objects('note {\n{"a":\n 1}\n{"b": {}}\n'))
    [{'a': 1}, {'b': {}}]
    """
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


def main() -> int:
    """Run those that are named, or all."""
    names = set(sys.argv[1:])
    results: dict[str, object] = {
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
    }
    for script in sorted(HERE.glob("bench_*.py")):
        name = script.stem.removeprefix("bench_")
        if not names or name in names:
            sys.stderr.write(f"{name} …\n")
            results[name] = measure(script)
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
