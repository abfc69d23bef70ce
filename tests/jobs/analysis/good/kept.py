"""Programs of real CAM programs that are kept, because the CAM is too large to set up for a test.

`freecad_programs.py` and `dxf2gcode_programs.py` made them from parts and drawings of ours, and
`python -m tests.jobs.analysis.good.kept NAME FOLDER` packs what they made into `NAME.tar.xz`.
The name of a program ends with the machine that its post wrote it for.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.jobs.analysis.good.cams import ROUTER
from tests.jobs.analysis.good.slicers import Made

HERE = Path(__file__).parent
CAMS = {"FreeCAD": "freecad", "dxf2gcode": "dxf2gcode"}
_PROFILES = {
    "grbl": "grbl-1.1",
    "grbl_inches": "fluidnc",
    "grbl_lines": "fluidnc",
    "grblhal": "grblhal",
    "marlin": "marlin-2",
    "reprapfirmware": "reprapfirmware",
}


def kept() -> Iterator[Made]:
    """Every kept program, with a router whose firmware its post is for."""
    for cam, archive in CAMS.items():
        with tarfile.open(HERE / f"{archive}.tar.xz") as packed:
            for name in packed.getnames():
                profile = _PROFILES[name.split("-")[1].split(".")[0]]
                yield Made(f"{cam}: {name}", "mill", profile, ROUTER, _unpack(archive, name))


def _unpack(archive: str, name: str) -> Callable[[Path], None]:
    def make(program: Path) -> None:
        with tarfile.open(HERE / f"{archive}.tar.xz") as packed:
            source = packed.extractfile(name)
            assert source is not None
            program.write_bytes(source.read())

    return make


def _bare(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who packed it and when: the same programs give the same archive."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def pack(archive: str, folder: Path) -> None:
    """Pack the programs in a folder."""
    with tarfile.open(HERE / f"{archive}.tar.xz", "w:xz", preset=9) as packed:
        for program in sorted(folder.glob("*-*.n*c")):
            packed.add(program, program.name, filter=_bare)


if __name__ == "__main__":
    pack(sys.argv[1], Path(sys.argv[2]))
