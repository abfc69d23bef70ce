"""systemd itself reads the units and finds nothing wrong with them."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "systemd"
UNITS = (
    "fabnode.service",
    "fabnode-machine@.service",
    "fabnode-hosts.path",
    "fabnode-hosts.service",
)


def program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((HERE / name).read_text())
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_analyze_verify_has_nothing_to_say(tmp_path: Path) -> None:
    for name in ("current/bin/fabnode", "current/bin/python", "fabnode-hosts"):
        program(tmp_path / name)
    for name in UNITS:
        text = (HERE / name).read_text()
        text = text.replace("/opt/fabnode/", f"{tmp_path}/").replace(
            "/usr/lib/fabnode/", f"{tmp_path}/"
        )
        (tmp_path / name).write_text(text)
    names = [name.replace("@.", "@printer-1.") for name in UNITS]
    (tmp_path / names[1]).symlink_to(UNITS[1])
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    mine = [line for line in done.stderr.splitlines() if "fabnode" in line]
    assert mine == []
    assert done.returncode == 0


def test_stopping_the_node_never_stops_a_host() -> None:
    host = unit("fabnode-machine@.service")["Unit"]
    for word in ("Requires", "BindsTo", "PartOf", "Requisite"):
        assert "fabnode.service" not in host.get(word, "")


def test_the_node_is_watched_and_holds_no_rights() -> None:
    service = unit("fabnode.service")["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["User"] == "fabnode"
    assert service["CapabilityBoundingSet"] == ""


def test_only_valid_slugs_reach_systemctl(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fake = tmp_path / "bin" / "systemctl"
    program(fake)
    fake.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    wanted = tmp_path / "hosts.wanted"
    wanted.write_text("printer-1\n../evil\nUPPER\na b\n;reboot\n" + "x" * 33 + "\nrouter\n")
    path = f"{fake.parent}:/usr/bin:/bin"
    subprocess.run([HERE / "fabnode-hosts", wanted], check=True, env={"PATH": path})
    started = [line.split()[-1] for line in log.read_text().splitlines() if "start" in line]
    assert started == ["fabnode-machine@printer-1.service", "fabnode-machine@router.service"]


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("printer-1\n")
    (tmp_path / "hosts.wanted").symlink_to(tmp_path / "real")
    log = tmp_path / "log"
    fake = tmp_path / "bin" / "systemctl"
    program(fake)
    fake.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    env = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
    subprocess.run([HERE / "fabnode-hosts", tmp_path / "hosts.wanted"], check=True, env=env)
    assert not log.exists()
