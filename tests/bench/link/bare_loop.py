"""The least that a host must do: select, read, count the answers, write.

No checks, no resend, no events, no progress: what a sender costs above this is what it does
for its user. Prints JSON as the others do.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import termios
import tty
from pathlib import Path

WINDOW_BYTES = 127


def main() -> None:
    path, port = sys.argv[1:3]
    lines = []
    for number, text in enumerate([b"M110 N0", *Path(path).read_bytes().splitlines()]):
        body = b"N%d %s" % (number, text)
        total = 0
        for byte in body:
            total ^= byte
        lines.append(b"%s*%d\n" % (body, total))
    wire = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(wire)
    flags = termios.tcgetattr(wire)
    flags[2] &= ~termios.HUPCL
    termios.tcsetattr(wire, termios.TCSANOW, flags)
    before = _processor_s()
    sent = answered = under_way = 0
    partial = b""
    while answered < len(lines):
        out = []
        while sent < len(lines) and (not under_way or under_way + len(lines[sent]) <= WINDOW_BYTES):
            out.append(lines[sent])
            under_way += len(lines[sent])
            sent += 1
        if out:
            os.write(wire, b"".join(out))
        select.select([wire], [], [])
        *answers, partial = (partial + os.read(wire, 4096)).split(b"\n")
        for answer in answers:
            if answer.startswith(b"ok"):
                under_way -= len(lines[answered])
                answered += 1
    used = _processor_s() - before
    print(json.dumps({"result": "done", "processor_us_per_line": used / len(lines) * 1e6}))


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
