"""After a power cut a journal opens, says nothing wrong, and lacks at most the last second."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.journal import COMPACT_BYTES, SYNC_EVERY_S, Journal
from drivers.mark import Progress
from tests.drivers.cut_disk import CutDisk

FOLDER = Path("journal")
STEP = 0.1  # between two things that happen [s]

WORDS = ("begin", "advance", "lane", "fact", "pause", "end", "ack", "kill", "cut", "quiet")
WEIGHTS = (3, 6, 6, 4, 1, 2, 4, 1, 1, 1)


@pytest.fixture(scope="module", autouse=True)
def a_disk_that_is_quick():
    """A busy computer must not make the disk in memory look slow: that is synced more seldom."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("drivers.journal.QUICK_S", float("inf"))
        yield


@dataclass
class Truth:
    """What really happened, and when."""

    facts: list[tuple[str, int, float]] = field(default_factory=list)  # run, seq, when it was known
    far: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # run: acked, when
    acked: dict[str, int] = field(default_factory=dict)  # facts the node has
    began: list[str] = field(default_factory=list)
    over: set[str] = field(default_factory=set)  # their end is on the disk, the journal said


class Story:
    """A host's journal in use, on a disk whose power goes."""

    def __init__(self, compact_bytes: int = COMPACT_BYTES, *, has_lasting: bool = True) -> None:
        self.disk = CutDisk()
        self.disk.has_lasting = has_lasting
        self.compact_bytes = compact_bytes
        self.journal = self.opened()
        self.truth = Truth()
        self.now = 0.0
        self.runs = 0

    def opened(self) -> Journal:
        return Journal(FOLDER, self.disk, self.compact_bytes)

    def do(self, deed, number, pick):
        journal, truth, run = self.journal, self.truth, self.journal.open_run
        if deed == "begin" and run is None:
            self.runs += 1
            fact = journal.begin(f"r{self.runs}", "run_started", {"n": number}, 1)
            truth.began.append(fact.run)
            truth.facts.append((fact.run, fact.seq, self.now - 9))  # safe when it returns
        elif deed == "advance" and run is not None:
            seen = truth.far.setdefault(run.run, [(0, -9.0)])
            seen.append((seen[-1][0] + 1 + number, self.now))
            journal.advance(Progress(run.run, seen[-1][0], seen[-1][0] + 3, 10**6))
        elif deed == "lane" and run is not None:
            self.go_lane(run.run, number, pick(0, number + 1))
        elif deed in ("fact", "pause") and run is not None:
            kind = "attention" if deed == "fact" else "paused"
            fact = journal.record(kind, {"text": "x" * (number * 90)}, 2)
            if fact is not None:
                truth.facts.append((fact.run, fact.seq, self.now))
        elif deed == "end" and run is not None:
            fact = journal.record("finished", {}, 3, ends=True)
            truth.facts.append((fact.run, fact.seq, self.now - 9))
            truth.over.add(fact.run)
        elif deed == "ack" and (kept := journal.facts()):
            fact = kept[min(number, len(kept) - 1)]
            journal.ack(fact.run, fact.seq)
            truth.acked[fact.run] = max(truth.acked.get(fact.run, 0), fact.seq)
        elif deed == "kill":
            self.disk = self.disk.killed()
            self.journal = self.opened()
            self.check(exact=True)
        elif deed == "cut":
            self.disk = self.disk.cut(pick)
            self.journal = self.opened()
            self.check(exact=False)
            self.forget_what_was_lost()
        # As the host's loop does it: whenever the journal says that it is time.
        for _ in range(16 if deed == "quiet" else 1):
            self.now += STEP
            if (due := self.journal.deadline()) is not None and due <= self.now:
                self.journal.sync(self.now)

    def go_lane(self, run, ahead, taken):
        """Note that some of the next answers came, as a session on its express lane does."""
        seen = self.truth.far.setdefault(run, [(0, -9.0)])
        first = seen[-1][0] + 1
        steps = [(first + n, first + n + 3, n, n) for n in range(ahead + 2)]
        if (place := self.journal.expect(run, 10**6, steps)) is None:
            assert not self.disk.has_lasting
            return
        word, base = place
        seen.append((first, self.now))
        for n in range(1, taken + 1):
            word[0] = base + n
            seen.append((first + n, self.now))

    def check(self, *, exact):
        truth, found = self.truth, self.journal.facts()
        known = [(fact.run, fact.seq) for fact in found]
        happened = [(run, seq) for run, seq, _ in truth.facts]
        assert set(known) <= set(happened), "it tells what never happened"
        assert known == sorted(known, key=happened.index), "in another order"
        old = self.now - SYNC_EVERY_S - STEP
        for run, seq, when in truth.facts:
            if seq <= truth.acked.get(run, 0):
                continue
            assert (run, seq) in known or (not exact and when > old), (run, seq, when, self.now)
        if known:
            upto = happened.index(known[-1])
            kept = [fact for fact in happened[: upto + 1] if fact[1] > truth.acked.get(fact[0], 0)]
            assert set(kept) <= set(known), "there is a hole"
        self.check_open_run(old, exact)

    def check_open_run(self, old, exact):
        truth, run = self.truth, self.journal.open_run
        wanted = truth.began[-1] if truth.began and truth.began[-1] not in truth.over else None
        assert (run.run if run else None) == wanted, "begin and end are on the disk at once"
        if run is None:
            return
        seen = truth.far.get(run.run, [(0, -9.0)])
        progress = self.journal.progress
        assert progress.run == run.run
        assert progress.acked in [acked for acked, _ in seen], "it tells a place it never was"
        least = max(acked for acked, when in seen if exact or when <= old or when < 0)
        assert progress.acked >= least, "more than a second is lost"
        assert progress.sent == (progress.acked + 3 if progress.acked else progress.sent)

    def forget_what_was_lost(self):
        """From here on what the cut took has not happened."""
        truth, journal = self.truth, self.journal
        known = {(fact.run, fact.seq) for fact in journal.facts()}
        # An acknowledgement that was lost only means that the node is told once more.
        truth.acked = {
            run: min([seq - 1 for name, seq in known if name == run] + [upto])
            for run, upto in truth.acked.items()
        }
        truth.facts = [
            (run, seq, when)
            for run, seq, when in truth.facts
            if (run, seq) in known or seq <= truth.acked.get(run, 0)
        ]
        if journal.open_run is not None:
            place = journal.progress.acked
            seen = truth.far.get(journal.open_run.run, [(0, -9.0)])
            truth.far[journal.open_run.run] = [each for each in seen if each[0] <= place]


