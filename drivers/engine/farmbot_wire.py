"""FarmBot's lines on the wire: one at a time, read back, and asked after if no answer comes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from drivers.dialects import farmbot, farmbot_lines
from drivers.engine.base import StreamEngine
from drivers.flow import Line
from drivers.profile import FirmwareProfile
from drivers.snapshot import Phase

ASK = b"F82"  # where it is: moves nothing, and is answered even while it is locked
_LAST_Q = 9999
_ASKS_MAX = 3
_HELLO_S = 2.0  # for the answer to the first question [s]
# Steps are 0.2 mm at the coarsest, and R82 has two decimals [mm].
_NEAR = 0.21
# What has an effect again each time. Nothing is ever sent twice; but of these an unheard end
# cannot be proven by asking either, for a board that has restarted answers as well.
_LASTING = frozenset({"F44", "F11", "F12", "F13", "F14", "F15", "F16"})


@dataclass(slots=True)
class Owed:
    """The command that has gone out and is not answered.

    :param text: as it went, without its newline.
    :param target: where it brings the axes [mm]; None if it is no move.
    :param before: where they were when it went; empty if unknown.
    """

    line: Line
    q: int
    text: str
    target: dict[str, float] | None
    before: dict[str, float]
    is_read_back: bool = False
    is_begun: bool = False
    is_placed: bool = False  # it has told a place
    is_over: bool = False  # answered, but a question is still on its way
    homed: str = ""


class FarmBotWire(StreamEngine):
    """What goes out, and which answer belongs to what."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._owed: Owed | None = None
        self._question: int | None = None  # its Q
        self._is_asked = False  # a question is to be sent
        self._asks = 0
        self._q = 0
        self._is_dirty = True  # bytes may stand in its line buffer
        self._is_locked = False
        self._is_configured = True
        self._settings_told = {"homes_axes": True}
        self._pause_due = False
        self._stops = 0
        self._unheard = 0  # bytes sent since it last said anything: its ring may hold them all
        self._trouble = ""
        self._aborts = False  # a person has ended what moves by hand

    @abstractmethod
    def _settled(self, owed: Owed, now: float) -> None:
        """A command is over; go on."""

    @abstractmethod
    def _lost(self, owed: Owed, now: float) -> None:
        """Whether a command was executed cannot be known."""

    @abstractmethod
    def _garbled(self, owed: Owed, text: str, now: float) -> None:
        """A command was read back otherwise than it was sent."""

    @abstractmethod
    def _rest(self) -> None:
        """Nothing is owed and nothing waits."""

    # -- out --------------------------------------------------------------------------------

    def data_to_send(self, now: float) -> bytes:
        """Return bytes of the ordinary lane that fit the firmware; the caller writes all."""
        if self._is_asked:
            self._is_asked = False
            self._question = self._next_q()
            self._after("answer", self._profile.answer_s, now)
            return self._counted(b"%s Q%d\n" % (ASK, self._question))
        while self._owed is None and (line := self._next(now)) is not None:
            if out := self._put(line, now):
                return out
        return b""

    def _next(self, now: float) -> Line | None:
        if self._extras:
            return self._extras.popleft()
        if self._phase is not Phase.STREAMING:
            return None
        line = self._next_of_program()
        if line is None:
            self._rest()  # a program whose last lines were empty
            return None
        if self._too_long(line, now):
            return None
        return self._take_of_program()

    def _put(self, line: Line, now: float) -> bytes:
        """Return the bytes of *line*; none if it is not one that may be sent."""
        text = farmbot_lines.spaced(line.text)
        q = self._next_q()
        wire = b"" if text is None else b"%s Q%d" % (text, q)
        if not wire or len(wire) + 2 > self._profile.rx_bytes:
            if line.place >= 0:
                self._fail("machine.refused", line.place, _readable(line.text), now)
            else:
                self._note("machine.refused", _readable(line.text))
            return b""
        target = farmbot_lines.destination(line.text)
        self._owed = Owed(line, q, wire.decode(), target, dict(self._position))
        self._question, self._asks = None, 0
        patience = _HELLO_S if self._phase is Phase.CONNECTING else self._profile.answer_s
        self._after("answer", patience, now)
        newline = b"\n" if self._is_dirty else b""
        self._is_dirty = False
        return self._counted(newline + wire + b"\n")

    def _counted(self, data: bytes) -> bytes:
        self._unheard += len(data)
        return data

    def _fits(self, size: int) -> bool:
        """Tell whether its ring can hold *size* bytes more though it reads nothing."""
        return self._unheard + size <= self._profile.rx_bytes

    def _next_q(self) -> int:
        self._q = self._q % _LAST_Q + 1
        return self._q

    def _forget(self) -> None:
        self._owed = self._question = None
        self._is_asked = False
        self._extras.clear()
        self._timers.pop("answer", None)

    # -- in ---------------------------------------------------------------------------------

    def _read_back(self, text: str, now: float) -> None:
        owed = self._owed
        if owed is None or not text.strip("@ "):
            return  # what stood in its line buffer before
        if text == owed.text:
            owed.is_read_back = True
            self._patient(now)
        elif self._question is not None and text == f"{ASK.decode()} Q{self._question}":
            self._patient(now)
        elif self._phase is not Phase.CONNECTING:
            self._garbled(owed, text, now)

    def _sign_of_life(
        self, reply: farmbot.Begun | farmbot.Running | farmbot.Homed, now: float
    ) -> None:
        owed = self._owed
        if owed is None or owed.q != reply.q:
            return
        owed.is_begun = True
        if isinstance(reply, farmbot.Homed):
            owed.homed += reply.axis
        self._patient(now)

    def _place_heard(self, q: int, now: float) -> None:
        owed = self._owed
        if owed is None:
            return
        if q == owed.q or q == self._question:
            owed.is_placed = True
            self._patient(now)

    def _patient(self, now: float) -> None:
        """Something was heard of what is owed: the clock begins anew."""
        if self._owed is not None:
            expected = self._expected_time(self._owed.line)
            self._after("answer", self._profile.answer_s + expected, now)

    def _finished(self, q: int, now: float) -> None:
        owed = self._owed
        if owed is None:
            return
        if q == self._question:
            self._question = None
            if owed.is_over or self._is_proven(owed):
                self._answer_found(owed, now)
            else:
                self._lost(owed, now)
        elif q == owed.q:
            if owed.line.place >= 0 and not owed.is_read_back and not self._is_there(owed):
                self._lost(owed, now)  # it did something, but who knows what
            elif self._question is not None or self._is_asked:
                self._is_asked = False
                owed.is_over = True
                if self._question is None:
                    self._settled(owed, now)
            else:
                self._settled(owed, now)

    def _answer_found(self, owed: Owed, now: float) -> None:
        if not owed.is_over:
            self._link.lost += 1
            self._note("machine.answer_lost", owed.text)
        self._settled(owed, now)

    def _idle(self, now: float) -> None:
        """It says that it does nothing: so the answer to what it had begun was lost."""
        owed = self._owed
        if owed is None or self._question is not None or owed.is_over:
            return
        if owed.is_read_back or owed.is_begun:
            self._ask(now)

    def _ask(self, now: float) -> None:
        self._asks += 1
        self._is_asked = True
        self._after("answer", self._profile.answer_s, now)

    def _unanswered(self, now: float) -> None:
        owed = self._owed
        if owed is None:
            return
        if owed.is_over:
            # The question came while it moved, and was thrown away.
            self._settled(owed, now)
        elif self._phase is Phase.CONNECTING or self._asks >= _ASKS_MAX:
            self._lost(owed, now)
        elif owed.is_read_back or owed.is_begun:
            self._ask(now)
        else:
            # Not read back: it may stand in the line buffer, where a question would end it.
            self._lost(owed, now)

    def _is_proven(self, owed: Owed) -> bool:
        """Tell whether *owed* was executed, now that a later question is answered."""
        if self._phase in (Phase.CANCELLING, Phase.CONNECTING) or owed.line.place < 0:
            return True
        if owed.target is not None:
            return self._is_there(owed)
        word = farmbot_lines.commands(owed.line.text)[0]
        stayed = not owed.before or owed.before == self._position
        return owed.is_read_back and owed.is_begun and word not in _LASTING and stayed

    def _is_there(self, owed: Owed) -> bool:
        if owed.target is None or not owed.is_placed:
            return False
        return all(
            axis in self._position and abs(self._position[axis] - at) <= _NEAR
            for axis, at in owed.target.items()
        )


def _readable(text: bytes) -> str:
    return text.decode("ascii", "replace")[:100]
