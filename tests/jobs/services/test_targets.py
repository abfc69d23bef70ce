"""What a program is held against: the machine's limits, its firmware, and the kind's own rules."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from jobs.kinds import KINDS, forbidden_commands
from jobs.services.targets import Target, target_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine

OURS = resources.files("firmware_profiles")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of firmware profiles of the lab's own."""
    folder = tmp_path / "firmware_profiles"
    folder.mkdir()
    return folder


@pytest.fixture
def seen(workshop: Workshop, printer: str) -> Callable[..., Target | None]:
    """The printer as preparation sees it, with some other profile."""

    def look(profiles: Path | None, profile: str = "marlin-2") -> Target | None:
        with workshop.database.write() as session:
            machine = session.get_one(Machine, printer)
            machine.profile = profile
            return target_of(machine, profiles)

    return look


def write(folder: Path, name: str, forbidden: str) -> None:
    lines = (OURS / "marlin-2.toml").read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("forbidden"))
    end = next(n for n, line in enumerate(lines[start:], start) if line.rstrip().endswith("]"))
    text = "\n".join([*lines[:start], f"forbidden = {forbidden}", *lines[end + 1 :]])
    (folder / f"{name}.toml").write_text(text, "utf-8")


def test_the_labs_own_profile_takes_the_place_of_ours(seen, own):
    write(own, "marlin-2", '["M117"]')
    assert "M117" in seen(own).forbidden
    assert "M117" not in seen(None).forbidden


def test_a_profile_only_the_lab_has_is_found(seen, own):
    write(own, "our-board", "[]")
    assert seen(own, "our-board").dialect == "marlin"
    assert seen(None, "our-board") is None


def test_what_the_kind_forbids_stays_forbidden_whatever_a_profile_names(seen, own):
    write(own, "marlin-2", '["M117"]')
    assert set(KINDS["fdm"].forbidden["marlin"]) < set(seen(own).forbidden)
    assert forbidden_commands("unknown", "grbl", ["$H"]) == ("$H",)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 5, b"rx_bytes = 'many'"])
def test_a_profile_that_cannot_be_read_is_no_target(seen, own, content):
    (own / "marlin-2.toml").write_bytes(content)
    assert seen(own) is None


def test_another_profile_makes_another_target(seen, own):
    write(own, "marlin-2", '["M117"]')
    assert seen(own).sha256() == seen(own).sha256() != seen(None).sha256()
