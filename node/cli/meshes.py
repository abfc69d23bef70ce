"""What a mesh's report says to a person at the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from node.cli.words import say


def say_mesh(report: Mapping[str, object]) -> None:
    """Say size, walls, which machines it fits, and the repair that is offered."""
    size = report.get("size_mm")
    if isinstance(size, list):
        say("cli.inspect.size", value=" × ".join(f"{part:g}" for part in size))
    if report.get("watertight") is True:
        say("cli.inspect.watertight")
    walls = report.get("walls")
    if isinstance(walls, Mapping):
        say(
            "cli.inspect.walls",
            thinnest_mm=_number(walls, "thinnest_mm"),
            median_mm=_number(walls, "median_mm"),
        )
    fits = report.get("fits")
    for fit in fits if isinstance(fits, list) else ():
        _say_fit(fit)
    repair = report.get("repair")
    if isinstance(repair, Mapping):
        say_repair("cli.inspect.repair", repair)


def say_repair(code: str, repair: Mapping[str, object], **more: str) -> None:
    """Say in numbers what a repair changes."""
    kept = ("merged_vertices", "flipped_faces", "filled_holes")
    volumes = ("volume_before_mm3", "volume_after_mm3")
    removed = _number(repair, "removed_collapsed") + _number(repair, "removed_duplicates")
    fields = {key: _number(repair, key) for key in (*kept, *volumes)}
    say(code, removed=removed, **fields, **more)


def _say_fit(fit: Mapping[str, object]) -> None:
    machine = str(fit.get("name"))
    if fit.get("as_is"):
        orientations = _number(fit, "orientations")
        say("cli.inspect.fits-as-is", machine=machine, orientations=orientations)
    elif fit.get("fits"):
        up = str(fit.get("up")).upper()
        say("cli.inspect.fits-turned", machine=machine, up=up, turn_deg=_number(fit, "turn_deg"))
    else:
        envelope = fit.get("envelope_mm")
        room = envelope if isinstance(envelope, Iterable) else ()
        say(
            "cli.inspect.fits-not",
            machine=machine,
            envelope_mm=" × ".join(f"{part:g}" for part in room),
        )


def _number(values: Mapping[str, object], key: str) -> int | float:
    value = values.get(key)
    return value if isinstance(value, int | float) else 0
