"""A halt in a Grbl's program (M0): what it has the person told, and their word to go on."""

from __future__ import annotations

import re

from drivers.dialects import grbl
from drivers.engine.grbl_beam import GrblBeam
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Phase, Prompted, Replied

_HALT = re.compile(rb"(M *0*[01][ PS\d.]*?) *\(([^()]*)\)", re.IGNORECASE)
_STALE = 1.0  # a report of the hold that was answered may come so late [s]


class GrblHalts(GrblBeam):
    """Asks the person where the program halts; a comment behind the M0 is the question.

    The controller holds by itself and says no more than that it does; its own button ends it, too.
    """

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._words: dict[int, str] = {}  # of halts that are read ahead or on the wire, by place
        self._replied_at = now - _STALE

    def answer(self, number: int, choice: int, now: float) -> bool:
        """Carry a person's *go on* to the controller; False if that halt is not open."""
        prompt = self._prompting.open
        is_open = prompt is not None and prompt.number == number and choice == 0
        if prompt is None or not is_open or self._phase is not Phase.STREAMING:
            return False
        self._cycle_start()
        self._soon(now)
        self._events.append(Replied(number, prompt.text, ""))
        self._replied_at = now
        self._prompting.close()
        return True

    def _line(self, text: bytes, part: Part, index: int = -1) -> Line:
        found = _HALT.fullmatch(text) if b"(" in text else None
        if found is not None and index >= 0:
            text = found[1]
            # Those of halts that are over go when the next one comes: no answer has to look.
            left = {at: said for at, said in self._words.items() if at >= self._acked}
            self._words = {**left, index: found[2].decode("ascii", "replace")}
        return super()._line(text, part, index)

    def _look_at_halt(self, status: grbl.Status) -> None:
        """Take in a report while the program streams."""
        line = self._flow.oldest
        halts = status.state == "Hold" and status.detail in (0, None) and line is not None
        if not halts or line is None or not self._is_halt(line):
            self._prompting.close()
        elif self._heard_at - self._replied_at >= _STALE:
            prompt = self._prompting.waits(self._words.get(line.place, ""))
            if prompt is not None:
                self._events.append(Prompted(prompt))

    def _is_halt(self, line: Line) -> bool:
        words = () if line.is_plain else self._dialect.commands(line.text)
        return "M0" in words or "M1" in words

    def _program_over(self) -> None:
        self._words.clear()
        self._prompting.close()
        super()._program_over()
