"""Recipes, and the slicers that turn a mesh into a program by one.

`slice_file` takes the slicer that the recipe names. It runs in a worker, never in the node:
meshes come from strangers and slicers are large.
"""

from jobs.slicing.recipe import Recipe, RecipeError, load_recipe, recipe_names
from jobs.slicing.slicers import SLICERS, Sliced, SlicingError, slice_file, slicer_available

__all__ = [
    "SLICERS",
    "Recipe",
    "RecipeError",
    "Sliced",
    "SlicingError",
    "load_recipe",
    "recipe_names",
    "slice_file",
    "slicer_available",
]
