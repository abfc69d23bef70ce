"""Heavy or untrusted work in a niced child process with limits, so that a bad file is a finding.

The node calls `run_worker`; the child is `jobs.services.worker`. Nothing here reads a mesh, a
manifest or a program, and nothing here imports numpy: the node stays small.

The child is started first; it confines itself and loads what its task needs while its files are
copied for it, and opens them once its standard input ends.

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
import select
import shutil
import signal
import site
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from jobs.domain.preflight import LARGEST_PROGRAM_BYTES, Finding, FindingCode, Severity

MIB: Final = 1024 * 1024
_POLL_S: Final = 0.05  # how often a child is looked at where its end cannot be waited for
_WEIGH_S: Final = 0.5  # how often its folder is weighed
# Without `site` an interpreter starts in a third of the time; what it would have found is told.
_START: Final = (
    "import sys; sys.path += sys.argv.pop(1).split(chr(10));"
    " from jobs.services.worker import main; main(sys.argv[1:])"
)
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
    PHOTO = "photo"  # a photograph written anew: photo.jpg
    CALENDAR = "calendar"  # the entries of an .ics file
    SHEET = "sheet"  # a day sheet: sheet.pdf
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
    Task.PHOTO: WorkerLimits(memory_bytes=768 * MIB, cpu_s=20, wall_s=60.0, file_bytes=16 * MIB),
    Task.CALENDAR: WorkerLimits(memory_bytes=512 * MIB, cpu_s=30, wall_s=60.0),
    Task.SHEET: WorkerLimits(memory_bytes=512 * MIB, cpu_s=30, wall_s=90.0, file_bytes=16 * MIB),
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
        _prepare(folder, task, files_in, held)
        with _started(folder, command) as child:
            _furnish(folder, request, files_in)
            stopped = _wait(child, folder, held, started)
        answer = _read_result(folder, child.returncode, held, stopped)
        if answer.ok and outputs is not None:
            answer = _hand_over(folder / "out", outputs, answer, held)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(answer, wall_s=time.monotonic() - started)


@functools.cache
def namespaces_available() -> bool:
    """Tell whether a child gets user and network namespaces here (for the health page)."""
    probe = subprocess.run(  # one short child; the answer cannot change while we live
        [*_command(), "--probe"],
        env=_environment(Path(tempfile.gettempdir())),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return probe.returncode == 0


def _prepare(folder: Path, task: Task, files_in: Mapping[str, Path], limits: WorkerLimits) -> None:
    """Write what a child needs to know to hold itself."""
    for name in files_in:
        if name != Path(name).name or name in {"", ".", ".."}:
            raise ValueError(f"not a plain file name: {name!r}")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    words = {"task": task.value, "limits": limits.to_json()}
    (folder / "limits.json").write_text(json.dumps(words), encoding="utf-8")


def _furnish(folder: Path, request: Mapping[str, object], files_in: Mapping[str, Path]) -> None:
    for name, source in files_in.items():
        # A copy, not a link: a worker that writes into its input must not reach the library.
        shutil.copyfile(source, folder / "in" / name)
    words = {"request": dict(request), "files": list(files_in)}
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


def _command() -> list[str]:
    """Return how the child is called: isolated from this user's folders and environment."""
    # Our own code in a checkout lies outside the interpreter's folders.
    paths = dict.fromkeys([*site.getsitepackages(), str(Path(__file__).parents[2])])
    return [sys.executable, "-I", "-S", "-c", _START, "\n".join(paths)]


@contextlib.contextmanager
def _started(folder: Path, command: Sequence[str] | None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child; at the end it and all its children are gone."""
    with (folder / "words.txt").open("wb") as words:
        child = subprocess.Popen(
            command or _command(),
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            start_new_session=True,  # a group of its own, so that its children die with it
        )
    try:
        yield child
    finally:
        # Always, also after a good end: a grandchild may still be running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        _let_go(child)


def _let_go(child: subprocess.Popen[bytes]) -> None:
    """End the child's standard input, for which it waits."""
    assert child.stdin is not None
    child.stdin.close()


def _wait(
    child: subprocess.Popen[bytes], folder: Path, limits: WorkerLimits, started: float
) -> Failure | None:
    """Let the child work and wait for its end; return why it has to be stopped, if it has."""
    _let_go(child)
    weigh_at = started + _WEIGH_S
    with contextlib.ExitStack() as stack:
        end = _end_of(child, stack)
        while not _has_ended(child.pid):
            now = time.monotonic()
            if now - started > limits.wall_s:
                return Failure.WALL
            if now >= weigh_at:
                weigh_at = now + _WEIGH_S
                if _weight_bytes(folder) > limits.folder_bytes:
                    return Failure.OUTPUT
            elif end is None:
                time.sleep(_POLL_S)
            else:
                left = min(weigh_at, started + limits.wall_s) - now
                end.poll(max(left, 0.0) * 1000.0 + 1.0)
    return None


def _end_of(child: subprocess.Popen[bytes], stack: contextlib.ExitStack) -> select.poll | None:
    """Return what wakes up when the child ends; None where the kernel (before 5.3) has it not."""
    try:
        handle = os.pidfd_open(child.pid)
    except OSError:
        return None
    stack.callback(os.close, handle)
    end = select.poll()
    end.register(handle, select.POLLIN)
    return end


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
