"""Copy the browser libraries from node_modules to web/static/vendor: `python -m web.vendor`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# What pages use, by its place in node_modules. Each licence goes along.
FILES = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
}


def copy_libraries(modules: Path, target: Path) -> list[Path]:
    """Copy each file of `FILES`.

    :raises FileNotFoundError: naming the file that the package does not hold.
    """
    target.mkdir(parents=True, exist_ok=True)
    copied = []
    for source, name in FILES.items():
        shutil.copyfile(modules / source, target / name)
        copied.append(target / name)
    return copied


def main() -> int:
    """Copy them for this checkout; return the exit code."""
    here = Path(__file__).parent
    try:
        copy_libraries(here.parent / "node_modules", here / "static" / "vendor")
    except FileNotFoundError as error:
        sys.stderr.write(f"Missing {error.filename}: run `npm ci` first.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
