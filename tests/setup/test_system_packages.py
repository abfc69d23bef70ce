"""`.ci/system-packages` on machines of every sort, each made of fake commands on the path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "system-packages"
ORDINARY = ("env", "mktemp", "rm", "tail")  # what the script takes from any Debian

Machine = Callable[..., Path]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A folder of commands; each fake one writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ORDINARY:
        found = next(
            Path(place, name) for place in ("/usr/bin", "/bin") if Path(place, name).exists()
        )
        (folder / name).symlink_to(found)

    def make(*, uid: int = 1000, has: str = "", **commands: str) -> Path:
        wanted = {
            "id": f"echo {uid}",
            "dpkg-query": f'case " {has} " in *" $3 "*) echo "ii " ;; *) exit 1 ;; esac',
            "apt-get": "exit 0",
            **{name.replace("_", "-"): body for name, body in commands.items()},
        }
        for name, body in wanted.items():
            if body != "absent":
                fake = folder / name
                fake.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/calls"\n{body}\n')
                fake.chmod(0o755)
        return folder

    return make


def run(folder: Path, what: str = "demo") -> tuple[str, list[str]]:
    """What the script says, and the calls of apt-get and sudo."""
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), what],
        env={"PATH": str(folder), "TMPDIR": str(folder.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, "whatever is missing, make goes on"
    log = folder.parent / "calls"
    calls = log.read_text().splitlines() if log.exists() else []
    return done.stdout, [call for call in calls if call.startswith(("apt-get", "sudo"))]


def test_nothing_is_said_or_done_where_all_is_installed(machine: Machine) -> None:
    assert run(machine(has="prusa-slicer mosquitto")) == ("", [])


def test_tests_ask_for_more_than_the_demo(machine: Machine) -> None:
    said, _ = run(machine(has="prusa-slicer mosquitto"), "test")
    assert (
        "Missing: chromium chromium-driver postgresql postgresql-contrib slic3r cura-engine."
        in said
    )


def test_root_installs_only_what_is_missing(machine: Machine) -> None:
    said, calls = run(machine(uid=0, has="mosquitto"))
    assert said == "Installing with apt: prusa-slicer\n"
    assert calls == ["apt-get install -y --no-install-recommends prusa-slicer"]


def test_a_removed_package_whose_settings_stayed_is_missing(machine: Machine) -> None:
    _, calls = run(machine(uid=0, dpkg_query='echo "rc "'))
    assert calls == ["apt-get install -y --no-install-recommends prusa-slicer mosquitto"]


def test_a_package_that_is_held_back_is_installed(machine: Machine) -> None:
    assert run(machine(uid=0, dpkg_query='echo "hi "')) == ("", [])


def test_a_plain_user_is_told_what_is_missing(machine: Machine) -> None:
    said, calls = run(machine(has="mosquitto"))
    assert "Missing: prusa-slicer. Installing needs root or sudo" in said
    assert "apt install prusa-slicer" in said
    assert calls == []


def test_sudo_that_would_ask_is_not_asked_without_a_terminal(machine: Machine) -> None:
    said, calls = run(machine(sudo='[ "$1" != -n ]'))
    assert "sudo does not allow it here" in said
    assert calls == ["sudo -n true"]


def test_sudo_installs_where_it_may(machine: Machine) -> None:
    said, calls = run(machine(sudo='[ "$1" = -n ] && shift; exec "$@"', true="exit 0"))
    assert said == "Installing with apt: prusa-slicer mosquitto\n"
    assert calls[-1] == "apt-get install -y --no-install-recommends prusa-slicer mosquitto"


def test_old_lists_are_brought_up_to_date_once(machine: Machine) -> None:
    fails_first = '[ "$1" = update ] && : >"$TMPDIR/updated"; [ -e "$TMPDIR/updated" ]'
    said, calls = run(machine(uid=0, apt_get=fails_first))
    assert "Missing" not in said
    assert [call.split()[1] for call in calls] == ["install", "update", "install"]


def test_an_apt_that_fails_is_said_and_leaves_no_log(machine: Machine) -> None:
    folder = machine(uid=0, apt_get="echo no network >&2; exit 100")
    said, _ = run(folder)
    assert "apt could not install them." in said
    assert {path.name for path in folder.parent.iterdir()} == {"bin", "calls"}


def test_another_system_than_debian_is_left_alone(machine: Machine) -> None:
    said, calls = run(machine(uid=0, apt_get="absent"))
    assert said.startswith("This is no Debian system")
    assert calls == []


def test_the_script_may_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
