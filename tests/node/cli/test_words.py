"""Whatever a command says to a person comes from the catalogue: the pseudo-language shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobs.designs
from drivers.simulators import PtyMachine
from jobs.domain.sentences import PSEUDO
from node.cli import words
from node.cli.arguments import build_parser

STL = Path(jobs.designs.__file__).parent / "example" / "bench-comb.stl"


@pytest.fixture(autouse=True)
def pseudo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FABNODE_LANGUAGE", PSEUDO)
    words.catalogue.cache_clear()
    yield
    words.catalogue.cache_clear()


def untranslated(text: str, *data: str | Path) -> list[str]:
    """The words that stand outside every sentence and are not among the *data* shown.

    The name of the command before a complaint, and its usage, are what a person types.
    """
    rest, before = text, ""
    while rest != before:  # a sentence may hold another as one of its fields
        before, rest = rest, re.sub(r"⟦[^⟦⟧]*⟧", " ", rest)
    for known in sorted(map(str, data), key=len, reverse=True):
        rest = rest.replace(known, " ")
    return re.findall(r"[^\W\d_]{2,}", re.sub(r"^fabnode:", "", rest, flags=re.MULTILINE))


def without_quotes(text: str) -> str:
    """What is said without the lines of the file that stand indented below a finding."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def test_the_test_sees_what_is_not_translatable() -> None:
    assert untranslated("fabnode: ⟦Á ⟦b⟧ ç⟧ /dev/x 12", "/dev/x") == []
    assert untranslated("fabnode: ⟦Á⟧ done") == ["done"]


def test_what_is_done_to_the_house_is_said_in_sentences(fabnode, home, printer, tmp_path) -> None:
    for command in (
        ["init"],
        ["admin", "reset"],
        ["machine", "list"],
        ["machine", "add", "mk1", "--from", printer],
        ["machine", "retire", "mk1"],
        ["ports"],
        ["ledger", "verify"],
    ):
        said = fabnode(*command)
        assert (said.code, said.err) == (0, ""), command
        if command != ["ports"]:  # what is plugged in here has names of its own
            assert "⟦" in said.out, command
            assert untranslated(said.out, home, "mk1") == [], command


@pytest.mark.parametrize("name", ["print.gcode", "mesh.stl", "garbage.stl", "forbidden.gcode"])
def test_what_is_found_in_a_file_is_said_in_sentences(fabnode, printer, tmp_path, name) -> None:
    path = tmp_path / name
    path.write_bytes(
        {
            "print.gcode": b"G21\nG90\nM82\nG28\nM109 S200\nG1 X20 Y10 Z0.2 F1200\nG1 X10 E1\n",
            "mesh.stl": STL.read_bytes(),
            "garbage.stl": b"x" * 83,
            "forbidden.gcode": b"G21\nM500\nG1 X900\n",
        }[name]
    )
    said = fabnode("inspect", path)
    assert said.err == ""
    assert "⟦" in said.out
    assert untranslated(said.out) == []
    said = fabnode("check", path, "--machine", printer)
    assert said.err == ""
    assert untranslated(without_quotes(said.out)) == []


def test_sending_is_said_in_sentences(fabnode, quick_home, tmp_path) -> None:
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90\nG1 X9 F3000\n")
    with PtyMachine("marlin-2", speed=60.0) as machine:
        said = fabnode("send", path, "--port", machine.port, "--profile", "marlin-2")
    assert (said.code, said.err) == (0, "")
    assert untranslated(said.out) == []
    path.write_text("G21\nG90\n" + "G1 X9 F3000\nG1 X1\n" * 20)
    with PtyMachine("marlin-2", speed=60.0, arguments=["--fault", "reset-at-line=20"]) as machine:
        said = fabnode("send", path, "--port", machine.port, "--profile", "marlin-2")
    assert said.code == 1
    assert untranslated(said.out + said.err) == []


@pytest.mark.parametrize(
    "typed",
    [
        "stop --all",
        "stop mk1",
        "send nothing.gcode --port p --profile marlin-2",
        "send nothing.gcode --port p --profile marlin-9",
        "check nothing.gcode --machine mk1",
        "check nothing.gcode --machine mk1.toml",
        "machine retire mk1",
        "machine add MK --from nothing.toml",
        "init --timezone Mars/Base",
        "simulate marlin-9 --link l",
        "run --bind nowhere.invalid:0",
    ],
)
def test_a_refusal_is_a_sentence(fabnode, home, monkeypatch, typed) -> None:
    monkeypatch.chdir(home)
    said = fabnode(*typed.split())
    # A check ends with 1 for a program that must not run, and for nothing else.
    assert said.code == (2 if typed.startswith("check") else 1)
    assert said.err.startswith("fabnode: ⟦")
    assert untranslated(said.out + said.err) == []


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "nonsense",
        "stop",
        "stop mk1 --all",
        "stop --all=3",
        "send",
        "send a.gcode --port",
        "send a.gcode --port p --profile q --fast",
        "simulate marlin-2 --link l --s 3",
        "simulate marlin-2 --link l --seed x",
        "demo --speed 0",
        "demo --speed x",
        "demo --port 70000",
        "run --bind nowhere",
        "run --hosts docker",
        "machine",
        "machine frob",
        "ledger",
    ],
)
def test_what_is_typed_wrongly_is_answered_by_a_sentence(fabnode, typed) -> None:
    said = fabnode(*typed.split())
    assert (said.code, said.out) == (2, "")
    usage, complaint = re.split(r"(?m)^fabnode: ", said.err)
    assert usage.startswith("⟦")
    assert complaint.startswith("⟦")
    assert untranslated(complaint) == []
    assert said.err.count("fabnode: ") == 1


def test_an_error_of_another_python_says_less_and_nothing_in_english(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        build_parser().error("something that nobody has heard of")
    assert end.value.code == 2
    assert untranslated(capsys.readouterr().err.partition("fabnode: ")[2]) == []
