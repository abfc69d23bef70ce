"""Heavy or untrusted work in a niced child process with limits, so that a bad file is a finding.

The node calls `run_worker`; the child is `python -m jobs.services.worker`. Nothing here reads a
mesh, a manifest or a program, and nothing here imports numpy: the node stays small.

How a child is held:

- a private folder that is deleted afterwards; only regular files of its `out/` are handed over;
- rlimits on address space, CPU, file size, open files and core dumps, which the child sets on
  itself before it imports anything of ours, and a nice value;
- user and network namespaces of its own where the kernel allows them;
- Landlock where the kernel has it: no file but those of its folder and the system's programs, so
  that neither the database nor the keys can be read;
- a wall clock, the size of its folder and its whole process group are watched from here;
- an environment of a few fixed words: no secret of the node is inherited.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from jobs.domain.preflight import LARGEST_PROGRAM_BYTES, Finding, FindingCode, Severity

MIB: Final = 1024 * 1024
_POLL_S: Final = 0.05  # how often a child is looked at; a slice takes seconds
_WEIGH_S: Final = 0.5  # how often its folder is weighed
_DETAIL_CHARS: Final = 500


class Task(StrEnum):
    """What a worker can be asked for; `jobs.services.worker` holds one function for each."""

    INSPECT = "inspect"  # a mesh or a program: what is it, what is wrong with it
    COPY = "copy"  # a mesh repaired, scaled, turned: copy.stl
    PICTURE = "picture"  # pictures of a mesh or of a program for one machine
    PREPARE = "prepare"  # a program for one machine: stream file, index, report, findings
    SLICE = "slice"  # a mesh and a recipe: program.gcode
    PLACE = "place"  # a stream and a controller's offsets: what stands in its way
    RESUME = "resume"  # the rest of a stream from a line on: the same, with what comes before it
    MANIFEST = "manifest"  # a design's manifest: what it says, what can be printed, which licence


class Failure(StrEnum):
    """Why a worker gave no result."""

    MEMORY = "memory"
    CPU = "cpu"
    WALL = "wall"
    OUTPUT = "output"  # more bytes or files than allowed, or something that is no plain file
    SIGNAL = "signal"  # died of something else
    ERROR = "error"  # our own code met a file it did not expect
    UNREADABLE = "unreadable"  # the file is not what it says it is
    SLICER = "slicer"  # the slicer said no, or is not installed


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a child may use.

    :param memory_bytes: address space of each process. Reading a mesh maps 320 MiB before the
        first triangle (libraries); PrusaSlicer sliced the corpus within 400 MiB.
    """

    memory_bytes: int = 1024 * MIB
    cpu_s: int = 60
    wall_s: float = 90.0
    open_files: int = 256
    file_bytes: int = 512 * MIB  # of any one file it writes
    folder_bytes: int = 1024 * MIB  # of all it keeps in its folder, inputs included
    output_files: int = 16
    result_bytes: int = 4 * MIB
    niceness: int = 10

    def to_json(self) -> dict[str, object]:
        """Return what the child needs to know to hold itself."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_s": self.cpu_s,
            "open_files": self.open_files,
            "file_bytes": self.file_bytes,
            "niceness": self.niceness,
        }


# The largest program has some twenty million lines, which a desktop reads in twenty seconds and
# a Raspberry Pi in two minutes; with stream, index and times it fills its folder three times.
_LARGEST: Final = WorkerLimits(
    memory_bytes=2048 * MIB,
    cpu_s=300,
    wall_s=450.0,
    file_bytes=LARGEST_PROGRAM_BYTES + MIB,
    folder_bytes=4 * LARGEST_PROGRAM_BYTES,
)
LIMITS: Final[Mapping[Task, WorkerLimits]] = {
    Task.INSPECT: _LARGEST,
    Task.COPY: WorkerLimits(memory_bytes=2048 * MIB, cpu_s=120, wall_s=180.0),
    Task.PICTURE: WorkerLimits(memory_bytes=2048 * MIB, cpu_s=60, wall_s=120.0, output_files=64),
    Task.PREPARE: _LARGEST,
    Task.PLACE: WorkerLimits(memory_bytes=2048 * MIB, cpu_s=120, wall_s=180.0),
    Task.RESUME: _LARGEST,
    Task.SLICE: WorkerLimits(memory_bytes=2048 * MIB, cpu_s=600, wall_s=900.0),
    Task.MANIFEST: WorkerLimits(memory_bytes=512 * MIB, cpu_s=20, wall_s=30.0),
}


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """What came of it: a result, or the reason why there is none.

    :param outputs: the files it made, by name, in the folder the caller named.
    :param isolated: it ran in namespaces of its own.
    :param confined: it could open no file of the node.
    :param detail: developer's words about a failure, at most 500 characters.
    """

    ok: bool
    result: Mapping[str, object]
    outputs: Mapping[str, Path]
    failure: Failure | None = None
    detail: str = ""
    isolated: bool = False
    confined: bool = False
    wall_s: float = 0.0

    def finding(self) -> Finding | None:
        """Return the failure as a finding on the file, None if there was none."""
        match self.failure:
            case None:
                return None
            case Failure.UNREADABLE:
                code = FindingCode.UNREADABLE
            case Failure.SLICER:
                code = FindingCode.SLICER_FAILED
            case _:
                return Finding(
                    FindingCode.WORKER_DIED,
                    Severity.BLOCK,
                    fields={"reason": self.failure.value},
                )
        return Finding(code, Severity.BLOCK, fields={"reason": self.detail})


def run_worker(
    task: Task,
    request: Mapping[str, object],
    files_in: Mapping[str, Path],
    *,
    outputs: Path | None = None,
    limits: WorkerLimits | None = None,
    work_root: Path | None = None,
    command: Sequence[str] | None = None,
) -> WorkerResult:
    """Run one task in a child and wait for it. Never raises for what a file contains.

    :param files_in: plain file names (their endings matter) and where to copy them from.
    :param outputs: folder that receives the files made; None throws them away.
    :param work_root: where the private folder is made; the system's temporary folder if None.
    :param command: another child than our own, for tests.
    """
    held = limits or LIMITS[task]
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="fabnode-", dir=work_root))
    try:
        _furnish(folder, task, request, files_in, held)
        code, stopped = _wait(_spawn(folder, command), folder, held, started)
        answer = _read_result(folder, code, held, stopped)
        if answer.ok and outputs is not None:
            answer = _hand_over(folder / "out", outputs, answer, held)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(answer, wall_s=time.monotonic() - started)


@functools.cache
def namespaces_available() -> bool:
    """Tell whether a child gets user and network namespaces here (for the health page)."""
    probe = subprocess.run(  # one short child; the answer cannot change while we live
        [sys.executable, "-I", "-m", "jobs.services.worker", "--probe"],
        env=_environment(Path(tempfile.gettempdir())),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return probe.returncode == 0


def _furnish(
    folder: Path,
    task: Task,
    request: Mapping[str, object],
    files_in: Mapping[str, Path],
    limits: WorkerLimits,
) -> None:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for name, source in files_in.items():
        if name != Path(name).name or name in {"", ".", ".."}:
            raise ValueError(f"not a plain file name: {name!r}")
        # A copy, not a link: a worker that writes into its input must not reach the library.
        shutil.copyfile(source, folder / "in" / name)
    words = {
        "task": task.value,
        "request": dict(request),
        "files": list(files_in),
        "limits": limits.to_json(),
    }
    (folder / "request.json").write_text(json.dumps(words), encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        # One thread each: OpenBLAS and glibc reserve address space per thread and per core.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _spawn(folder: Path, command: Sequence[str] | None) -> subprocess.Popen[bytes]:
    with (folder / "words.txt").open("wb") as words:
        return subprocess.Popen(
            command or [sys.executable, "-I", "-m", "jobs.services.worker"],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,  # a group of its own, so that its children die with it
        )


def _wait(
    child: subprocess.Popen[bytes], folder: Path, limits: WorkerLimits, started: float
) -> tuple[int, Failure | None]:
    """Wait for the end, or make one. Return the exit code and why we stopped it, if we did."""
    stopped: Failure | None = None
    weigh_at = started + _WEIGH_S
    try:
        while stopped is None and not _has_ended(child.pid):
            now = time.monotonic()
            if now - started > limits.wall_s:
                stopped = Failure.WALL
            elif now >= weigh_at:
                weigh_at = now + _WEIGH_S
                if _weight_bytes(folder) > limits.folder_bytes:
                    stopped = Failure.OUTPUT
            else:
                time.sleep(_POLL_S)
    finally:
        # Always, also after a good end: a grandchild may still be running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
    return code, stopped


def _has_ended(pid: int) -> bool:
    # WNOWAIT: until it is reaped, nobody else can get its number, and the group kill is safe.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _weight_bytes(folder: Path) -> int:
    total = 0
    for root, _dirs, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except FileNotFoundError:
                continue  # it is being written while we look
    return total


def _read_result(
    folder: Path, code: int, limits: WorkerLimits, stopped: Failure | None
) -> WorkerResult:
    if stopped is not None:
        return _failed(stopped, "stopped by the watcher")
    raw = _read_bounded(folder / "result.json", limits.result_bytes)
    if raw is None:
        return _failed(_cause(code), _last_words(folder))
    try:
        values = json.loads(raw)
        isolated, confined = bool(values["isolated"]), bool(values["confined"])
        if not values["ok"]:
            failed = _failed(Failure(values["failure"]), str(values["detail"]))
            return replace(failed, isolated=isolated, confined=confined)
        result = values["result"]
        if not isinstance(result, dict):
            return _failed(Failure.OUTPUT, "the result is no object")
        return WorkerResult(True, result, {}, isolated=isolated, confined=confined)
    except (ValueError, KeyError, TypeError, RecursionError):
        return _failed(Failure.OUTPUT, "the result cannot be read")


def _failed(failure: Failure, detail: str) -> WorkerResult:
    return WorkerResult(False, {}, {}, failure, detail[-_DETAIL_CHARS:])


def _cause(code: int) -> Failure:
    match -code:
        case signal.SIGXCPU | signal.SIGKILL:
            return Failure.CPU  # SIGKILL is the hard CPU limit: the watcher's own is known
        case signal.SIGXFSZ:
            return Failure.OUTPUT
        case number if number > 0:
            return Failure.SIGNAL
        case _:
            return Failure.ERROR


def _read_bounded(path: Path, limit_bytes: int) -> bytes | None:
    """Read a small plain file that a stranger wrote; None if it is missing or anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        raw = file.read(limit_bytes + 1)
    return raw if len(raw) <= limit_bytes else None


def _last_words(folder: Path) -> str:
    raw = _read_bounded(folder / "words.txt", MIB) or b""
    return raw.decode("utf-8", "replace").strip()[-_DETAIL_CHARS:]


def _hand_over(
    made: Path, outputs: Path, answer: WorkerResult, limits: WorkerLimits
) -> WorkerResult:
    """Move the plain files of *made* to *outputs*; anything else there is refused whole."""
    names: dict[str, Path] = {}
    for entry in sorted(made.iterdir()):
        about = entry.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            return _failed(Failure.OUTPUT, f"not a plain file: {entry.name}")
        names[entry.name] = entry
    if len(names) > limits.output_files:
        return _failed(Failure.OUTPUT, f"{len(names)} files")
    outputs.mkdir(parents=True, exist_ok=True)
    handed = {name: outputs / name for name in names}
    for name, entry in names.items():
        shutil.move(entry, handed[name])
    return replace(answer, outputs=handed)
