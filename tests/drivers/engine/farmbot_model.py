"""A small FarmBot for tests: one command at a time, and what arrives meanwhile is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

KNOWN = ("G00", "G28", "F09", "F11", "F12", "F13", "F21", "F41", "F42", "F44", "F82", "F83")


class FarmBotModel:
    """Moves last `lasts` seconds; idle it reports every `period` seconds.

    :param spoil_in: what becomes of a received byte string.
    :param spoil_out: what becomes of a line it says: the lines that are heard instead.
    """

    def __init__(self, lasts: float = 0.5, period: float = 5.0) -> None:
        self.lasts, self.period = lasts, period
        self.spoil_in: Callable[[bytes], bytes] = lambda data: data
        self.spoil_out: Callable[[str], list[str]] = lambda line: [line]
        self.executed: list[str] = []
        self.locks = 0
        self.locked = False
        self.mute = False
        self.configured = True
        self.place = [0.0, 0.0, 0.0]
        self.ends_with: dict[str, str] = {}  # a command's text: "R03 V2" or the like
        self._line = bytearray()
        self._out: list[bytes] = []
        self._q = 0
        self._now = self._heard_at = 0.0
        self._run: Iterator[float] | None = None
        self._wake = 0.0
        self._ears = ""
        self._ends = False

    def write(self, data: bytes, now: float) -> None:
        self.step(now)
        for byte in self.spoil_in(data):
            self._heard_at = now
            if self._run is not None:
                if self._ends:
                    if byte in b"Ee":
                        self._ears = "E"
                    elif byte in b"@":
                        self._ears = "@"
                    self.step(now)
                continue
            if byte in b"Ee":
                self._lock()
            elif byte == 10:
                text, self._line = self._line.decode("latin-1"), bytearray()
                if text:
                    self._take(text)
            else:
                self._line.append(byte)

    def step(self, now: float) -> None:
        self._now = now
        while self._run is not None and (self._wake <= now or self._ears):
            try:
                self._wake = max(self._wake, 0.0) + next(self._run)
            except StopIteration:
                self._run = None
                self._heard_at = now
        if self._run is None and now - self._heard_at > self.period:
            self._heard_at = now
            self._say(f"{'R87' if self.locked else 'R00'} Q{self._q}")
            self._say(self._where())

    def read(self, now: float) -> bytes:
        self.step(now)
        out, self._out = b"".join(self._out), []
        return b"" if self.mute else out

    def restart(self, *, says: bool = True) -> None:
        self._run, self._line, self._q = None, bytearray(), 0
        self.locked = False
        self.place = [0.0, 0.0, 0.0]
        if says:
            self._say("R99 Serial connection started")
            self._say("R99 ARDUINO STARTUP COMPLETE")

    def _say(self, line: str) -> None:
        self._out += [f"{text}\r\n".encode("latin-1") for text in self.spoil_out(line)]

    def _where(self) -> str:
        return "R82 X{:.2f} Y{:.2f} Z{:.2f} Q{}".format(*self.place, self._q)

    def _lock(self) -> None:
        self.locked = True
        self.locks += 1

    def _take(self, text: str) -> None:
        self._say(f"R08 *{text}*")
        words = text.split()
        self._q = 0
        if not words or words[0][:1] not in "GF":
            self._say("R09 Q0")
            return
        given = {word[0]: word[1:] for word in words[1:]}
        self._q = int(given.pop("Q", "0") or 0) if given.get("Q", "0").isdigit() else 0
        head = words[0].replace("G0", "G00") if words[0] == "G0" else words[0]
        if self.locked and head not in ("F09", "F20", "F21", "F22", "F81", "F82", "F83"):
            self._say(f"R87 Q{self._q}")
        elif head == "G00" and not self.configured:
            self._say(f"R88 Q{self._q}")
        elif head not in KNOWN:
            self._say(f"R09 Q{self._q}")
        else:
            bare = " ".join(word for word in words if not word.startswith("Q"))
            self._run = self._execute(head, given, bare)
            self._wake = self._now

    def _execute(self, head: str, given: dict[str, str], text: str) -> Iterator[float]:
        self._say(f"R01 Q{self._q}")
        end = self.ends_with.get(text, "R02")
        match head:
            case "G00" | "G28" | "F11" | "F12" | "F13":
                self._ends = True
                start, ticks = list(self.place), 5
                to = [_number(given.get(axis, "0")) for axis in "XYZ"]
                for tick in range(1, ticks + 1):
                    yield self.lasts / ticks
                    if self._ears:
                        break
                    share = tick / ticks
                    self.place = [a + (b - a) * share for a, b in zip(start, to, strict=True)]
                    self._say(f"R04 Q{self._q}")
                self._ends = False
                if self._ears:
                    self._say(f"{'R87' if self._ears == 'E' else 'R86'} Q{self._q}")
                    end = "R03 V1" if self._ears == "E" else "R03 V5"
                    if self._ears == "E":
                        self._lock()
                    self._ears = ""
                elif head[0] == "F":
                    self._say(f"R{head[1:]} Q{self._q}")
                self._say(self._where())
            case "F44":
                yield _number(given.get("T", "0")) / 1000.0
            case "F82":
                self._say(self._where())
            case "F83":
                self._say(f"R83 6.6.23.R.test Q{self._q}")
            case "F21":
                self._say(f"R21 P2 V{int(self.configured)} Q{self._q}")
            case "F42":
                self._say(f"R41 P13 V0 Q{self._q}")
            case "F09":
                self.locked = False
        self.executed.append(text)
        self._say(f"{end} Q{self._q}")
        self._q = 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
