"""What a person can type stands in the README of its folder."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.domain.events import EventType
from jobs.domain.sentences import PSEUDO, Catalogue
from node.cli import build_parser, main, words
from node.config import MqttConfig, NodeConfig

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    (subparsers,) = (
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return sorted(subparsers.choices)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def test_all_help_on_the_command_line_comes_from_the_catalogue() -> None:
    codes = Catalogue().codes
    for parser in parsers(build_parser()):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                assert {str(one.help) for one in action._choices_actions} <= codes
            else:
                assert action.help in codes, (parser.prog, action.dest)


@pytest.mark.parametrize("command", [one.prog.split()[1:] for one in parsers(build_parser())])
def test_the_help_has_no_sentence_of_its_own(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FABNODE_LANGUAGE", PSEUDO)
    words.catalogue.cache_clear()
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    words.catalogue.cache_clear()
    said = re.sub(r"⟦[^⟧]*⟧", "", capsys.readouterr().out)
    # What is left is what a person types.
    left = set(re.findall(r"(?<![-\w])[a-z]{3,}(?![-\w])", said))
    typed = {name for one in parsers(build_parser()) for name in one.prog.split()}
    assert left <= typed | {
        "slug",
        "file",
        "toml",
    } | {
        "spawn",
        "systemd",
    }


@pytest.mark.parametrize("command", commands())
def test_each_command_is_in_the_readme(command: str) -> None:
    assert f"`fabnode {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("key", [*NodeConfig.model_fields, *MqttConfig.model_fields])
def test_each_key_of_node_toml_is_in_the_readme(key: str) -> None:
    assert (
        f"`{key}`" in (ROOT / "README.md").read_text()
        or f"[{key}]" in (ROOT / "README.md").read_text()
    )


@pytest.mark.parametrize("kind", list(EventType))
def test_each_event_is_in_the_nodes_readme(kind: EventType) -> None:
    assert f"`{kind.value}`" in (ROOT / "node" / "README.md").read_text()


def test_each_unit_is_in_its_readme() -> None:
    text = (ROOT / "systemd" / "README.md").read_text()
    for path in (ROOT / "systemd").iterdir():
        if path.suffix in {".service", ".path", ".rules"}:
            assert path.name.replace("@.", "@<slug>.") in text, path.name
