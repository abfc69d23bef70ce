"""What FreeCAD runs is no module of ours: nothing here can import it."""

collect_ignore = ["freecad_programs.py"]
