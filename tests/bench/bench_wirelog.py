"""What a wire log costs: CPU of session and engine for a line, with and without [µs]."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from drivers.profile import load_profile
from drivers.session import Session
from drivers.snapshot import Phase
from drivers.wirelog import WireLog

LINES = 20_000
ROUNDS = 5


class Echo:
    """A Marlin that answers each line at once, two lines at a time as a cable brings them."""

    def __init__(self) -> None:
        self.out = b""

    def fileno(self) -> int:
        return -1

    def read(self) -> bytes:
        data, self.out = self.out, b""
        return data

    def write(self, data: bytes) -> int:
        for line in data.split(b"\n")[:-1]:
            if line and not line.startswith(b"N0 M110"):
                self.out += b"ok T:20.0 /0.0\n" if b"M105" in line else b"ok\n"
        return len(data)

    def queued(self) -> int:
        return 0

    def set_baud(self, baud: int) -> None:
        pass

    def discard_output(self) -> None:
        pass

    def reset_on_close(self) -> None:
        pass

    def close(self) -> None:
        pass


class Program:
    """Lines as long as those of a print."""

    def __len__(self) -> int:
        return LINES

    def line(self, index: int) -> bytes:
        return b"G1 X%d.%03d Y20.123 E%d.1" % (index % 200, index % 1000, index)

    def source_line(self, index: int) -> int:
        return index + 1


def cost(folder: Path, *, logs: bool) -> float:
    """Return CPU time for a line [µs]."""
    session = Session(Echo(), load_profile("marlin-2"), lambda event: None)
    now = 0.0
    session.connect(now)
    while session.snapshot(now).phase is not Phase.IDLE:
        now += 0.5
        session.ready(now)
    log = WireLog(folder, "r1") if logs else None
    session.record(log)
    began = time.process_time()
    session.start(Program(), now, "r1")
    while session.snapshot(now).acked < LINES:
        now += 0.0005
        session.ready(now)
        if log is not None:
            log.flush(now)
    took = time.process_time() - began
    if log is not None:
        log.close()
    return took / LINES * 1e6


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        without = [cost(Path(name), logs=False) for _ in range(ROUNDS)]
        with_log = [cost(Path(name), logs=True) for _ in range(ROUNDS)]
        size = sum(path.stat().st_size for path in Path(name).iterdir())
    figures = {
        "lines": LINES,
        "without_us": round(statistics.median(without), 1),
        "with_us": round(statistics.median(with_log), 1),
        "bytes_a_line": round(size / LINES, 1),
    }
    print(json.dumps({"bench": "wirelog", **figures}))


if __name__ == "__main__":
    main()
