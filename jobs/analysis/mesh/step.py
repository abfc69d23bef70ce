"""STEP files through OpenCASCADE (`cascadio`), which is not there for every platform.

The library writes glTF: metres, Y up. We give millimetres and Z up, as the file had it.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from jobs.analysis.arrays import Floats, Ints
from jobs.domain.preflight import FindingCode

LARGEST_STEP_BYTES: Final = 64 * 1024 * 1024
# How far triangles may stray from the true surface: a tenth of a fine layer [mm], and an angle
# that draws a circle with 24 sides at least [rad].
_OFF_MM: Final = 0.01
_OFF_RAD: Final = 0.26
_FROM_GLTF: Final = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]) * 1000.0


class StepError(Exception):
    """No surface came of it; carries the finding's code and fields."""

    def __init__(self, code: FindingCode, **fields: str | int | float) -> None:
        self.code = code
        self.fields = fields
        super().__init__(code)


def read_step(path: Path, most_triangles: int) -> tuple[Floats, Ints]:
    """Return vertices [mm], shape (v, 3), and triangles, shape (t, 3).

    :raises StepError: `step-not-read` where the library is missing, `unreadable`, or too much.
    """
    if (size := path.stat().st_size) > LARGEST_STEP_BYTES:
        raise StepError(FindingCode.TOO_LARGE, bytes=size, limit_bytes=LARGEST_STEP_BYTES)
    if find_spec("cascadio") is None:
        raise StepError(FindingCode.STEP_NOT_READ)
    import cascadio
    import trimesh

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "part.glb")
        try:
            # One thread: the worker's limits count for all of it.
            code = cascadio.step_to_glb(str(path), str(made), _OFF_MM, _OFF_RAD, use_parallel=False)
            if code != 0 or not made.is_file():
                raise StepError(FindingCode.UNREADABLE, reason="step")
            mesh = trimesh.load_mesh(str(made), file_type="glb", process=False)
        except (ValueError, LookupError, TypeError, AttributeError, OSError, RuntimeError) as error:
            raise StepError(FindingCode.UNREADABLE, reason="step") from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise StepError(FindingCode.UNREADABLE, reason="no-triangles")
    if len(mesh.faces) > most_triangles:
        raise StepError(
            FindingCode.TOO_MANY_TRIANGLES, triangles=len(mesh.faces), limit=most_triangles
        )
    # float32 in metres: a hundredth of a micron is noise of the way, and edges must meet again.
    places = np.round(np.asarray(mesh.vertices, np.float64) @ _FROM_GLTF, 5)
    return places, np.asarray(mesh.faces, np.int64)
