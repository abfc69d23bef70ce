"""The demo ends in good order however it ends, and says what it could not do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.domain.job import HoldReason
from jobs.domain.sentences import Catalogue
from node.demo import EXAMPLE, _sum_up, run_demo, wishes
from node.demo.broker import Broker
from node.demo.ending import ends_like_ctrl_c, undisturbed
from node.demo.hearer import Hearer
from node.demo.story import Made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_end_is_like_ctrl_c(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ends_like_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_a_demo_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ends_like_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_does_not_cut_clearing_up_short() -> None:
    before = signal.getsignal(signal.SIGINT)
    with undisturbed():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_without_a_slicer_only_our_own_design_is_sure_to_be_made() -> None:
    assert wishes(has_slicer=False) == [EXAMPLE]
    assert wishes()[0] == EXAMPLE


def made(state: str, *, announced: bool = True, hold_reason: str = "") -> Made:
    return Made("Comb", "CC0-1.0", state=state, announced=announced, hold_reason=hold_reason)


DONE = made("done")
UNHEARD = made("done", announced=False)
UNSLICED = made("held", announced=False, hold_reason=HoldReason.SLICER_MISSING)
BLOCKED = made("held", announced=False, hold_reason=HoldReason.FINDINGS)


@pytest.mark.parametrize(
    ("all_made", "has_broker", "code"),
    [
        ([DONE, DONE], True, 0),
        ([DONE, UNHEARD], True, 1),
        ([DONE, UNHEARD], False, 0),
        ([DONE, UNSLICED], True, 0),
        ([UNSLICED], True, 1),
        ([DONE, BLOCKED], True, 1),
        ([DONE, made("failed")], True, 1),
        ([], True, 1),
    ],
)
def test_the_exit_code_is_about_what_could_be_made(
    all_made: list[Made], has_broker: bool, code: int
) -> None:
    assert _sum_up(all_made, has_broker=has_broker, wall_s=1.0) == code


def test_the_summary_says_what_waits_for_a_slicer_and_where_messages_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _sum_up([UNSLICED], has_broker=False, wall_s=1.0)
    said = capsys.readouterr().out
    assert "held: No slicer is installed here." in said
    assert "the outbox keeps them" in said


ROWS = (
    "design",
    "licence",
    "result",
    "grams",
    "planned",
    "real",
    "lines",
    "resends",
    "record",
    "acknowledged",
)


def summary(said: str) -> dict[str, str]:
    """The rows of the last design in the summary, by their names in the catalogue."""
    titles = {Catalogue().text(f"demo.row-{row}"): row for row in ROWS}
    found = {}
    for line in said.splitlines():
        for title, row in titles.items():
            if line.startswith(f"  {title} "):
                found[row] = line.removeprefix(f"  {title}").strip()
    return found


def expect_our_own_design(rows: dict[str, str], licence: str = "CERN-OHL-P-2.0") -> None:
    assert set(rows) == set(ROWS)
    assert rows["licence"] == licence
    assert rows["result"] == Catalogue().text("state.job.done")
    for row in ("grams", "planned", "real", "lines"):
        assert float(rows[row].split()[0]) > 0, row
    assert rows["resends"].isdecimal()
    assert len(rows["record"]) == 36


@pytest.mark.journey
@pytest.mark.timeout(150)
def test_the_demo_makes_our_design_where_neither_slicer_nor_broker_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where no slicer is
    monkeypatch.setattr(Broker, "program", lambda: None)
    assert run_demo(speed=240.0, port=0, ends=True) == 0
    said = capsys.readouterr().out
    assert Catalogue().text("demo.slicer-missing") in said
    assert Catalogue().text("demo.broker-missing") in said
    rows = summary(said)
    expect_our_own_design(rows)
    assert "the outbox keeps them" in rows["acknowledged"]


@pytest.mark.journey
@pytest.mark.broker
@pytest.mark.slicer
@pytest.mark.timeout(240)
@pytest.mark.skipif(Broker.program() is None, reason="mosquitto is not installed")
@pytest.mark.skipif(shutil.which("prusa-slicer") is None, reason="PrusaSlicer is missing")
def test_the_demo_ends_with_0_once_its_message_came_back_from_the_broker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("node.demo.commons_folder", lambda: None)  # our own design is enough here
    assert run_demo(speed=240.0, port=0, ends=True) == 0
    said = capsys.readouterr().out
    assert re.search(r"http://127\.0\.0\.1:\d+/sign-in/link/\S+", said)
    assert Catalogue().text("demo.slicer-missing") not in said
    rows = summary(said)
    expect_our_own_design(rows)
    assert int(rows["acknowledged"]) >= 3


@pytest.mark.journey
@pytest.mark.broker
@pytest.mark.timeout(150)
@pytest.mark.skipif(Broker.program() is None, reason="mosquitto is not installed")
def test_the_demo_fails_if_nobody_heard_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Hearer, "wait_for", lambda *_: None)
    assert run_demo(speed=240.0, port=0, ends=True) == 1


def of_demo(folder: Path) -> list[str]:
    """The processes that know the demo's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(os.getpid()):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if words and bytes(folder) in words + (entry / "environ").read_bytes():
                    found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name leaves room for those of the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="fn-") as folder:
        yield Path(folder)


@pytest.mark.journey
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_ended_leaves_no_process_and_no_folder(
    short_path: Path, number: signal.Signals
) -> None:
    # The folder is in the environment of all, so whatever is left behind is found by it.
    demo = subprocess.Popen(
        [sys.executable, "-m", "node", "demo"],
        env={**os.environ, "TMPDIR": str(short_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        for line in demo.stdout:  # ends with the demo, which pytest's timeout ends
            if line.startswith("    job 1"):
                break
        assert len(of_demo(short_path)) > 6, "the demo, its node, three hosts and three simulators"
        demo.send_signal(number)
        demo.stdout.read()
        assert demo.wait(20) == 130
        assert of_demo(short_path) == []
        assert list(short_path.glob("fabnode-demo-*")) == []
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
        if demo.stdout is not None:
            demo.stdout.close()