def told(seed, compact_bytes=COMPACT_BYTES):
    """Live through a story of chance, to the cut that ends it."""
    chance = random.Random(seed)
    story = Story(compact_bytes, has_lasting=chance.random() < 0.8)
    for _ in range(chance.randrange(1, 60)):
        story.do(*chance.choices(WORDS, WEIGHTS), chance.randrange(10), chance.randint)
    story.do("cut", 0, chance.randint)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_any_cut_leaves_a_true_beginning_that_is_at_most_a_second_old(seed):
    """Whatever happened, whenever the power goes, and also if it goes again and again."""
    told(seed)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_journal_that_is_made_short_loses_nothing_either(seed):
    """As above, where hardly a fact fits before the file is written anew."""
    told(seed, 100)


class CutInSync(CutDisk):
    """Its power goes also while a journal is about to sync: the images are kept."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.images: list[CutDisk] = []

    def sync(self, file):
        self.images += [self.cut(self.chance.randint) for _ in range(4)]
        super().sync(file)


@given(seed=st.integers(0, 2**32), has_lasting=st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_cut_in_the_middle_of_a_sync_leaves_what_the_one_before_made_safe(seed, has_lasting):
    chance = random.Random(seed)
    disk = CutInSync(chance)
    disk.has_lasting = has_lasting
    journal = Journal(FOLDER, disk)
    journal.begin("r1", "run_started", {}, 1)
    count = safe = 0
    for turn in range(1, 8):
        disk.images.clear()
        for _ in range(chance.randrange(1, 4)):
            count += 1
            journal.advance(Progress("r1", count, count + 3, 10**6))
        journal.sync(2.0 * turn)
        for image in disk.images:
            found = Journal(FOLDER, image).progress
            assert found is not None
            assert safe <= found.acked <= count
            assert found.sent == (found.acked + 3 if found.acked else 0)
        safe = count


def test_what_stood_behind_a_damaged_line_never_comes_back():
    disk = CutDisk()
    journal = Journal(FOLDER, disk)
    journal.begin("r1", "run_started", {}, 1)
    for word in ("one", "two"):
        journal.record("attention", {"text": word}, 2)
    journal.close()
    lines = disk.read_all(FOLDER / "journal.jsonl").splitlines(keepends=True)
    lines[1] = b"?" * (len(lines[1]) - 1) + b"\n"
    disk = CutDisk({"journal.jsonl": b"".join(lines)})
    journal = Journal(FOLDER, disk)
    journal.record("attention", {"text": "new"}, 3)  # as long as the one that was damaged
    found = Journal(FOLDER, disk.cut(lambda least, most: min(1, most)))
    assert [fact.fields.get("text") for fact in found.facts()] == [None, "new"]
    lost = iter([0, 0])  # first the names, then the cut at the damaged line
    found = Journal(FOLDER, disk.cut(lambda least, most: next(lost, min(1, most))))
    assert [fact.fields.get("text") for fact in found.facts()] in ([None, "new"], [None])


def test_it_syncs_at_most_once_a_second_and_at_the_beginning_and_the_end():
    disk = CutDisk()
    journal = Journal(FOLDER, disk)
    journal.begin("r1", "run_started", {}, 1)
    before, now = disk.synced, 100.0
    for count in range(1, 4001):
        journal.advance(Progress("r1", count, count + 3, 10**6))
        now += 0.0025
        if (due := journal.deadline()) is not None and due <= now:
            journal.sync(now)
    assert disk.synced - before <= 2 * 11, "ten seconds, two files"
    before = disk.synced
    journal.record("finished", {}, 2, ends=True)
    assert disk.synced == before + 2
    assert journal.deadline() is None


def test_a_disk_that_refuses_is_asked_once_a_second():
    disk = CutDisk()
    journal = Journal(FOLDER, disk)
    journal.begin("r1", "run_started", {}, 1)
    journal.advance(Progress("r1", 1, 2, 3))

    def refuse(file):
        raise OSError(5, "Input/output error")

    disk.sync = refuse
    try:
        journal.sync(10.0)
    except OSError:
        assert journal.deadline() == 11.0
    else:
        raise AssertionError
