"""Seeded misfortune: what goes wrong on the line and on the board, and when.

Each fault is one word `NAME=VALUE`; :data:`FAULTS` says what each means.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable
from typing import NamedTuple

from drivers.errors import SimulatorError

FAULTS = {
    "lost-ok": "probability that an answer is lost",
    "lost-ok-at": "the number of the answer that is lost, counted from 1",
    "doubled-ok": "probability that an answer is said twice",
    "doubled-ok-at": "the number of the answer that is said twice",
    "merged-ok": "probability that an answer loses its newline, so that the next text sticks to it",
    "merged-ok-at": "the number of the answer that loses its newline",
    "late-ok": "probability that an answer, and all that follows, comes 2 to 10 s later",
    "late-ok-at": "the number of the answer that comes so late",
    "corrupt-in": "probability that a byte towards the board has one bit flipped",
    "corrupt-out": "probability that a byte from the board has one bit flipped",
    "drop-in": "probability that a byte towards the board is lost",
    "drop-out": "probability that a byte from the board is lost",
    "resend-burst": "how many times each Resend is said (Marlin)",
    "resend-without-ok": "probability that the ok after a Resend is not said (Marlin)",
    "reset-at-line": "the executed line after which the board restarts",
    "brownout-at-line": "the executed line after which it restarts and says nothing of it",
    "silence-at-line": "the executed line after which the board says and does nothing more",
    "stall-at-line": "the executed line after which it takes no byte for 20 s",
    "busy-at-line": "the line that takes 20 minutes longer",
    "alarm-at-s": "the second in which the board stops itself, whatever it does just then",
    "thermistor-at-line": "the executed line after which a thermometer reads open (Marlin)",
    "heater-at-line": "the executed line after which the nozzle's heater has fallen out (Marlin)",
    "stuck-at-line": "the executed line after which its thermometer is stuck (Marlin)",
    "runaway-at-line": "the executed line after which its heater cannot be switched off (Marlin)",
    "limit-at-line": "the executed line after which a limit switch closes (Grbl)",
    "door-at-line": "the executed line after which the safety door opens (Grbl)",
    "door-for-s": "for how many seconds it then stands open; without: 5",
    "jam-at-line": "the line in which an axis does not arrive in time (FarmBot)",
    "unplug-at-line": "the executed line after which the port goes away",
    "hand-at-line": "the executed line after which a person heats the nozzle by hand (Marlin)",
    "replug-at-line": "the executed line after which the port goes and returns as another",
}
BUSY_S = 1200.0
STALL_S = 20.0
BROWNOUT_S = 3.0  # of silence: longer than any board takes to boot
_AT_LINE = [name.removesuffix("-at-line") for name in FAULTS if name.endswith("-at-line")]
_OF_ANSWERS = ("lost-ok", "doubled-ok", "merged-ok", "late-ok")
_CHANCES = {*_OF_ANSWERS, "resend-without-ok", "corrupt-in", "corrupt-out", "drop-in", "drop-out"}


class Fate(NamedTuple):
    """What becomes of one answer.

    :param late: by how much it is held up, with all that follows [s].
    """

    is_lost: bool = False
    is_doubled: bool = False
    is_merged: bool = False
    late: float = 0.0


class Faults:
    """The misfortunes of one run, the same for the same seed.

    :raises SimulatorError: for an unknown name or a value out of range.

    >>> Faults(["lost-ok=0.5", "reset-at-line=10"], seed=1).at_line(10)
    ['reset']
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._chance = dict.fromkeys(_CHANCES, 0.0)
        self._number: dict[str, int] = {}
        self._random = random.Random(seed)
        self._answers = 0
        for spec in specs:
            name, _, value = spec.partition("=")
            self._set(spec, name, value)

    def _set(self, spec: str, name: str, value: str) -> None:
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, 1)
            if near:
                raise SimulatorError("simulator.unknown-fault-near", name=name, nearest=near[0])
            raise SimulatorError("simulator.unknown-fault", name=name, known=", ".join(FAULTS))
        try:
            number = float(value)
        except ValueError as error:
            raise SimulatorError("simulator.fault-number", fault=spec) from error
        if name in _CHANCES:
            if not 0.0 <= number <= 1.0:
                raise SimulatorError("simulator.fault-chance", fault=spec)
            self._chance[name] = number
        else:
            if number < 1 or number != int(number):
                raise SimulatorError("simulator.fault-count", fault=spec)
            self._number[name] = int(number)

    @property
    def resends(self) -> int:
        return self._number.get("resend-burst", 1)

    def incoming(self, data: bytes) -> bytes:
        return self._spoil(data, self._chance["drop-in"], self._chance["corrupt-in"])

    def outgoing(self, data: bytes) -> bytes:
        return self._spoil(data, self._chance["drop-out"], self._chance["corrupt-out"])

    @property
    def door_s(self) -> float:
        """For how long the safety door stands open [s]."""
        return float(self._number.get("door-for-s", 5))

    @property
    def alarm_at(self) -> float | None:
        """When the board stops itself [s]; None: never."""
        at = self._number.get("alarm-at-s")
        return None if at is None else float(at)

    def answer(self) -> Fate:
        """Return what becomes of the next answer."""
        self._answers += 1
        lost, doubled, merged, late = (self._befalls(name) for name in _OF_ANSWERS)
        return Fate(lost, doubled, merged, 2.0 + 8.0 * self._random.random() if late else 0.0)

    def loses_resend_ok(self) -> bool:
        return self._happens("resend-without-ok")

    def _befalls(self, name: str) -> bool:
        return self._answers == self._number.get(f"{name}-at") or self._happens(name)

    def _happens(self, name: str) -> bool:
        chance = self._chance[name]
        return bool(chance) and self._random.random() < chance

    def at_line(self, count: int) -> list[str]:
        """What befalls the board once it has executed `count` lines since power on."""
        return [word for word in _AT_LINE if self._number.get(f"{word}-at-line") == count]

    def _spoil(self, data: bytes, drop: float, flip: float) -> bytes:
        if not drop and not flip:
            return data
        out = bytearray()
        for byte in data:
            if self._random.random() < drop:
                continue
            if self._random.random() < flip:
                out.append(byte ^ 1 << self._random.randrange(8))
            else:
                out.append(byte)
        return bytes(out)
