"""Seeded misfortune: what goes wrong on the line and on the board, and when.

Each fault is one word `NAME=VALUE`; :data:`FAULTS` says what each means.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable

from drivers.errors import SimulatorError

FAULTS = {
    "lost-ok": "probability that an answer is lost",
    "lost-ok-at": "the number of the answer that is lost, counted from 1",
    "corrupt-in": "probability that a byte towards the board has one bit flipped",
    "corrupt-out": "probability that a byte from the board has one bit flipped",
    "drop-in": "probability that a byte towards the board is lost",
    "drop-out": "probability that a byte from the board is lost",
    "resend-burst": "how many times each Resend is said",
    "reset-at-line": "the executed line after which the board restarts",
    "silence-at-line": "the executed line after which the board says and does nothing more",
    "thermistor-at-line": "the executed line after which a thermometer reads open (Marlin)",
    "heater-at-line": "the executed line after which the nozzle's heater has fallen out (Marlin)",
    "stuck-at-line": "the executed line after which its thermometer is stuck (Marlin)",
    "runaway-at-line": "the executed line after which its heater cannot be switched off (Marlin)",
    "limit-at-line": "the executed line after which a limit switch closes (Grbl)",
    "jam-at-line": "the line in which an axis does not arrive in time (FarmBot)",
    "unplug-at-line": "the executed line after which the port goes away",
    "hand-at-line": "the executed line after which a person heats the nozzle by hand (Marlin)",
    "replug-at-line": "the executed line after which the port goes and returns as another",
}
_AT_LINE = [name.removesuffix("-at-line") for name in FAULTS if name.endswith("-at-line")]
_CHANCES = {"lost-ok", "corrupt-in", "corrupt-out", "drop-in", "drop-out"}


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

    def loses_answer(self) -> bool:
        self._answers += 1
        if self._answers == self._number.get("lost-ok-at"):
            return True
        chance = self._chance["lost-ok"]
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
