"""The journal is exact after a kill, keeps what is not acknowledged, and stays small."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.journal import MAX_RUN_FACTS, Journal
from drivers.mark import Progress


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    return Journal(folder)


def test_facts_are_kept_over_a_restart_until_they_are_acknowledged(folder):
    journal = Journal(folder)
    journal.begin("r1", "run_started", {"program": "abc"}, 1)
    journal.record("paused", {}, 2)
    journal.record("finished", {"acked": 7}, 3, ends=True)
    journal = reopened(journal, folder)
    assert [(f.run, f.seq, f.kind) for f in journal.facts()] == [
        ("r1", 1, "run_started"),
        ("r1", 2, "paused"),
        ("r1", 3, "finished"),
    ]
    assert [f.seq for f in journal.facts("r1", 2)] == [3]
    assert journal.ack("r1", 2)
    assert not journal.ack("r1", 2)
    journal = reopened(journal, folder)
    assert [f.seq for f in journal.facts()] == [3]
    assert journal.open_run is None
    journal.close()


def test_an_open_run_is_found_again_with_its_program_and_progress(folder):
    journal = Journal(folder)
    journal.begin("r1", "run_started", {"program": "abc"}, 1)
    far = Progress("r1", 10, 13, 100, 17, 230)
    journal.advance(far)
    journal.ack("r1", 1)
    journal = reopened(journal, folder)
    assert journal.open_run is not None
    assert (journal.open_run.run, journal.open_run.seq) == ("r1", 1)
    assert journal.progress == far
    fact = journal.record("interrupted", {}, 6, ends=True)
    assert fact is not None
    assert fact.seq == 2
    assert journal.progress is None
    assert journal.last_run == "r1"
    journal.close()


def test_nothing_is_kept_outside_a_run_and_no_two_runs_are_open(folder):
    journal = Journal(folder)
    assert journal.record("attention", {}, 1) is None
    journal.begin("r1", "run_started", {}, 1)
    for name in ("r2", "", "x" * 65):
        with pytest.raises(ValueError, match=f"^{name}$"):
            journal.begin(name, "run_started", {}, 1)
    journal.close()


def test_a_run_keeps_a_bounded_number_of_facts_and_always_its_end(folder):
    journal = Journal(folder)
    journal.begin("r1", "run_started", {}, 1)
    told = [journal.record("attention", {"text": "x" * 9000}, 2) for _ in range(300)]
    assert sum(fact is not None for fact in told) == MAX_RUN_FACTS - 1
    assert journal.record("failed", {}, 3, ends=True) is not None
    assert (folder / "journal.jsonl").stat().st_size < 64 * 1024
    journal.close()


def test_when_nobody_acknowledges_the_journal_says_that_it_is_full(folder, monkeypatch):
    monkeypatch.setattr("drivers.journal.MAX_FACTS", 60)
    journal = Journal(folder)
    runs = 0
    while not journal.is_full and runs < 100:
        journal.begin(f"r{runs}", "run_started", {}, 1)
        journal.record("finished", {}, 2, ends=True)
        runs += 1
    assert journal.is_full
    assert len(journal.facts()) <= 60
    journal.close()


def test_the_file_stays_small_over_many_acknowledged_runs(folder):
    journal = Journal(folder, compact_bytes=4096)
    journal.begin("open", "run_started", {"program": "abc"}, 1)
    journal.record("cancelled", {}, 1, ends=True)
    for number in range(80):
        journal.begin(f"r{number}", "run_started", {"program": "abc"}, 1)
        journal.record("finished", {}, 2, ends=True)
        journal.ack(f"r{number}", 2)
        assert (folder / "journal.jsonl").stat().st_size <= 4096 + 2048
    journal = reopened(journal, folder)
    assert [(f.run, f.seq) for f in journal.facts()] == [("open", 1), ("open", 2)]
    journal.close()


def test_an_open_run_survives_the_shortening_of_the_file(folder):
    journal = Journal(folder, compact_bytes=200)
    journal.begin("r1", "run_started", {"program": "abc"}, 1)
    for seq in range(2, 30):
        journal.record("attention", {}, seq)
        journal.ack("r1", seq)
    journal = reopened(journal, folder)
    assert journal.open_run is not None
    assert journal.open_run.seq == 29
    assert journal.open_run.fields == {"program": "abc"}
    journal.close()


ACTIONS = st.lists(
    st.one_of(
        st.just(("begin",)),
        st.just(("attention",)),
        st.just(("finished",)),
        st.tuples(st.just("ack"), st.integers(0, 5), st.integers(0, 6)),
    ),
    max_size=25,
)


def play(journal: Journal, actions) -> None:
    runs = 0
    for action in actions:
        if action[0] == "begin" and journal.open_run is None:
            runs += 1
            journal.begin(f"r{runs}", "run_started", {}, runs)
        elif action[0] == "attention":
            journal.record("attention", {"text": "door"}, 1)
        elif action[0] == "finished":
            journal.record("finished", {}, 1, ends=True)
        elif action[0] == "ack":
            journal.ack(f"r{action[1]}", action[2])


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, keep=st.floats(0, 1), garbage=st.binary(max_size=60))
def test_any_torn_or_garbage_tail_is_read_as_a_valid_prefix(actions, keep, garbage):
    """Whatever a power cut left: what is read was written, in order, once; and it can go on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder)
        play(journal, actions)
        journal.close()
        path = folder / "journal.jsonl"
        whole = path.read_bytes()
        cut = int(len(whole) * keep)
        path.write_bytes(whole[:cut] + garbage)
        prefix = whole[: whole.rfind(b"\n", 0, cut) + 1]

        with tempfile.TemporaryDirectory() as other:
            (Path(other) / "journal.jsonl").write_bytes(prefix)
            wanted = Journal(Path(other))
            torn = Journal(folder)
            assert torn.facts() == wanted.facts()
            assert torn.open_run == wanted.open_run
            assert path.read_bytes()[: len(prefix)] == prefix
            wanted.close()
        if torn.open_run is None:
            torn.begin("after", "run_started", {}, 1)
        end = torn.record("interrupted", {}, 2, ends=True)
        kept = torn.facts()
        torn = reopened(torn, folder)
        assert torn.facts() == kept
        assert kept[-1] == end
        seqs: dict[str, int] = {}
        for fact in torn.facts():
            assert fact.seq > seqs.get(fact.run, 0)
            seqs[fact.run] = fact.seq
        torn.close()


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS.filter(len), place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_bit_that_fell_over_never_changes_what_is_read(actions, place, bit):
    """The line that holds it ends the file; no wrong number is ever believed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder)
        journal.begin("r0", "run_started", {"total": 111}, 1)
        journal.record("finished", {"acked": 111}, 2, ends=True)
        play(journal, actions)
        journal.close()
        path = folder / "journal.jsonl"
        data = bytearray(path.read_bytes())
        spot = int(len(data) * place)
        data[spot] ^= 1 << bit
        path.write_bytes(data)
        prefix = bytes(data[: data.rfind(b"\n", 0, spot) + 1])
        journal = Journal(folder)
        journal.close()
        assert path.read_bytes() == prefix


@given(torn=st.binary(max_size=140))
@settings(deadline=None)
def test_a_torn_slot_leaves_the_one_before(torn):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder)
        journal.begin("r1", "run_started", {}, 1)
        journal.advance(Progress("r1", 1, 2, 9))
        journal.sync(10.0)
        journal.advance(Progress("r1", 2, 3, 9))
        journal.close()
        with (folder / "progress.bin").open("r+b") as file:
            slots = file.read()
            turns = [int.from_bytes(slots[at + 4 : at + 12], "little") for at in (0, 512)]
            file.seek(512 * turns.index(max(turns)))
            file.write(torn)
        journal = Journal(folder)
        assert journal.progress in (Progress("r1", 1, 2, 9), Progress("r1", 2, 3, 9))
        journal.advance(Progress("r1", 5, 6, 9))
        journal = reopened(journal, folder)
        assert journal.progress == Progress("r1", 5, 6, 9)
        journal.close()


KILLED = """
import drivers.disk
if "HOW" == "on the disk":
    drivers.disk.lasting = lambda folder, size: None
