"""Any bytes to a tree of texts: YAML, TOML or JSON, bounded, and every scalar as it was written.

A version `1.10` stays "1.10" and a date stays a text: a reader that makes numbers of them loses
what the author wrote.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Final

import yaml

from jobs.designs.problems import ProblemCode, Problems

try:
    from yaml import CBaseLoader as _Loader
except ImportError:  # PyYAML without libyaml: ten times slower, the same events
    from yaml import BaseLoader as _Loader  # type: ignore[assignment]

Node = str | list["Node"] | dict[str, "Node"]
_Reader = Callable[[str, Problems], Node]

MAX_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 32
_MAX_NODES: Final = 20_000


class _TooDeepError(Exception):
    """Nested beyond any honest manifest."""


class _TooManyError(Exception):
    """More values than any honest manifest has."""


def read_document(data: bytes, name: str, problems: Problems) -> dict[str, Node]:
    """Return the mapping that *data* holds; empty if it holds none. Never raises.

    :param name: file name; its ending says which format is tried first.
    """
    if len(data) > MAX_BYTES:
        problems.add("", ProblemCode.TOO_LARGE, str(len(data)))
        return {}
    text = _decoded(data, problems)
    said = ""
    for reader in _readers(name, text):
        try:
            tree = reader(text, problems)
        except (_TooDeepError, RecursionError):
            problems.add("", ProblemCode.TOO_DEEP)
            return {}
        except _TooManyError:
            problems.add("", ProblemCode.TOO_MANY)
            return {}
        except (ValueError, yaml.YAMLError) as error:
            said = said or " ".join(str(error).split())
            continue
        if isinstance(tree, dict) and tree:
            return tree
        said = said or "no mapping"
    problems.add("", ProblemCode.UNPARSABLE, said)
    return {}


def _decoded(data: bytes, problems: Problems) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.add("", ProblemCode.NOT_UTF8)
        return data.decode("utf-8-sig", "replace")


def _readers(name: str, text: str) -> list[_Reader]:
    """Return the readers in the order in which they shall try."""
    lower = name.lower()
    if lower.endswith(".json") or text.lstrip()[:1] == "{":
        return [_from_json, _from_yaml]
    if lower.endswith(".toml"):
        return [_from_toml, _from_yaml]
    if lower.endswith((".yml", ".yaml")):
        return [_from_yaml, _from_toml]
    return [_from_toml, _from_yaml]


def _from_json(text: str, problems: Problems) -> Node:
    del problems
    return _texts(json.loads(text, parse_float=str, parse_int=str, parse_constant=str))


def _from_toml(text: str, problems: Problems) -> Node:
    del problems
    return _texts(tomllib.loads(text, parse_float=str))


def _texts(value: object) -> Node:
    return _Copier().copy(value, 0)


class _Copier:
    """Copies parsed values as texts and counts them."""

    def __init__(self) -> None:
        self._left = _MAX_NODES

    def copy(self, value: object, depth: int) -> Node:
        self._left -= 1
        if self._left < 0:
            raise _TooManyError
        if depth > _MAX_DEPTH:
            raise _TooDeepError
        match value:
            case dict():
                return {str(key): self.copy(each, depth + 1) for key, each in value.items()}
            case list():
                return [self.copy(each, depth + 1) for each in value]
            case bool():
                return "true" if value else "false"
            case None:
                return ""
            case date() | time():
                return value.isoformat()
            case _:
                return str(value)


def _from_yaml(text: str, problems: Problems) -> Node:
    # libyaml stops at a directive it does not know, such as "%Open Know-How Manifest 1.0".
    lines = text.splitlines()
    while lines and lines[0].startswith("%"):
        lines.pop(0)
    events = yaml.parse("\n".join(lines), Loader=_Loader)
    return _YamlBuilder(itertools.islice(events, 4 * _MAX_NODES), problems).build()


class _YamlBuilder:
    """Builds the first document from parser events: no tags, no aliases, no objects."""

    def __init__(self, events: Iterator[yaml.Event], problems: Problems) -> None:
        self._events = events
        self._problems = problems
        self._left = _MAX_NODES

    def build(self) -> Node:
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                return self._node(event, 0)
        return ""

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._left -= 1
        if self._left < 0:
            raise _TooManyError
        if depth > _MAX_DEPTH:
            raise _TooDeepError
        match event:
            case yaml.ScalarEvent():
                return str(event.value)
            case yaml.SequenceStartEvent():
                return list(self._items(yaml.SequenceEndEvent, depth + 1))
            case yaml.MappingStartEvent():
                return self._mapping(depth + 1)
            case _:
                self._problems.add("", ProblemCode.ALIAS)
                return ""

    def _mapping(self, depth: int) -> dict[str, Node]:
        items = self._items(yaml.MappingEndEvent, depth)
        found: dict[str, Node] = {}
        for key in items:
            name = key if isinstance(key, str) else str(key)
            if name in found:
                self._problems.add(name, ProblemCode.DUPLICATE)
            found[name] = next(items, "")
        return found

    def _items(self, end: type[yaml.Event], depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._node(event, depth)
        raise _TooManyError  # the bounded stream of events ran dry
