"""What can be known of a program or a mesh before the first byte is sent, at numpy's speed.

`prepare_program` turns an upload into the stream file a machine host sends and says everything
that speaks against running it; `inspect_file` names any file by its content. Everything here
runs in a worker process: the node process never imports this package, nor numpy.
"""

from typing import TYPE_CHECKING

from jobs.analysis.inspect import inspect_file
from jobs.analysis.program import inspect_program, prepare_program
from jobs.analysis.stream import Stream, make_stream

if TYPE_CHECKING:
    from jobs.analysis.mesh import inspect_mesh

__all__ = [
    "Stream",
    "inspect_file",
    "inspect_mesh",
    "inspect_program",
    "make_stream",
    "prepare_program",
]


def __getattr__(name: str) -> object:
    # Whoever reads programs shall not wait for what only meshes need.
    if name != "inspect_mesh":
        raise AttributeError(name)
    from jobs.analysis import mesh

    return mesh.inspect_mesh
