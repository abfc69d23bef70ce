"""What SHARING.md promises: every test it names, and that pages and API do the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# The use cases of sharing machines.
SHARING = frozenset(
    {
        *("approvals", "asking", "batches", "bookings", "checklists", "clearing", "contests"),
        *("day_sheet", "dispatch", "faults", "feeds", "foresight", "history", "house"),
        *("importing", "lapsing", "loading", "modules", "notices", "offers", "photos"),
        *("planning", "prices", "proposals", "qualifications", "queue", "repeating"),
        *("servicing", "sharing", "slots", "swapping", "terms", "there", "trainings"),
        *("waiting", "weighing", "wondering"),
    }
)
# What a page asks and the API does not, and why.
EXPLAINED = {
    ("approvals", "decided"): "a list to read: each decision is in the API when it is made",
    ("bookings", "jobs"): "of /jobs, those that time can be booked for",
    ("bookings", "week"): "seven days of /bookings/calendar",
    ("checklists", "of_today"): "of /checklists, those of the lab",
    ("contests", "contestable"): "of a job's runs, those with a result",
    ("day_sheet", "days"): "which days have one: /day-sheets/<day> says so, too",
    (
        "dispatch",
        "stop",
    ): "a stop of its own for a screen on the wall; for the API in web/stopping.py",
    ("feeds", "machine"): "a calendar itself, at its secret address",
    ("feeds", "own"): "a calendar itself, at its secret address",
    ("house", "decided_in"): "where a value was decided: the levels of /rules",
    ("notices", "unread"): "of /notices, how many",
    ("proposals", "due"): "of /proposals, those whose day has come",
    ("qualifications", "people"): "a form's choices",
    ("qualifications", "trainers"): "a form's choices",
    ("queue", "recent"): "of /jobs, those that are over",
    ("queue", "runs_on"): "of /machines, what each runs",
    ("queue", "startable"): "of /queue, those that may go to a machine",
    ("slots", "on_machine"): "of /jobs/<job>/asks, one machine's part",
    ("terms", "has_hours"): "whether /rules has opening hours",
    ("wondering", "learned"): "of /qualifications, one machine's",
}


def test_every_test_that_is_named_exists():
    named = _NAMED.findall((HERE / "SHARING.md").read_text(encoding="utf-8"))
    assert len(named) > 120
    missing = []
    for file, name in named:
        path = ROOT / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if f"def {name}(" not in text:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_whatever_a_page_does_the_api_does_or_says_why_not():
    pages, api = set(_asked("pages")), set(_asked("api"))
    assert len(pages) > 80
    assert sorted(pages - api - EXPLAINED.keys()) == []
    assert sorted(EXPLAINED.keys() - (pages - api)) == []  # no excuse that nobody needs


def _asked(package: str) -> Iterator[tuple[str, str]]:
    """Yield service and method of every use case that the routes of a package name."""
    for file in sorted((ROOT / "web" / package).glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                yield from _in_function(function)


def _in_function(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}  # names that stand for services
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for name, value in _assigned(node):
                known[name] = value
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            head, _, rest = ast.unparse(node).partition(".")
            text = f"{known.get(head, head)}.{rest}"
            if found := re.fullmatch(r"web\.services\.(\w+)\.(\w+)", text):
                service, method = found.groups()
                if service in SHARING:
                    yield service, method


def _assigned(node: ast.Assign) -> Iterator[tuple[str, str]]:
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, ast.unparse(node.value)
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(name, ast.Name):
                    yield name.id, ast.unparse(value)
