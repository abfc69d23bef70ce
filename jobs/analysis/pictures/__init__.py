"""Pictures of meshes and toolpaths, drawn with numpy in a worker: no GPU, bounded work."""

from jobs.analysis.pictures.drawing import PictureWish, draw_mesh, draw_program

__all__ = ["PictureWish", "draw_mesh", "draw_program"]
