"""The child side of `workers`: confine itself, do one task, write `result.json`, go.

Everything heavy is imported after the confinement, in the tasks or, for those that read programs,
while the files are still being copied.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from jobs.services.confinement import enter_namespaces, lock_files, take_limits
from jobs.services.workers import Failure, Task

if TYPE_CHECKING:
    from jobs.analysis.mesh import Wish

Values = Mapping[str, object]
TaskFunction = Callable[[Values, Mapping[str, Path], Path], dict[str, object]]


class TaskError(Exception):
    """A task's own "no", with the word that the node shall hear."""

    def __init__(self, failure: Failure, detail: str) -> None:
        self.failure = failure
        self.detail = detail
        super().__init__(f"{failure}: {detail}")


def inspect(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Tell what the one file is: a report of a mesh or of a program, with its findings.

    May bring `machines` (`slug`, `name`, `limits`, `wanted`) for a mesh to fit, and `material`
    with `density_g_cm3` for its mass; `limits` to plan a program with.
    """
    from jobs.analysis import inspect_file
    from jobs.domain.machine import MachineLimits

    del out
    limits = MachineLimits.from_json(_mapping(request, "limits")) if "limits" in request else None
    return inspect_file(_only(files), limits, lambda: _wish(request))


def _wish(request: Values) -> Wish:
    """Return what a mesh is held against; a program needs none of it, nor what it loads."""
    from jobs.analysis.mesh import Machine, Wish

    machines, density = request.get("machines"), request.get("density_g_cm3")
    return Wish(
        [Machine.from_json(one) for one in machines] if isinstance(machines, list) else [],
        (str(request["material"]), float(density)) if isinstance(density, int | float) else None,
    )


def copy(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Write `copy.stl`: the mesh repaired; may bring `scale`, `up` and `turn_deg`."""
    from jobs.analysis.mesh import copy_mesh

    return copy_mesh(
        _only(files),
        out,
        scale=float(str(request.get("scale", 1.0))),
        up=str(request.get("up", "+z")),
        turn=float(str(request.get("turn_deg", 0.0))),
    )


def picture(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Write pictures as PNG. Of a mesh `mesh.png`; else asks for `limits`, `dialect`, `kind`.

    May bring `layers` (numbers from 1) and `by_speed`; see `jobs.analysis.pictures`.
    """
    from jobs.analysis.pictures import PictureWish, draw_mesh, draw_program
    from jobs.domain.machine import MachineLimits

    if "limits" not in request:
        return draw_mesh(_only(files), out)
    layers = request.get("layers")
    wish = PictureWish(
        MachineLimits.from_json(_mapping(request, "limits")),
        str(request["dialect"]),
        str(request["kind"]),
        tuple(int(str(one)) for one in layers) if isinstance(layers, list) else (),
        overview=bool(request.get("overview")),
        by_speed=bool(request.get("by_speed")),
    )
    return draw_program(_only(files), out, wish)


def prepare(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Make stream file and index of a program for one machine, with report and findings.

    Asks for `limits`, `dialect`, `kind`; may bring `family`, `forbidden` and `macros` (words),
    `density_g_cm3`, and `slots` (which tool draws from another slot than its own).
    """
    from jobs.analysis import prepare_program
    from jobs.domain.machine import MachineLimits
    from jobs.domain.slots import slots_from

    density = request.get("density_g_cm3")
    return prepare_program(
        _only(files),
        out,
        MachineLimits.from_json(_mapping(request, "limits")),
        str(request["dialect"]),
        _words(request, "forbidden"),
        float(density) if isinstance(density, int | float) else None,
        str(request["kind"]),
        str(request.get("family", "")),
        _words(request, "macros"),
        slots_from(request.get("slots")),
    )


def resume(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Make the rest of a program fit to begin in its middle.

    Asks for what `prepare` asks for, and `line`, `layer`, `height_mm`; files `stream` and `index`.
    """
    from jobs.analysis.resuming import Wish, resume_program
    from jobs.domain.machine import MachineLimits

    density, height = request.get("density_g_cm3"), request.get("height_mm")
    return resume_program(
        files["stream"],
        files["index"],
        out,
        Wish(
            int(str(request.get("line", 0))),
            int(str(request.get("layer", 0))),
            float(height) if isinstance(height, int | float) else None,
        ),
        MachineLimits.from_json(_mapping(request, "limits")),
        str(request["dialect"]),
        _words(request, "forbidden"),
        float(density) if isinstance(density, int | float) else None,
        str(request["kind"]),
        str(request.get("family", "")),
        _words(request, "macros"),
    )


def place(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Hold a program's way, with the offsets of a moment, against what stands in the machine.

    Asks for `limits`, `dialect`, `zeros`, `before`, `stored`, `at`, `low` and `high` (of its
    reach) [mm]; files `stream` and `index`.
    """
    import numpy as np

    from jobs.analysis.keepout import Moment, judge_way
    from jobs.domain.machine import MachineLimits
    from jobs.domain.placing import Box

    del out
    low, high = (np.asarray(request[end], np.float64).tolist() for end in ("low", "high"))
    moment = Moment(
        zeros=np.asarray(request["zeros"], np.float64),
        before=np.asarray(request["before"], np.float64),
        stored={
            int(code): np.asarray(at, np.float64)
            for code, at in _mapping(request, "stored").items()
        },
        at=np.asarray(request["at"], np.float64),
    )
    return judge_way(
        files["stream"],
        files["index"],
        MachineLimits.from_json(_mapping(request, "limits")),
        str(request["dialect"]),
        moment,
        Box(tuple(low), tuple(high)),
    )


def slice_mesh(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Turn a mesh into `program.gcode`; asks for `recipe` and `limits`, both as their to_json."""
    from jobs.analysis.mesh import as_sliceable
    from jobs.domain.machine import MachineLimits
    from jobs.slicing import Recipe, SlicingError, slice_file

    try:
        made = slice_file(
            as_sliceable(_only(files)),
            Recipe.from_json(_mapping(request, "recipe")),
            MachineLimits.from_json(_mapping(request, "limits")),
            out / "program.gcode",
        )
    except SlicingError as error:
        out_of_time = error.reason == "killed" and error.detail == "SIGXCPU"
        raise TaskError(Failure.CPU if out_of_time else Failure.SLICER, str(error)) from error
    return made.to_json()


def photo(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Write `photo.jpg`: the one file's pixels, upright and not too many."""
    from jobs.analysis.photo import PhotoError, rewrite

    del request
    try:
        width, height = rewrite(_only(files), out / "photo.jpg")
    except PhotoError as error:
        raise TaskError(Failure.UNREADABLE, str(error)) from error
    return {"width_px": width, "height_px": height}


def calendar(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Return the `events` of an .ics file, at most `most`, as the fields of an imported row."""
    del out
    from icalendar import Calendar

    try:
        read = Calendar.from_ical(_only(files).read_bytes())
    except ValueError as error:
        raise TaskError(Failure.UNREADABLE, str(error)[:200]) from error
    events: list[dict[str, str]] = []
    for event in read.walk("VEVENT")[: int(str(request.get("most", 1000)))]:
        text = {key: str(event.get(key, ""))[:500] for key in ("LOCATION", "SUMMARY", "STATUS")}
        who = event.get("ATTENDEE") or event.get("ORGANIZER") or ""
        who = who[0] if isinstance(who, list) else who
        events.append(
            {
                "machine": text["LOCATION"] or text["SUMMARY"],
                "note": text["SUMMARY"] if text["LOCATION"] else "",
                "login": str(who).lower().removeprefix("mailto:")[:200],
                "cancelled": "yes" if text["STATUS"].upper() == "CANCELLED" else "",
                "repeats": "yes" if "RRULE" in event else "",
                **{key: _when(event, key) for key in ("start", "end")},
            }
        )
    return {"events": events}


def _when(event: Any, key: str) -> str:
    found = event.get(f"DT{key.upper()}")
    return found.dt.isoformat() if found is not None else ""


def sheet(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Write `sheet.pdf`, a day sheet; asks for what `jobs.analysis.sheet` does."""
    from jobs.analysis.sheet import write_sheet

    del files
    write_sheet(request, out / "sheet.pdf")
    return {}


def manifest(request: Values, files: Mapping[str, Path], out: Path) -> dict[str, object]:
    """Read a design's manifest: the design, what can be printed, its licence.

    May bring `manifest` (its path in the design) and `files` (all paths of the design).
    """
    from jobs.designs import describe

    del out
    name, path = next(iter(files.items()))
    listed = request.get("files")
    others = [str(each) for each in listed] if isinstance(listed, list) else []
    return describe(path.read_bytes(), str(request.get("manifest", name)), others)


# Our own code in a checkout lies outside the interpreter's folders; so do the packages of a
# virtual environment, of which an interpreter without `site` does not know.
_CODE: Final = (
    *(Path(__file__).parents[2] / name for name in ("jobs", "drivers", "firmware_profiles")),
    *(Path(name) for name in sys.path if name.endswith("-packages")),
)

TASKS: Final[dict[Task, TaskFunction]] = {
    Task.INSPECT: inspect,
    Task.COPY: copy,
    Task.PICTURE: picture,
    Task.PREPARE: prepare,
    Task.PLACE: place,
    Task.RESUME: resume,
    Task.SLICE: slice_mesh,
    Task.PHOTO: photo,
    Task.CALENDAR: calendar,
    Task.SHEET: sheet,
    Task.MANIFEST: manifest,
}


# What a task surely needs; all else is loaded when the file has been seen.
_LOADED: Final = {
    Task.INSPECT: "jobs.analysis.inspect",
    Task.PREPARE: "jobs.analysis.program",
    Task.RESUME: "jobs.analysis.resuming",
    Task.PLACE: "jobs.analysis.keepout",
}


def main(arguments: list[str]) -> NoReturn:
    """Do the task that `limits.json` and `request.json` in the working folder name; never return.

    The latter, and all files, are there when standard input has ended.
    """
    if arguments == ["--probe"]:
        os._exit(0 if enter_namespaces() else 1)
    held = json.loads(Path("limits.json").read_text(encoding="utf-8"))
    take_limits(held["limits"])
    isolated = enter_namespaces()
    confined = lock_files(Path.cwd(), _CODE)
    answer: dict[str, object]
    try:
        task = Task(held["task"])
        if task in _LOADED:
            importlib.import_module(_LOADED[task])
        sys.stdin.buffer.read()
        words = json.loads(Path("request.json").read_text(encoding="utf-8"))
        files = {name: Path("in", name).absolute() for name in words["files"]}
        result = TASKS[task](words["request"], files, Path("out").absolute())
        answer = {"ok": True, "result": result}
    except TaskError as error:
        answer = _no(error.failure, error.detail)
    except MemoryError:
        answer = _no(Failure.MEMORY, "")
    except Exception as error:  # noqa: BLE001 - the worker edge: any file, one word for the node
        answer = _no(Failure.ERROR, f"{type(error).__name__}: {error}")
    Path("result.json.part").write_text(
        json.dumps({**answer, "isolated": isolated, "confined": confined}, allow_nan=False),
        encoding="utf-8",
    )
    Path("result.json.part").rename("result.json")
    # All is said; to take numpy down in order would take longer than to read a small program.
    sys.stderr.flush()
    os._exit(0)


def _no(failure: Failure, detail: str) -> dict[str, object]:
    return {"ok": False, "failure": failure.value, "detail": detail[:500]}


def _only(files: Mapping[str, Path]) -> Path:
    (path,) = files.values()
    return path


def _words(request: Values, key: str) -> list[str]:
    value = request.get(key)
    return [str(word) for word in value] if isinstance(value, list) else []


def _mapping(request: Values, key: str) -> Values:
    value = request[key]
    if not isinstance(value, dict):
        raise TaskError(Failure.ERROR, f"{key} is no object")
    return value
