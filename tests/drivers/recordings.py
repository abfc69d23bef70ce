"""`python -m tests.drivers.recordings`: record the transcripts of `tests/corpus/wire` anew.

For when an engine means to act otherwise than it did; look at what changed before you keep it.
"""

import json
import tempfile
from pathlib import Path

from drivers.replay import read_log
from drivers.simulators import Wishes
from drivers.wirelog import pieces
from tests.drivers.virtual import Lab

CORPUS = Path(__file__).parents[1] / "corpus" / "wire"

PRINT = ["G28", "M104 S60", *(f"G1 X{n % 90} Y{n % 7} F6000" for n in range(80)), "M104 S0"]
MILL = ["G21", "G90", *(f"G1 X{n % 90} Y{n % 7} F2000" for n in range(40)), "M5"]

RECORDINGS = {
    "marlin-2-print": ("marlin-2", PRINT, ()),
    "marlin-2-resends": ("marlin-2", PRINT, ("corrupt-in=0.004", "lost-ok=0.02")),
    "grbl-1.1-limit-switch": ("grbl-1.1", MILL, ("limit-at-line=30",)),
}


def main() -> None:
    """Record all of them."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, (board, program, faults) in RECORDINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(Path(folder), board, wishes=Wishes(seed=7, faults=faults))
            lab.run(program)
            lab.wait(10.0)
            lab.close()
            stream = {"stream": "".join(f"{line}\n" for line in program)}
            log = read_log(pieces(Path(folder) / "wire", "r1"))
            text = json.dumps(stream) + "\n" + "".join(log)
            (CORPUS / f"{name}.jsonl").write_text(text)


if __name__ == "__main__":
    main()
