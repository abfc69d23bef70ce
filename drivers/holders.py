"""Who has a port open: told by /proc and lock files, never by opening the port."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_UUCP_LOCKS = Path("/run/lock")  # LCK..ttyUSB0 holds a process id: minicom, cu and the like
_LOCK_MAX = 64  # bytes of such a file that are read
_HOST = "drivers.host"
_PTMX = frozenset({"/dev/ptmx", "/dev/pts/ptmx"})

# What people call the programs that take serial ports; by a word of their command line.
KNOWN = {
    "fabnode": "fabnode",
    "octoprint": "OctoPrint",
    "modemmanager": "ModemManager",
    "brltty": "brltty",
    "klippy.py": "Klipper",
    "prusalink": "PrusaLink",
    "repetierserver": "Repetier-Server",
    "repetier-server": "Repetier-Server",
    "cncjs": "CNCjs",
    "bcnc": "bCNC",
    "ugsplatform": "Universal G-code Sender",
    "pronterface": "Pronterface",
    "pronterface.py": "Pronterface",
    "cura": "Cura",
    "minicom": "minicom",
    "screen": "screen",
    "picocom": "picocom",
}
_RUNS_OTHERS = ("python", "node", "java", "sh", "bash", "env")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open.

    :param name: what people call the program.
    :param machine: slug of the machine whose host it is, "" for any other program.
    """

    pid: int
    name: str
    machine: str = ""

    @property
    def label(self) -> str:
        """Return what to call the holder.

        >>> Holder(7, "OctoPrint").label, Holder(8, "fabnode", "anna").label
        ('OctoPrint', 'fabnode anna')
        """
        return f"{self.name} {self.machine}".strip()

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"pid": self.pid, "name": self.name, "machine": self.machine}


def holders(ports: list[str], proc: Path = _PROC, locks: Path = _UUCP_LOCKS) -> dict[str, Holder]:
    """Return who holds each of *ports*, as far as this user may see; free ones are left out.

    Descriptors are seen of our own user's processes only, advisory locks of everybody's.
    """
    wanted = {_real(port): port for port in ports}  # real path: the name it was asked by
    found: dict[str, Holder] = {}
    # Locks first: of several that have it open, the one with the lock keeps the others out.
    files = {number: port for port in ports if (number := _file_number(Path(port)))}
    for pid, number in _flocks(proc):
        if number in files and pid != os.getpid():
            found.setdefault(files[number], describe(pid, proc))
    for pid, target in _open_files(proc):
        if target in wanted and pid != os.getpid():
            found.setdefault(wanted[target], describe(pid, proc))
    for real, port in wanted.items():
        pid = _uucp_lock(locks / f"LCK..{Path(real).name}")
        if pid and (proc / str(pid)).is_dir():
            found.setdefault(port, describe(pid, proc))
    return found


def holder(port: str) -> Holder | None:
    """Return who holds *port*, None where nobody is seen to."""
    return holders([port]).get(port)


def describe(pid: int, proc: Path = _PROC) -> Holder:
    """Return what a process is called.

    An interpreter is called by what it runs; a machine host by its machine.
    """
    words = _words(proc / str(pid) / "cmdline")
    if _HOST in words:
        file = Path(words[-1])
        return Holder(pid, "fabnode", file.parent.name if file.name == "host.json" else "?")
    if "-m" in words and words[words.index("-m") + 1 :][:1] == ["node"]:
        return Holder(pid, "fabnode")
    for word in words:
        name = Path(word).name.lower()
        if name in KNOWN:
            return Holder(pid, KNOWN[name])
    programs = [Path(word).name for word in words if word and not word.startswith("-")]
    for name in programs:
        if not name.startswith(_RUNS_OTHERS):
            return Holder(pid, name[:40])
    return Holder(pid, _comm(proc / str(pid)) or "?")


def _open_files(proc: Path) -> Iterator[tuple[int, str]]:
    for process in proc.glob("[0-9]*"):
        files = set()
        with contextlib.suppress(OSError):  # another user's, or gone meanwhile
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    files.add(str(link.readlink()))
        # Who made a pseudo-terminal is the machine at its end (Klipper, a simulator), no host.
        is_machine = not _PTMX.isdisjoint(files)
        for file in files:
            if not (is_machine and file.startswith("/dev/pts/")):
                yield int(process.name), file


def _flocks(proc: Path) -> Iterator[tuple[int, str]]:
    """Yield process and file of every advisory lock: pyserial takes one for an exclusive port."""
    try:
        lines = (proc / "locks").read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[4].isdecimal():
            yield int(words[4]), words[5]


def _file_number(port: Path) -> str:
    """Return device and inode as /proc/locks writes them."""
    try:
        found = port.stat()
    except OSError:
        return ""
    return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"


def _real(port: str) -> str:
    try:
        return str(Path(port).resolve())
    except (OSError, RuntimeError):  # links that lead round in a circle
        return port


def _uucp_lock(file: Path) -> int:
    """Return the process that a lock file names; some write their own name behind it.

    Anybody may put a file there: it is read no further than a lock can be long, and a pipe not
    waited for.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return 0
    try:
        text = os.read(descriptor, _LOCK_MAX).decode("ascii", "replace")
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    first = text.split()[:1]
    return int(first[0]) if first and first[0].isdecimal() else 0


def _words(file: Path) -> list[str]:
    try:
        return [word for word in file.read_text("utf-8", "replace").split("\0") if word]
    except OSError:
        return []


def _comm(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
