"""A machine as the lab knows it: its kind, how it takes work, and what it can bear."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

_WORDS = frozenset({"model", "materials"})
SLUG = re.compile(r"[a-z0-9-]{1,32}")


class Control(StrEnum):
    """How a machine takes work."""

    SERIAL = "serial"
    BY_HAND = "by-hand"  # a job sheet and a file to carry over; people say started and done
    NONE = "none"  # booking only, such as a band saw


class MachineState(StrEnum):
    """What a machine is doing, in the glossary's words."""

    OFFLINE = "offline"
    IDLE = "idle"
    RESERVED = "reserved"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    TO_CHECK = "to-check"
    ATTENTION = "attention"
    ERROR = "error"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """What a machine can reach and bear; the numbers preflight holds a program against.

    The unit is in each name because these keys are read from and written to files.
    `0` for a temperature or a speed means that the machine has no such part.
    """

    envelope_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the lowest reachable corner
    nozzle_max_c: float = 0.0
    bed_max_c: float = 0.0
    nozzle_mm: float = 0.0
    filament_mm: float = 0.0
    spindle_max_rpm: float = 0.0
    feed_max_mm_min: tuple[float, float, float] = (12000.0, 12000.0, 600.0)
    acceleration_mm_s2: tuple[float, float, float] = (1000.0, 1000.0, 100.0)
    junction_deviation_mm: float = 0.013
    jerk_mm_s: float = 0.0  # above 0: classic jerk instead of junction deviation
    # Of Z and of the extruder; 0: as X and Y, or not limited.
    z_jerk_mm_s: float = 0.0
    extruder_jerk_mm_s: float = 0.0
    extruder_feed_max_mm_min: float = 0.0
    extruder_acceleration_mm_s2: float = 0.0
    # Along the path, as M204 has them: P, T and R (the filament alone); 0: as X.
    print_acceleration_mm_s2: float = 0.0
    travel_acceleration_mm_s2: float = 0.0
    retract_acceleration_mm_s2: float = 0.0
    planner_blocks: int = 16
    # Boxes no cut may reach into: six numbers each, in machine coordinates.
    keep_out_mm: tuple[float, ...] = ()
    # What slicers call it; "": files for any model pass. And what a laser may burn; (): all but
    # what none may (`domain/burning.py`).
    model: str = ""
    materials: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values, tuples as lists."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            # Words that nobody said are left out, so that they change no hash.
            if value or key not in _WORDS
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> MachineLimits:
        """Read what `to_json` wrote.

        :raises KeyError: naming a key that is not a limit.
        """
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise KeyError(key)
        return cls(
            **{
                key: tuple(str(part) if key in _WORDS else float(part) for part in value)
                if isinstance(value, list)
                else value
                for key, value in values.items()
            }  # type: ignore[arg-type]
        )

    def sha256(self) -> str:
        """Return the hash that binds a preflight record to these very limits."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
