"""Run every benchmark and print one JSON object: `make bench`, or with names of some.

Each `bench_*.py` prints JSON objects on lines of its own. Machines differ and are noisy, so
what counts are the ratios and medians in them, not the seconds.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST_S = 1800


def measure(script: Path) -> object:
    """Return what one benchmark printed."""
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode != 0:
        return {"failed": done.returncode}
    objects = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return objects[0] if len(objects) == 1 else objects


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
