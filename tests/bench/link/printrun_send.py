"""Send one file with Printrun's core; run by the Python of Printrun's own environment."""

import json
import resource
import sys
import time
from pathlib import Path

from printrun import gcoder
from printrun.printcore import printcore


def main():
    path, port, baud = sys.argv[1:4]
    core = printcore(port, int(baud) or 4_000_000)
    until = time.monotonic() + 20.0
    while not core.online and time.monotonic() < until:
        time.sleep(0.05)
    program = gcoder.LightGCode(Path(path).read_text().splitlines())
    before, began = _processor_s(), time.perf_counter()
    core.startprint(program)
    while core.printing and time.perf_counter() - began < 300.0:
        time.sleep(0.05)
    used = _processor_s() - before
    count = len(program.lines)
    result = "failed" if core.printing else "done"
    time.sleep(0.3)
    core.disconnect()
    print(json.dumps({"result": result, "processor_us_per_line": used / count * 1e6}))


def _processor_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
