"""Lines per second as a share of what the cable allows, beside OctoPrint and Printrun.

Run: python tests/bench/bench_link.py [--no-peers] [--seconds N] [--baud N]

Each case is one cable (baud, one-way latency) with a board that costs no time; see
`link/model.py`. The limit is min(baud / 10 L, ⌊127 / L⌋ / RTT) with L the bytes of a line on the
wire and RTT = 10 (L + 3) / baud + 2 latency. `share_of_limit` takes the bytes that were sent,
`share_as_written` those of the lines as they stand in the file. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from link import peers  # noqa: E402 (the folder of a script is no package)
from link.cable import Link, Speed  # noqa: E402
from link.model import move  # noqa: E402

SPEEDS = [Speed(baud, ms) for baud in (115_200, 250_000, 1_000_000) for ms in (1.0, 8.0)]
TEXT_BYTES = 39  # of a typical line on the wire, to choose how many to send
REPEATS = 3  # of our own, whose median counts
UNLIMITED_LINES = 30_000
TURNS, TURN_S = 5, 3.0  # of each sender in turn, where processor time is compared

Send = Callable[[Path, Path], dict[str, object]]


def write_program(folder: Path, lines: int) -> Path:
    path = folder / f"{lines}.gcode"
    path.write_bytes(b"".join(move(index) + b"\n" for index in range(lines)))
    return path


def measure(speed: Speed, lines: int, send: Send, *, advanced: bool = False) -> dict[str, object]:
    """Send *lines* over one fresh cable; what the board saw and what the sender says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = write_program(folder, lines)
        with Link(folder, speed, advanced=advanced) as link:
            said = send(program, link.port)
        seen = link.report()
    rate, size = float(str(seen["lines_per_s"])), float(str(seen["line_bytes"]))
    written = size + float(str(seen["blanks_left_out"]))
    return {
        "result": said["result"],
        "lines_per_s": round(rate, 1),
        "share_of_limit": round(rate / speed.limit(size), 3) if speed.baud and size else None,
        "share_as_written": round(rate / speed.limit(written), 3) if speed.baud and size else None,
        "processor_us_per_line": round(float(str(said.get("processor_us_per_line", 0.0))), 1),
        "each_line_once": seen["each_line_once"] and seen["lines"] == lines,
        "resends": seen["resends"],
        "overflowed_bytes": seen["overflowed_bytes"],
    }


def script(python: Path, name: str, baud: int, *options: str) -> Send:
    """Return a sender that is a script of `link/`."""
    file = str(HERE / "link" / name)
    return lambda program, port: peers.run_script(
        [str(python), file, str(program), str(port), str(baud), *options],
        isolated=str(python) != sys.executable,
    )


def middle(runs: list[dict[str, object]]) -> dict[str, object]:
    """Return the run with the median rate; a bad one is shown instead."""
    for run in runs:
        if run["result"] != "done" or run["each_line_once"] is not True:
            return run
    rate = statistics.median_low([float(str(run["lines_per_s"])) for run in runs])
    return next(run for run in runs if run["lines_per_s"] == rate)


def one_speed(speed: Speed, seconds: float, *, with_peers: bool) -> dict[str, object]:
    lines = int(speed.limit(TEXT_BYTES) * seconds)
    ours = script(Path(sys.executable), "fabnode_send.py", speed.baud)
    trusting = script(Path(sys.executable), "fabnode_send.py", speed.baud, "--fills-queue")
    case: dict[str, object] = {
        "fabnode": middle([measure(speed, lines, ours) for _ in range(REPEATS)]),
        "fabnode, ADVANCED_OK": measure(speed, lines, ours, advanced=True),
        "fabnode, ADVANCED_OK, fills_queue": middle(
            [measure(speed, lines, trusting, advanced=True) for _ in range(REPEATS)]
        ),
        "fabnode, machine host": measure(
            speed, lines, script(Path(sys.executable), "fabnode_host.py", speed.baud)
        ),
        "bare loop": measure(
            speed, lines, script(Path(sys.executable), "bare_loop.py", speed.baud)
        ),
    }
    if with_peers:
        case["Printrun 2.2"] = measure(
            speed, lines, script(peers.printrun(), "printrun_send.py", speed.baud)
        )
        case["OctoPrint 1.11"] = measure(speed, lines, octoprint(speed.baud, lines))
    return case


def octoprint(baud: int, lines: int) -> Send:
    def send(program: Path, port: Path) -> dict[str, object]:
        with peers.OctoPrint(program.parent, port) as host:
            return host.send(program, baud, lines)

    return send


def unlimited() -> dict[str, object]:
    free = Speed(0, 0.0)
    return {
        "fabnode": measure(
            free, UNLIMITED_LINES, script(Path(sys.executable), "fabnode_send.py", 0)
        ),
        "fabnode, machine host": measure(
            free, UNLIMITED_LINES, script(Path(sys.executable), "fabnode_host.py", 0)
        ),
        "bare loop": measure(
            free, UNLIMITED_LINES, script(Path(sys.executable), "bare_loop.py", 0)
        ),
    }


def processor(speed: Speed) -> dict[str, object]:
    """Compare what a line costs, each sender in turn: a busy machine is busy for all of them."""
    lines = int(speed.limit(TEXT_BYTES) * TURN_S)
    names = {
        "bare loop": "bare_loop.py",
        "fabnode": "fabnode_send.py",
        "fabnode, machine host": "fabnode_host.py",
    }
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(TURNS):
        for name, file in names.items():
            run = measure(speed, lines, script(Path(sys.executable), file, speed.baud))
            times[name].append(float(str(run["processor_us_per_line"])))
    bare = times["bare loop"]
    return {
        "processor_us_per_line": times,
        "times_the_bare_loop": {
            name: round(statistics.median(a / b for a, b in zip(each, bare, strict=True)), 2)
            for name, each in times.items()
        },
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description="Share of the cable's limit.")
    arguments.add_argument("--no-peers", action="store_true")
    arguments.add_argument("--seconds", type=float, default=4.0, help="of streaming at the limit")
    arguments.add_argument("--baud", type=int, help="only this rate; 0: the link without limit")
    given = arguments.parse_args()
    report: dict[str, object] = {}
    for speed in SPEEDS:
        if given.baud not in (None, speed.baud):
            continue
        name = f"{speed.baud} baud, {speed.latency_ms:g} ms"
        sys.stderr.write(f"  {name}\n")
        report[name] = one_speed(speed, given.seconds, with_peers=not given.no_peers)
    if given.baud in (None, SPEEDS[0].baud):
        report[f"processor, {SPEEDS[0].baud} baud"] = processor(SPEEDS[0])
    if not given.baud:
        report["no limit"] = unlimited()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
