"""A worker is held: whatever it does, the node gets a value."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.domain.preflight import FindingCode
from jobs.services.workers import (
    Failure,
    Task,
    WorkerLimits,
    WorkerResult,
    namespaces_available,
    run_worker,
)

SMALL = WorkerLimits(
    memory_bytes=300 * 1024 * 1024,
    cpu_s=1,
    wall_s=20.0,
    file_bytes=1024 * 1024,
    folder_bytes=8 * 1024 * 1024,
)
CHILD = """
import os, signal, socket, subprocess, sys, time
from pathlib import Path
from jobs.services import worker
def task(request, files, out):
{body}
worker.TASKS[worker.Task.INSPECT] = task
worker.main([])
"""


def run(
    body: str,
    limits: WorkerLimits = SMALL,
    files: dict[str, Path] | None = None,
    outputs: Path | None = None,
) -> WorkerResult:
    lines = "\n".join("    " + line for line in body.splitlines())
    return run_worker(
        Task.INSPECT,
        {"n": 3},
        files or {},
        limits=limits,
        outputs=outputs,
        command=[sys.executable, "-I", "-c", CHILD.format(body=lines)],
    )


def test_a_result_comes_back_and_the_private_folder_is_gone():
    answer = run("return {'cwd': os.getcwd(), 'n': request['n']}")
    assert answer.ok
    assert answer.failure is None
    assert answer.finding() is None
    assert answer.result["n"] == 3
    assert not Path(str(answer.result["cwd"])).exists()


def test_a_child_inherits_no_secret_and_no_open_file(monkeypatch, tmp_path):
    monkeypatch.setenv("FABNODE_SECRET", "s3cret")
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        answer = run("return {'env': dict(os.environ), 'fds': os.listdir('/proc/self/fd')}")
    assert "s3cret" not in str(answer.result["env"])
    assert len(answer.result["fds"]) <= 4


def test_too_much_memory_is_a_failure_named_memory():
    answer = run("return {'n': len(bytearray(2**30))}")
    assert answer.failure is Failure.MEMORY
    finding = answer.finding()
    assert finding is not None
    assert (finding.code, finding.fields) == (FindingCode.WORKER_DIED, {"reason": "memory"})


def test_too_much_cpu_is_a_failure_named_cpu():
    assert run("while True: pass").failure is Failure.CPU


def test_a_sleeper_is_ended_by_the_wall_clock_with_all_its_children():
    limits = WorkerLimits(wall_s=0.7)
    mark = f"50.{os.getpid()}"
    answer = run(f"subprocess.Popen(['sleep', '{mark}'])\ntime.sleep(50)", limits)
    assert answer.failure is Failure.WALL
    assert answer.wall_s < 10
    assert not [pid for pid in _sleepers(mark) if not _is_gone(pid)]


def test_a_grandchild_left_behind_dies_after_a_good_end():
    answer = run("return {'pid': subprocess.Popen(['sleep', '50']).pid}")
    assert answer.ok
    assert _is_gone(int(str(answer.result["pid"])))


def _sleepers(mark: str) -> list[int]:
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark in words.read_text():
                found.append(int(words.parent.name))
    return found


def _is_gone(pid: int) -> bool:
    for _ in range(50):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_file_that_grows_past_the_limit_is_a_failure():
    answer = run("(out / 'big').write_bytes(bytes(2**21))\nreturn {}")
    assert answer.failure in {Failure.ERROR, Failure.OUTPUT}


def test_many_files_past_the_folder_limit_stop_the_child():
    answer = run("for n in range(40): (out / str(n)).write_bytes(bytes(2**20 - 1))\ntime.sleep(50)")
    assert answer.failure is Failure.OUTPUT


def test_a_huge_result_is_refused():
    limits = WorkerLimits(result_bytes=1000)
    assert run("return {'x': 'y' * 5000}", limits).failure is not None


def test_a_result_that_is_a_link_or_nonsense_is_refused(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"ok": true, "isolated": true, "confined": true, "result": {}}')
    link = run(f"os.symlink({str(secret)!r}, 'result.json')\nos._exit(0)")
    assert not link.ok
    assert not run("Path('result.json').write_text('[')\nos._exit(0)").ok
    assert not run("Path('result.json').write_text('[' * 100000)\nos._exit(0)").ok


def test_only_plain_files_are_handed_over(tmp_path):
    good = run("(out / 'a.txt').write_text('a')\nreturn {}", outputs=tmp_path / "good")
    assert good.outputs == {"a.txt": tmp_path / "good" / "a.txt"}
    assert (tmp_path / "good" / "a.txt").read_text() == "a"
    for number, body in enumerate(
        ["os.symlink('/etc/passwd', out / 'x')", "(out / 'd').mkdir()", "os.mkfifo(out / 'p')"]
    ):
        bad = run(body + "\nreturn {}", outputs=tmp_path / str(number))
        assert bad.failure is Failure.OUTPUT
        assert not (tmp_path / str(number)).exists()


def test_writing_into_an_input_does_not_reach_the_original(tmp_path):
    original = tmp_path / "part.stl"
    original.write_bytes(b"precious")
    answer = run(
        "files['part.stl'].write_bytes(b'spoiled')\nreturn {}", files={"part.stl": original}
    )
    assert answer.ok
    assert original.read_bytes() == b"precious"


def test_a_file_name_with_a_path_in_it_is_our_own_bug(tmp_path):
    with pytest.raises(ValueError, match="plain file name"):
        run("return {}", files={"../x": tmp_path})


def test_a_file_that_cannot_be_copied_leaves_no_child_and_no_folder_behind(tmp_path):
    (tmp_path / "work").mkdir()
    mark = f"51.{os.getpid()}"
    with pytest.raises(FileNotFoundError):
        run_worker(
            Task.INSPECT,
            {},
            {"a": tmp_path / "none"},
            work_root=tmp_path / "work",
            command=["sleep", mark],
        )
    assert not [pid for pid in _sleepers(mark) if not _is_gone(pid)]
    assert not list((tmp_path / "work").iterdir())


def test_the_end_is_seen_also_where_the_kernel_tells_nobody(monkeypatch):
    def unknown(pid: int) -> int:
        raise OSError(pid)

    monkeypatch.setattr(os, "pidfd_open", unknown)
    assert run("return {}").ok


def test_a_crash_is_a_value_with_the_last_words():
    answer = run("os.kill(os.getpid(), signal.SIGSEGV)")
    assert answer.failure is Failure.SIGNAL
    answer = run("raise ValueError('odd triangle')")
    assert (answer.failure, "odd triangle" in answer.detail) == (Failure.ERROR, True)


def test_a_child_has_no_network_where_namespaces_exist():
    answer = run("return {'cards': [name for _, name in socket.if_nameindex()]}")
    assert answer.isolated == namespaces_available()
    if answer.isolated:
        assert answer.result["cards"] == ["lo"]


def test_a_child_can_neither_read_nor_write_the_node_s_files_where_landlock_exists(tmp_path):
    key, trace = tmp_path / "node.key", tmp_path / "trace"
    key.write_text("s3cret")
    answer = run(
        "found = {'read': True, 'wrote': True, 'listed': True}\n"
        f"try: Path({str(key)!r}).read_text()\n"
        "except PermissionError: found['read'] = False\n"
        f"try: Path({str(trace)!r}).write_text('x')\n"
        "except PermissionError: found['wrote'] = False\n"
        f"try: os.listdir({str(tmp_path)!r})\n"
        "except PermissionError: found['listed'] = False\n"
        "return found"
    )
    expected = not answer.confined
    assert answer.result == {"read": expected, "wrote": expected, "listed": expected}
    assert trace.exists() == expected


def test_a_grandchild_is_confined_too(tmp_path):
    (tmp_path / "node.key").write_text("s3cret")
    answer = run(
        f"done = subprocess.run(['cat', {str(tmp_path / 'node.key')!r}], capture_output=True)\n"
        "return {'said': done.stdout.decode()}"
    )
    assert answer.result["said"] == ("" if answer.confined else "s3cret")


def test_a_child_cannot_signal_its_parent_where_landlock_can_forbid_it():
    answer = run(
        "try: os.kill(os.getppid(), 0)\n"
        "except PermissionError: return {'reached': False}\n"
        "return {'reached': True}"
    )
    assert answer.ok
    if answer.result["reached"]:
        pytest.skip("Landlock before version 6")


def test_a_child_is_nicer_than_its_parent():
    assert run("return {'nice': os.nice(0)}").result["nice"] == min(19, os.nice(0) + 10)


def test_the_node_side_imports_nothing_heavy():
    code = (
        "import sys, jobs.services.workers;"
        "print([m for m in ('numpy', 'trimesh', 'scipy', 'yaml', 'license_expression')"
        " if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
