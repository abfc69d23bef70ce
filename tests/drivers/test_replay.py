"""What a wire log has noted replays to the byte, and any other behaviour is seen."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.acts import Act, Order
from drivers.errors import ReplayError
from drivers.replay import main, read_log, replay
from drivers.simulators import Wishes
from drivers.snapshot import Phase
from drivers.wirelog import WireLog, pieces
from tests.drivers.virtual import Lab

PRINT = ["G28", "M104 S60", *(f"G1 X{n % 90} Y{n % 7} F6000" for n in range(120)), "M104 S0"]
MILL = ["G21", "G90", *(f"G1 X{n % 90} Y{n % 7} F2000" for n in range(60)), "M5"]


CORPUS = Path(__file__).parents[1] / "corpus" / "wire"


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def stream(program):
    return "".join(f"{line}\n" for line in program).encode()


def logged(folder, run="r1"):
    return list(read_log(pieces(folder / "wire", run)))


def recorded(folder, name, program, faults=(), seed=1, deeds=None):
    """Run a program on a simulated board; return its wire log."""
    lab = Lab(folder, name, wishes=Wishes(seed=seed, faults=faults))
    if deeds is None:
        lab.run(program)
    else:
        lab.start(program)
        deeds(lab)
    lab.wait(20.0)
    lab.close()
    return logged(folder)


FAULTS = [
    ("marlin-2", ()),
    ("marlin-2", ("corrupt-in=0.002",)),
    ("marlin-2", ("drop-in=0.001", "drop-out=0.001")),
    ("marlin-2", ("lost-ok=0.05",)),
    ("marlin-2", ("reset-at-line=60",)),
    ("marlin-2", ("silence-at-line=40",)),
    ("marlin-1", ("corrupt-in=0.002", "lost-ok=0.02")),
    ("grbl-1.1", ()),
    ("grbl-1.1", ("limit-at-line=30",)),
    ("grbl-1.1", ("corrupt-out=0.002",)),
]


@pytest.mark.parametrize(("name", "faults"), FAULTS)
def test_a_run_replays_to_the_byte(folder, name, faults):
    program = MILL if name == "grbl-1.1" else PRINT
    log = recorded(folder, name, program, faults)
    done = replay(log, stream(program))
    assert done.difference is None, str(done.difference)
    assert done.calls > 50
    assert done.sent > 500
    assert any(event.kind in ("finished", "failed") for event in done.events)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_a_run_on_any_bad_line_replays_to_the_byte(seed):
    with tempfile.TemporaryDirectory() as name:
        faults = ("corrupt-in=0.001", "corrupt-out=0.001", "drop-in=0.001", "lost-ok=0.02")
        log = recorded(Path(name), "marlin-2", PRINT, faults, seed)
        done = replay(log, stream(PRINT))
        assert done.difference is None, str(done.difference)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_transcript_of_the_corpus_replays(path):
    done = replay(read_log([path]))
    # If an engine means to act otherwise: `python -m tests.drivers.recordings` records anew.
    assert done.difference is None, f"{done.difference}; if meant, see tests/drivers/recordings.py"
    assert done.calls > 20


def test_the_corpus_has_what_its_names_say():
    last = {path.stem: replay(read_log([path])) for path in CORPUS.glob("*.jsonl")}
    assert last["marlin-2-print"].last.resends == 0
    assert last["marlin-2-resends"].last.resends >= 5
    assert last["marlin-2-resends"].last.acked == last["marlin-2-resends"].last.total
    assert any(event.kind == "failed" for event in last["grbl-1.1-limit-switch"].events)


def test_the_second_run_of_a_conversation_replays_by_itself(folder):
    lab = Lab(folder, wishes=Wishes(faults=("corrupt-in=0.002",), seed=3))
    lab.run(["G28", *["G1 X5 F600", "G1 X6"] * 20])
    lab.wait(100.0)
    lab.run(PRINT, run="r2")
    lab.wait(10.0)
    lab.close()
    log = logged(folder, "r2")
    assert "X5 F600" not in "".join(log), "it holds nothing of the run before"
    done = replay(log, stream(PRINT))
    assert done.difference is None, str(done.difference)
    assert done.last.total == len(PRINT)


def test_what_people_asked_for_replays_too(folder):
    def deeds(lab):
        lab.wait(12.0)
        assert lab.machine.session.pause(lab.now)
        lab.wait(5.0)
        lab.machine.act(Order(Act.FEED, percent=150), "eva", lab.now)
        assert lab.machine.session.command(b"M117 hello", lab.now)
        lab.wait(5.0)
        assert lab.machine.session.resume(lab.now)
        lab.wait(3.0)
        lab.machine.stop("eva", lab.now)
        lab.wait(10.0)
        assert lab.state.stopped

    done = replay(recorded(folder, "marlin-2", PRINT * 5, deeds=deeds), stream(PRINT * 5))
    assert done.difference is None, str(done.difference)
    kinds = [event.kind for event in done.events]
    assert [kind for kind in kinds if kind in ("paused", "resumed", "stopped")] == [
        "paused",
        "resumed",
        "stopped",
    ]


def test_an_engine_that_acts_otherwise_is_seen_at_once(folder):
    log = recorded(folder, "marlin-2", PRINT)
    at = next(n for n, line in enumerate(log) if "X50 " in line)
    other = [line.replace("X50 ", "X51 ") if n == at else line for n, line in enumerate(log)]
    done = replay(other, stream(PRINT))
    assert done.difference is not None
    assert b"X51 " in done.difference.logged
    assert b"X50 " in done.difference.sent
    silent = [line for n, line in enumerate(log) if n != at or '"rx"' in line]
    assert replay(silent, stream(PRINT)).difference is not None
    end = max(json.loads(line).get("t", 0.0) for line in log) + 1e-6
    extra = json.dumps({"t": end, "tx": "N9 M999*1\n"})
    more = replay([*log, extra], stream(PRINT)).difference
    assert (more.logged, more.sent) == (b"N9 M999*1\n", b"")


def test_the_command_says_how_it_went(folder, capsys):
    log = recorded(folder, "marlin-2", PRINT)
    (folder / "p").write_bytes(stream(PRINT))
    files = [str(path) for path in pieces(folder / "wire", "r1")]
    assert main([*files, "--stream", str(folder / "p")]) == 0
    said = capsys.readouterr().out
    assert f"{len(PRINT)} of {len(PRINT)} lines acknowledged" in said
    assert "The same to its end." in said
    assert main(files) == 2
    assert "replay.no_program" in capsys.readouterr().err
    (folder / "with.jsonl").write_text(
        json.dumps({"stream": stream(PRINT).decode()}) + "\n" + "".join(log)
    )
    assert main([str(folder / "with.jsonl")]) == 0
    (folder / "no.jsonl").write_text("[1]\n")
    assert main([str(folder / "no.jsonl")]) == 2
    (folder / "p").write_bytes(stream(PRINT).replace(b"X50 ", b"X55 "))
    assert main([*files, "--stream", str(folder / "p")]) == 1
    assert "Another way at " in capsys.readouterr().out


@given(st.lists(st.one_of(st.text(), st.dictionaries(st.text(), st.integers())), max_size=5))
@settings(deadline=None)
def test_no_file_whatever_is_more_than_refused(lines):
    with pytest.raises(ReplayError):
        replay([line if isinstance(line, str) else json.dumps(line) for line in lines])


def test_a_log_is_bounded_and_keeps_its_beginning_and_its_end(folder):
    log = WireLog(folder, "r1", piece_bytes=2000)
    for n in range(4000):
        log.at(float(n))
        log.tx(b"N%d G1 X%d*%d\n" % (n, n * 7919 % 1000, n % 256))
        log.flush(float(n) * 2)
    log.close()
    files = pieces(folder, "r1")
    assert len(files) == 5
    assert sum(path.stat().st_size for path in files) <= 5 * 2600
    text = "".join(read_log(files))
    assert '"t":0.0' in text
    assert '"t":3999.0' in text
    assert '{"gap":true}' in text


def test_only_the_newest_runs_keep_their_logs(folder):
    for n in range(25):
        WireLog(folder, f"r{n}").close()
    assert len(list(folder.iterdir())) == 20
    assert pieces(folder, "r24")
    assert not pieces(folder, "r0")


def test_a_log_that_was_cut_off_is_read_up_to_the_cut(folder):
    log = WireLog(folder, "r1")
    log.at(1.0)
    log.rx(b"ok\n")
    log.flush(5.0)
    log.at(2.0)
    log.rx(b"\xff\x00\r\n")
    log.flush(50.0)
    (path,) = pieces(folder, "r1")  # as SIGKILL leaves it: never closed
    assert [json.loads(line) for line in read_log([path])] == [
        {"t": 1.0, "rx": "ok\n"},
        {"t": 2.0, "rx": "\xff\x00\r\n"},
    ]
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert json.loads(next(iter(read_log([path])))) == {"t": 1.0, "rx": "ok\n"}
    log.close()


def test_nothing_is_written_before_it_is_time(folder):
    log = WireLog(folder, "r1")
    (path,) = pieces(folder, "r1")
    log.flush(10.0)
    for n in range(20):
        log.at(10.0 + n / 100)
        log.tx(b"x" * 50)
    log.flush(10.0)
    size = path.stat().st_size
    log.at(10.3)
    log.tx(b"y" * 50)
    log.flush(10.4)
    assert path.stat().st_size == size
    log.flush(11.1)
    assert path.stat().st_size > size
    log.close()


def test_a_lab_without_faults_comes_back_to_idle(folder):
    lab = Lab(folder)
    lab.run(PRINT)
    assert lab.state.phase is Phase.IDLE
    lab.close()
