"""Say how long Printrun takes a file to last; run by the Python of Printrun's own environment."""

import json
import sys
from pathlib import Path

from printrun import gcoder


def main():
    program = gcoder.GCode(Path(sys.argv[1]).read_text().splitlines())
    print(json.dumps({"time_s": program.duration.total_seconds()}))


if __name__ == "__main__":
    main()
