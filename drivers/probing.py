"""`python -m drivers.probing PORT`: ask the board at one port who it is, in a process of its own.

It prints one JSON object: `{"ok": true, …}` with what was learned, or `{"ok": false, "code",
"fields"}`. Whoever waits for it may end it at any time; it holds nothing but the port.
`--wanted FILE` takes `port` and `id` from that file instead, removes it, and writes the object
with the same `id` into `probe.answer` beside it: for a node that may open no port itself.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import DriverError, PortError
from drivers.holders import holder
from drivers.probe import LONGEST_S, Probe, Probed

if TYPE_CHECKING:
    from drivers.transport import Transport

PATIENCE_S = LONGEST_S + 10.0  # with the child, its start included
_KILLED = 2.0  # for the end of a child that was killed [s]
_PAUSE = 0.05  # after a change of the rate, for converters [s]


def probe_port(port: str) -> Probed:
    """Open *port* and ask; opening may reset the board.

    :raises PortError: `port.busy_by` without opening if another program is seen to hold it,
        what `open_transport` raises, `port.silent` if nothing was heard at any rate,
        `port.noise` if what was heard could not be understood.
    """
    if not port.startswith("socket://") and (who := holder(port)) is not None:
        raise PortError("port.busy_by", port=port, holder=who.label, pid=who.pid)
    from drivers.transport import open_transport  # who only waits for the child needs none of it

    transport = open_transport(port, Probe(0.0).baud)
    try:
        return _ask(transport, port, time.monotonic)
    finally:
        transport.close()


def probe_in_child(port: str, patience: float = PATIENCE_S) -> Probed:
    """Do the same in a child process that is ended after *patience* [s].

    :raises PortError: as `probe_port`; `port.probe_hung` if the child had to be ended.
    """
    argv = [sys.executable, "-m", "drivers.probing", port]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, said = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired as error:
        child.kill()
        # One that hangs within the kernel does not end before its driver lets go of it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=_KILLED)
        raise PortError("port.probe_hung", port=port) from error
    complaint = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["?"]
    return understood(out, port, complaint[0][:200])


def understood(text: bytes, port: str, complaint: str = "?") -> Probed:
    """Read the object that this program writes.

    :param complaint: why there may be none.
    :raises PortError: what it names, or `port.refused`.
    """
    try:
        said = json.loads(text)
        if said["ok"] is True:
            return from_json(said)
        raise PortError(str(said["code"]), **said["fields"])
    except (ValueError, KeyError, TypeError) as error:
        raise PortError("port.refused", port=port, problem=complaint) from error


def from_json(values: dict[str, object]) -> Probed:
    """Read what `Probed.to_json` wrote.

    :raises KeyError: if a value is missing.
    """
    text = values["text"]
    return Probed(
        int(str(values["baud"])),
        str(values["dialect"]),
        str(values["firmware"]),
        str(values["version"]),
        str(values["uuid"]),
        str(values["machine_type"]),
        str(values["info"]),
        tuple(str(line) for line in text) if isinstance(text, list) else (),
    )


def _ask(transport: Transport, port: str, clock: Callable[[], float]) -> Probed:
    probe = Probe(clock())
    baud, pending = probe.baud, b""
    until = clock() + LONGEST_S + 5.0
    while not probe.is_over and clock() < until:
        now = clock()
        select.select([transport.fileno()], [], [], max(0.0, min(probe.deadline() - now, 1.0)))
        probe.receive(transport.read(), clock())
        if probe.baud != baud and not probe.is_over:
            baud = probe.baud
            transport.set_baud(baud)
            time.sleep(_PAUSE)
        pending += probe.data_to_send()
        pending = pending[transport.write(pending) :] if pending else b""
    if probe.result is None:
        raise PortError("port.noise" if probe.heard_bytes else "port.silent", port=port)
    return probe.result


def main(arguments: list[str]) -> int:
    """Probe one port and print what was learned; return the exit code."""
    match arguments:
        case ["--wanted", file]:
            return _answer_wish(Path(file))
        case [port]:
            said = _say(port)
            sys.stdout.write(json.dumps(said) + "\n")
            return 0 if said["ok"] else 1
    sys.stderr.write("usage: python -m drivers.probing PORT | --wanted FILE\n")
    return 2


def _say(port: str) -> dict[str, object]:
    try:
        return {"ok": True, **probe_port(port).to_json()}
    except DriverError as error:
        return {"ok": False, "code": error.code, "fields": dict(error.fields)}


def _answer_wish(file: Path) -> int:
    try:
        wish = json.loads(file.read_bytes())
    except FileNotFoundError:
        return 0  # withdrawn meanwhile
    except ValueError:
        wish = {}
    file.unlink(missing_ok=True)
    wish = wish if isinstance(wish, dict) else {}
    said = {**_say(str(wish.get("port", ""))), "id": wish.get("id")}
    beside = file.with_name("probe.answer.new")
    beside.write_text(json.dumps(said) + "\n", "utf-8")
    beside.replace(file.with_name("probe.answer"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
