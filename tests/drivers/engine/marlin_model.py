"""A small Marlin for tests: ring, numbers, checksums and a line that loses and damages bytes."""

from __future__ import annotations

import random


class Lines:
    """A program in memory; line i of it is line i + 1 of the file."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, index: int) -> bytes:
        return self.lines[index]

    def source_line(self, index: int) -> int:
        return index + 1


class MarlinModel:
    """Takes a line from its ring and answers it, one each `step`."""

    def __init__(
        self, ring: int = 128, seed: int = 0, damage: float = 0.0, lose_ok: float = 0.0
    ) -> None:
        self.ring = ring
        self.random = random.Random(seed)
        self.damage = damage
        self.damaged = False
        self.lose_ok = lose_ok
        self.received = b""
        self.overflowed = False
        self.last = 0
        self.executed: list[bytes] = []
        self.out = bytearray()
        self.halted = False

    def write(self, data: bytes) -> None:
        for byte in data:
            if byte == 10:
                self.damaged = False
            # Two flips of the same bit in one line cancel out in an XOR: no host can know.
            if not self.damaged and self.random.random() < self.damage:
                byte ^= 1 << self.random.randrange(7)
                self.damaged = True
            if len(self.received) >= self.ring - 1:
                self.overflowed = True
            else:
                self.received += bytes([byte])

    def step(self) -> bytes:
        line, newline, rest = self.received.partition(b"\n")
        if newline and not self.halted:
            self.received = rest
            self.take(line.strip())
        out, self.out = bytes(self.out), bytearray()
        return out

    def take(self, line: bytes) -> None:
        if not line:
            return None
        if line.startswith(b"N"):
            body, star, check = line.rpartition(b"*")
            number, text = self._parts(body)
            value = 0
            for byte in body:
                value ^= byte
            if not star:
                return self.refuse("No Checksum with line number")
            if not text.startswith(b"M110") and number != b"%d" % (self.last + 1):
                if number.isdigit() and int(number) <= self.last:
                    return None
                return self.refuse("Line Number is not Last Line Number+1")
            if not check.strip().isdigit() or int(check) != value:
                return self.refuse("checksum mismatch")
            self.last = 0 if text.startswith(b"M110") else int(number)
            line = text
        self.execute(line)
        return None

    def _parts(self, body: bytes) -> tuple[bytes, bytes]:
        """Return number and command of a numbered line; a blank between them is no must."""
        command = body[1:].lstrip(b"0123456789")
        return body[1 : len(body) - len(command)], command.strip(b" ")

    def refuse(self, why: str) -> None:
        self.received = b""
        self.out += f"Error:{why}, Last Line: {self.last}\nResend: {self.last + 1}\nok\n".encode()

    def execute(self, line: bytes) -> None:
        if line == b"M112":
            self.halted = True
            self.out += b"Error:Printer halted. kill() called!\n"
            return
        if line == b"M115":
            self.out += b"FIRMWARE_NAME:Marlin test SOURCE_CODE_URL:x\nCap:AUTOREPORT_TEMP:0\n"
        answer = b"ok\n"
        if line == b"M114":
            self.out += b"X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\n"
        elif line == b"M105":
            answer = b"ok T:20.00 /0.00 B:20.00 /0.00 @:0 B@:0\n"
        elif line[:1] not in b"GM" or not line[1:2].isdigit():
            self.out += b'echo:Unknown command: "%s"\n' % line
        else:
            self.executed.append(line)
        if self.random.random() >= self.lose_ok:
            self.out += answer