import sys
from pathlib import Path
from drivers.journal import Journal
from drivers.mark import Progress
journal = Journal(Path(sys.argv[1]))
journal.begin("r1", "run_started", {}, 1)
"""
ADVANCED = """
for count in range(1, 10**7):
    journal.advance(Progress("r1", count, count + 3, 10**7))
    print(count, flush=True)
"""
ON_THE_LANE = """
for first in range(1, 10**7, 60):
    steps = [(n, n + 3, n, n) for n in range(first, first + 60)]
    word, base = journal.expect("r1", 10**7, steps)
    for n in range(60):
        word[0] = base + n
        print(first + n, flush=True)
"""


@pytest.mark.parametrize("how", ["advanced", "on the lane", "on the disk"])
def test_progress_is_exact_after_sigkill(folder, how):
    script = KILLED.replace("HOW", how) + (ON_THE_LANE if how == "on the lane" else ADVANCED)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        for _ in range(500):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().splitlines()
    seen = int(lines[-1]) if lines and lines[-1].isdecimal() else 500
    journal = Journal(folder)
    assert journal.progress is not None
    assert seen <= journal.progress.acked <= seen + 1
    assert journal.progress.sent == journal.progress.acked + 3
    journal.close()


def test_a_full_disk_costs_no_earlier_fact_and_begins_no_run(folder, monkeypatch):
    journal = Journal(folder)
    journal.begin("r1", "run_started", {}, 1)
    real = os.write

    def full(file, data):
        real(file, bytes(data)[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("drivers.journal.os.write", full)
        with pytest.raises(OSError, match="space"):
            journal.record("finished", {}, 2, ends=True)
    journal.close()
    copy = Path(shutil.copytree(folder, folder / "copy"))
    journal = Journal(copy)
    assert journal.discarded_bytes == 0
    assert [fact.kind for fact in journal.facts()] == ["run_started"]
    journal.record("interrupted", {}, 3, ends=True)
    with monkeypatch.context() as patched:
        patched.setattr("drivers.journal.os.write", full)
        with pytest.raises(OSError, match="space"):
            journal.begin("r2", "run_started", {}, 4)
    assert journal.open_run is None
    assert journal.last_run == "r1"
    journal.close()


def test_a_disk_that_fills_while_the_file_is_shortened_costs_nothing(folder, monkeypatch):
    journal = Journal(folder, compact_bytes=100)
    journal.begin("r1", "run_started", {"program": "abc"}, 1)
    journal.record("attention", {"text": "x" * 300}, 2)
    journal.record("attention", {}, 3)

    def full(path, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("drivers.journal.Path.replace", full)
        with pytest.raises(OSError, match="space"):
            journal.ack("r1", 2)
    journal.record("paused", {}, 4)
    journal = reopened(journal, folder)
    assert [(fact.kind, fact.seq) for fact in journal.facts()] == [("attention", 3), ("paused", 4)]
    journal.close()
