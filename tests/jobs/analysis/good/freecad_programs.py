"""Make the programs in `freecad.tar.xz`: our parts, cut by FreeCAD's Path workbench and its posts.

FreeCAD is a gigabyte, hence its programs are kept and not made by each test. To make them again
(Debian 12: `apt install freecad`), with the folder to write to:

    FABNODE_CAM=/tmp/freecad freecadcmd tests/jobs/analysis/good/freecad_programs.py

and `python -m tests.jobs.analysis.good.kept freecad /tmp/freecad` packs them.
"""

import os
import sys
from importlib import import_module, reload
from pathlib import Path as Folder

import FreeCAD
import Part
import PathScripts.PathAdaptive as Adaptive
import PathScripts.PathDrilling as Drilling
import PathScripts.PathHelix as Helix
import PathScripts.PathJob as Job
import PathScripts.PathMillFace as Facing
import PathScripts.PathPocketShape as Pocket
import PathScripts.PathProfile as Profile
from FreeCAD import Vector

# The post, its arguments, and the name of the machine in the name of the file. Inches need more
# digits than the post has of itself: Grbl refuses an arc whose ends are 0.5 thou apart.
POSTS = {
    "grbl": ("grbl", "--translate_drill"),
    "grbl_inches": (
        "grbl",
        "--inches --precision=4 --translate_drill --wait-for-spindle=2 --return-to=0,0",
    ),
    "grblhal": ("grbl", "--translate_drill --tool-change --line-numbers"),
    "marlin": ("marlin", "--translate_drill"),
    "reprapfirmware": ("rrf", "--translate_drill"),
}


def _plate(width, height, depth, rounded):
    """Return a plate whose upright edges are rounded [mm]; its top is at Z0, as posts have it."""
    box = Part.makeBox(width, height, depth, Vector(0, 0, -depth))
    upright = [e for e in box.Edges if abs(e.Vertexes[0].Z - e.Vertexes[-1].Z) > depth / 2]
    return box.makeFillet(rounded, upright)


def _drilled(shape, places, diameter, depth):
    for x, y in places:
        shape = shape.cut(Part.makeCylinder(diameter / 2, depth + 2, Vector(x, y, -depth - 1)))
    return shape


def _bracket():
    shape = _plate(80, 50, 6, 8).cut(Part.makeBox(30, 20, 3, Vector(25, 15, -3)))
    return _drilled(shape, ((10, 10), (70, 10), (10, 40), (70, 40)), 3.4, 6)


def _flange():
    ring = Part.makeCylinder(35, 8, Vector(45, 45, -8))
    ring = ring.cut(Part.makeCylinder(12, 10, Vector(45, 45, -9)))
    ring = ring.cut(Part.makeCylinder(18, 3, Vector(45, 45, -3)))
    return _drilled(ring, ((45, 71), (45, 19), (71, 45), (19, 45)), 5, 8)


def _tray():
    shape = _plate(160, 90, 12, 10)
    for at in range(3):
        shape = shape.cut(Part.makeBox(40, 70, 8, Vector(12 + 48 * at, 10, -8)))
    return shape


def _gauge():
    shape = _plate(60, 20, 3, 2)
    for at, radius in enumerate((2.5, 4.0, 6.0)):
        shape = shape.cut(Part.makeCylinder(radius, 5, Vector(10 + 18 * at, 10, -4)))
    return shape


def _cam():
    """Return an eccentric plate with a slot, so that outlines are arcs of many radii."""
    shape = Part.makeCylinder(30, 10, Vector(40, 40, -10))
    shape = shape.fuse(Part.makeCylinder(18, 10, Vector(70, 40, -10))).removeSplitter()
    slot = Part.makeBox(34, 8, 5, Vector(36, 36, -5))
    return _drilled(shape.cut(slot), ((28, 40), (82, 40)), 6, 10)


# Of which parts an adaptive clearing is small enough to be kept.
CLEARED = ("bracket", "gauge")
PARTS = {"bracket": _bracket, "flange": _flange, "tray": _tray, "gauge": _gauge, "cam": _cam}


def _floors(shape):
    """Return the names of the level faces that lie inside of the part: the floors of pockets."""
    low, high = shape.BoundBox.ZMin, shape.BoundBox.ZMax
    return [
        f"Face{at}"
        for at, face in enumerate(shape.Faces, 1)
        if face.BoundBox.ZLength < 1e-6 and low + 1e-6 < face.CenterOfMass.z < high - 1e-6
    ]


def _holes(shape, smaller):
    """Return the names of upright round faces below (or above) 6.5 mm that go right through."""
    return [
        f"Face{at}"
        for at, face in enumerate(shape.Faces, 1)
        if isinstance(face.Surface, Part.Cylinder)
        and len(face.Wires[0].Edges) == 3
        and face.BoundBox.ZLength > shape.BoundBox.ZLength - 1e-6
        and face.BoundBox.XLength < shape.BoundBox.XLength / 2
        and (face.Surface.Radius * 2 < 6.5) is smaller
    ]


def _tool(job):
    controller = job.Tools.Group[0]
    controller.Label = "TC: 3mm Endmill"
    controller.Tool.Diameter = "3 mm"
    controller.HorizFeed, controller.VertFeed = "900 mm/min", "300 mm/min"
    controller.HorizRapid = controller.VertRapid = "2400 mm/min"
    controller.SpindleSpeed = 12000
    return controller


def _job(name, shape, adaptive):
    """Return the job of a part: face, pockets, holes and the outline, as a person would set it."""
    document = FreeCAD.newDocument(name)
    part = document.addObject("Part::Feature", name)
    part.Shape = shape
    document.recompute()
    job = Job.Create("Job", [part], None)
    tool = _tool(job)
    document.recompute()
    model = job.Model.Group[0]
    operations = []
    if adaptive:
        operations.append(Facing.Create("Face"))
        document.recompute()
    if floors := _floors(model.Shape):
        clear = Adaptive if adaptive else Pocket
        pocket = clear.Create("Pocket")
        pocket.Base = [(model, floors)]
        operations.append(pocket)
    for holes, make in ((_holes(model.Shape, True), Drilling), (_holes(model.Shape, False), Helix)):
        if holes:
            hole = make.Create("Holes")
            hole.Base = [(model, holes)]
            hole.Disabled = []
            operations.append(hole)
    operations.append(Profile.Create("Outline"))
    for one in operations:
        if hasattr(one, "StepDown"):
            one.setExpression("StepDown", None)
            one.StepDown = 1.5
    document.recompute()
    assert all(len(one.Path.Commands) > 3 for one in operations), name
    return [tool, *operations]


def main(folder):
    for name, shape in PARTS.items():
        for adaptive in (False, True)[: 1 + (name in CLEARED)]:
            objects = _job(name, shape(), adaptive)
            for machine, (post, arguments) in POSTS.items():
                kind = "adaptive" if adaptive else "plain"
                target = folder / f"{name}_{kind}-{machine}.nc"
                # Posts keep what they were told the last time.
                module = reload(import_module(f"PathScripts.post.{post}_post"))
                module.export(objects, str(target), f"--no-show-editor {arguments}")
            FreeCAD.closeDocument(FreeCAD.ActiveDocument.Name)


# FreeCAD takes the file for a macro, so its name is not __main__.
main(Folder(os.environ["FABNODE_CAM"]))
sys.exit(0)
