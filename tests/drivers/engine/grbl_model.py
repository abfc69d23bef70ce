"""A small Grbl for tests: its ring, its realtime bytes and one answer a step."""

from __future__ import annotations


class GrblModel:
    """Realtime bytes at once, one line each `step`; a line on EEPROM loses what waits behind."""

    def __init__(self, ring: int = 128) -> None:
        self.ring, self.received, self.out = ring, b"", bytearray()
        self.overflowed = False
        self.eeprom_not_alone = False
        self.executed: list[bytes] = []
        self.state, self.position = "Idle", "MPos:1.000,2.000,3.000"
        self.refuse: dict[bytes, int] = {}
        self.resets = 0
        self.mute = False

    def write(self, data: bytes) -> None:
        for byte in data:
            match byte:
                case 0x3F:
                    self.out += f"<{self.state}|{self.position}|FS:0,0>\r\n".encode()
                case 0x21:
                    self.state = "Hold:0"
                case 0x7E:
                    self.state = "Idle"
                case 0x18:
                    self.resets += 1
                    self.received, self.state = b"", "Idle"
                    self.out += b"\r\nGrbl 1.1h ['$' for help]\r\n"
                case _:
                    self.overflowed |= len(self.received) >= self.ring - 1
                    self.received += bytes([byte])

    def step(self) -> bytes:
        line, newline, rest = self.received.partition(b"\n")
        if newline and not self.state.startswith("Hold"):
            self.received = rest
            if line == b"$I":
                self.out += b"[VER:1.1h.20190830:]\r\n[OPT:V,15,%d]\r\n" % self.ring
            elif line:
                self.executed.append(line)
                self.eeprom_not_alone |= b"G10" in line and bool(rest)
            code = self.refuse.get(line, 0)
            self.out += b"error:%d\r\n" % code if code else b"ok\r\n"
        out, self.out = bytes(self.out), bytearray()
        return b"" if self.mute else out
