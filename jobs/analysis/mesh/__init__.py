"""Meshes from strangers: what they are, whether they can be made here, and a repaired copy."""

from jobs.analysis.mesh.fitting import Machine
from jobs.analysis.mesh.reading import (
    LARGEST_MESH_BYTES,
    MOST_TRIANGLES,
    as_sliceable,
    read_surface,
    write_stl,
)
from jobs.analysis.mesh.report import Wish, copy_mesh, inspect_mesh
from jobs.analysis.mesh.surface import Surface

__all__ = [
    "LARGEST_MESH_BYTES",
    "MOST_TRIANGLES",
    "Machine",
    "Surface",
    "Wish",
    "as_sliceable",
    "copy_mesh",
    "inspect_mesh",
    "read_surface",
    "write_stl",
]
