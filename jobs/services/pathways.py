"""What stands in a program's way with the offsets of this moment: each move, in a worker."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from jobs.domain.machine import MachineLimits
from jobs.domain.placing import AXES, Box, Point, keep_outs, shift_of
from jobs.domain.policy import Reason, Refusal
from jobs.services.planned import program_path
from jobs.services.workers import Task, WorkerLimits, run_worker
from jobs.services.workshop import LiveOffsets, Workshop
from jobs.store.tables import Preflight

SYSTEMS: Final = ("G54", "G55", "G56", "G57", "G58", "G59")
_TO_MACHINE: Final = ("G53", "G28", "G30")
_KEPT: Final = 8  # verdicts; the page is looked at again and again before a start

Key = tuple[object, ...]


class Pathways:
    """Judges ways; each verdict is kept as long as nothing of it has changed."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, tuple[Refusal, ...]] = OrderedDict()

    def refusals(
        self,
        preflight: Preflight,
        limits: MachineLimits,
        told: LiveOffsets,
        at: Sequence[float],
        placed: Sequence[Box],
        reach: Box,
    ) -> tuple[Refusal, ...]:
        """Return what every single move says against a start.

        :param at: where the machine stands, in its own coordinates [mm].
        :param placed: the program's bounds in the machine, one for each work zero it uses.
        """
        commands = preflight.report.get("commands")
        named = commands if isinstance(commands, Mapping) else {}
        boxes = keep_outs(limits.keep_out_mm)
        may_hit = any(one.meets(box) for one in placed for box in boxes)
        if not may_hit and not any(word in named for word in _TO_MACHINE):
            return ()  # all of it lies within its bounds, and they are free
        request = self._request(limits, told, at, reach)
        key: Key = (preflight.stream_sha256, repr(sorted(request.items())))
        with self._lock:
            if key in self._known:
                return self._known[key]
        found = self._judged(preflight, request)
        with self._lock:
            self._known[key] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def _request(
        self, limits: MachineLimits, told: LiveOffsets, at: Sequence[float], reach: Box
    ) -> dict[str, object]:
        unknown = (None, None, None)
        zeros: list[Sequence[float | None]] = [
            shift_of(told.offsets, system) or unknown for system in SYSTEMS
        ]
        in_force = next((word for word in SYSTEMS if word in told.modes), "G54")
        stored = {
            code: list(told.offsets[word])
            for code, word in (("280", "G28"), ("300", "G30"))
            if len(told.offsets.get(word, ())) == len(AXES)
        }
        return {
            "limits": limits.to_json(),
            "dialect": "grbl",
            "zeros": [list(zero) for zero in (*zeros, unknown, unknown, unknown)],
            "before": list(shift_of(told.offsets, in_force) or unknown),
            "stored": stored,
            "at": [round(place, 2) for place in at] if len(at) == len(AXES) else list(unknown),
            "low": list(reach.low),
            "high": list(reach.high),
        }

    def _judged(self, preflight: Preflight, request: dict[str, object]) -> tuple[Refusal, ...]:
        work_dir, limits = self._workshop.work_dir, self._workshop.worker_limits
        files = {
            "stream": program_path(work_dir, preflight.stream_sha256 or ""),
            "index": program_path(work_dir, preflight.index_sha256 or ""),
        }
        if not all(path.is_file() for path in files.values()):
            return (Refusal(Reason.WAY_UNKNOWN),)
        own = None if limits == WorkerLimits() else limits
        answer = run_worker(Task.PLACE, request, files, limits=own)
        if not answer.ok:
            return (Refusal(Reason.WAY_UNKNOWN),)
        low, high = request["low"], request["high"]
        assert isinstance(low, list)
        assert isinstance(high, list)
        found = [
            Refusal(Reason.IN_KEEP_OUT, {key: _whole(one, key) for key in ("number", "line")})
            for one in _items(answer.result, "keep_outs")
        ]
        for one in _items(answer.result, "outside"):
            axis = str(one.get("axis"))
            ends = {"low_mm": low[AXES.index(axis)], "high_mm": high[AXES.index(axis)]}
            place = one.get("at_mm")
            at_mm = float(place) if isinstance(place, int | float) else 0.0
            fields = {"axis": axis, "at_mm": round(at_mm, 2), **ends}
            found.append(Refusal(Reason.OUTSIDE_NOW, fields))
        return tuple(found)


def clear(path: Sequence[Point], boxes: Sequence[Box]) -> bool:
    """Tell whether straight moves from point to point go through none of *boxes*."""
    return not any(box.crossed(*step) for box in boxes for step in pairwise(path))


def _items(found: Mapping[str, object], key: str) -> Sequence[Mapping[str, object]]:
    value = found.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(one: Mapping[str, object], key: str) -> int:
    value = one.get(key)
    return value if isinstance(value, int) else 0
