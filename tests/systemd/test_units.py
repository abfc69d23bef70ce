"""systemd itself reads the units and finds nothing wrong with them."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from drivers.host.loop import GRACE_S
from drivers.profile import load_profile, profile_names

HERE = Path(__file__).parents[2] / "systemd"
UNITS = (
    "fabnode.service",
    "fabnode-machine@.service",
    "fabnode-hosts.path",
    "fabnode-hosts.service",
    "fabnode-probe.path",
    "fabnode-probe.service",
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


def test_a_machine_host_is_watched_too_and_may_sync_for_long() -> None:
    assert int(unit("fabnode-machine@.service")["Service"]["WatchdogSec"]) >= 60


HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (
            "fabnode.service",
            {
                "PrivateDevices": "yes",
                "CapabilityBoundingSet": "",
                "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
                "RestrictNamespaces": "user net",
            },
        ),
        (
            "fabnode-machine@.service",
            {
                "IPAddressDeny": "any",
                "IPAddressAllow": "localhost 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
                "DevicePolicy": "closed",
                "CapabilityBoundingSet": "",
                "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
                "RestrictNamespaces": "yes",
            },
        ),
        (
            "fabnode-probe.service",
            {
                "PrivateNetwork": "yes",
                "DevicePolicy": "closed",
                "CapabilityBoundingSet": "",
                "RestrictAddressFamilies": "AF_UNIX",
                "RestrictNamespaces": "yes",
            },
        ),
        (
            "fabnode-hosts.service",
            {
                "PrivateNetwork": "yes",
                "PrivateDevices": "yes",
                "CapabilityBoundingSet": "CAP_DAC_READ_SEARCH",
                "RestrictAddressFamilies": "AF_UNIX",
                "RestrictNamespaces": "yes",
            },
        ),
    ],
)
def test_a_unit_may_do_no_more_than_it_must(name: str, more: dict[str, str]) -> None:
    service = unit(name)["Service"]
    wanted = {**HARDENED, **more}
    assert {key: service.get(key) for key in wanted} == wanted


def test_a_host_comes_first_and_has_time_to_switch_off() -> None:
    service = unit("fabnode-machine@.service")["Service"]
    assert (service["User"], service["SupplementaryGroups"]) == ("fabnode", "dialout")
    assert int(service["Nice"]) == -10
    assert float(service["TimeoutStopSec"]) > 2 * GRACE_S
    assert service["KillMode"] == "mixed"


# The udev rule


TOKEN = re.compile(r'([A-Z_]+)(?:\{([\w/]+)\})?(==|!=|\+=|=)"([^"]*)"')
MATCHES = {"ACTION", "SUBSYSTEM", "KERNEL", "ENV", "ATTR"}
ASSIGNS = {"GROUP", "MODE", "ENV", "ATTR"}


def rules() -> list[list[tuple[str, str, str, str]]]:
    """Every rule as (key, name in braces, operator, value); what is no token fails."""
    text = (HERE / "60-fabnode.rules").read_text().replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            tokens = [part.strip() for part in line.split(",")]
            parsed = [TOKEN.fullmatch(token) for token in tokens]
            assert None not in parsed, line
            found.append([(m[1], m[2] or "", m[3], m[4]) for m in parsed if m])
    return found


def test_the_udev_rule_says_only_what_udev_knows() -> None:
    for rule in rules():
        for key, _, operator, _ in rule:
            assert key in (MATCHES if operator in ("==", "!=") else ASSIGNS), key


def test_ports_are_the_groups_and_nobody_else_opens_them() -> None:
    (tty,) = [rule for rule in rules() if ("SUBSYSTEM", "", "==", "tty") in rule]
    assert ("KERNEL", "", "==", "ttyUSB*|ttyACM*") in tty
    group = unit("fabnode-machine@.service")["Service"]["SupplementaryGroups"]
    for wanted in (
        ("GROUP", "", "=", group),
        ("MODE", "", "=", "0660"),
        ("ENV", "ID_MM_DEVICE_IGNORE", "=", "1"),
        ("ENV", "ID_MM_PORT_IGNORE", "=", "1"),
        ("ENV", "BRLTTY_BRAILLE_DRIVER", "=", ""),
    ):
        assert wanted in tty


def test_no_board_that_we_know_is_put_to_sleep() -> None:
    (usb,) = [rule for rule in rules() if ("SUBSYSTEM", "", "==", "usb") in rule]
    assert ("ATTR", "power/control", "=", "on") in usb
    (vendors,) = [value for key, name, _, value in usb if (key, name) == ("ATTR", "idVendor")]
    known = {
        usb_id.partition(":")[0] for name in profile_names() for usb_id in load_profile(name).usb
    }
    assert known <= set(vendors.split("|"))


# Installing


def test_what_the_readme_installs_is_there_and_is_what_the_units_start() -> None:
    lines = (HERE / "README.md").read_text().splitlines()
    installs = [shlex.split(line.split("&&")[0]) for line in lines if line.startswith("install -D")]
    there: set[Path] = set()
    for words in installs:
        sources = [word for word in words if "/" in word and not word.startswith("/")]
        sources += [word for word in words if word == "README.md"]
        for source in sources:
            found = set(HERE.parent.glob(source))
            assert found, source
            there |= found
    assert there >= {path for path in HERE.iterdir() if path.name != "README.md"}
    text = "\n".join(lines)
    for name in UNITS:
        if name.endswith(".service"):
            program_path = unit(name)["Service"]["ExecStart"].split()[0]
            folder = program_path.rpartition("/")[0]
            assert folder in text or folder.removesuffix("/bin") in text, program_path


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
