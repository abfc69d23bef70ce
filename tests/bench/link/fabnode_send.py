"""Send one file with the session of fabnode; prints the processor time of a line as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from drivers.profile import load_profile
from drivers.sending import send_file
from drivers.snapshot import Snapshot


def main() -> None:
    path, port, baud = sys.argv[1:4]
    profile = replace(load_profile("marlin-2"), fills_queue="--fills-queue" in sys.argv)
    if baud == "0":
        # Without a pace the kernel's queue would be bounded by that of the profile.
        profile, baud = replace(profile, baud=4_000_000), "4000000"
    seen: list[tuple[int, float]] = []  # lines acknowledged, processor time

    def note(state: Snapshot) -> None:
        if state.acked:
            seen.append((state.acked, _processor_s()))

    began = time.perf_counter()
    result = send_file(
        Path(path), port, replace(profile, boot_wait_s=0.2), baud=int(baud), on_progress=note
    )
    # From one look at the stream to another: start and end are not what a line costs.
    (first, before), (last, after) = seen[0], seen[-1]
    report = {
        "result": str(result.result),
        "reason": result.reason,
        "processor_us_per_line": (after - before) / max(last - first, 1) * 1e6,
        "wall_s": time.perf_counter() - began,
    }
    print(json.dumps(report))


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
