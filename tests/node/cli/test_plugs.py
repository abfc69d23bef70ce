"""Passwords of smart plugs: said at the terminal, kept for the node alone, shown nowhere."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from drivers.host.config import read_host_config
from drivers.plug_login import Login
from jobs.domain.machine import MachineLimits
from jobs.services.live import LiveBoard
from jobs.services.machines import HostNeed
from node.plug_logins import keep_login, read_logins
from node.supervisor import Layout, Supervisor


@pytest.fixture
def said_on_stdin(monkeypatch):
    def say(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return say


def test_a_password_is_kept_listed_without_itself_and_forgotten(fabnode, home, said_on_stdin):
    said_on_stdin("s3 cret\n")
    said = fabnode("plug", "192.168.1.43")
    assert (said.code, "s3 cret" in said.out + said.err) == (0, False)
    said_on_stdin("other\r\n")
    assert fabnode("plug", "10.0.0.3:8080", "--user", "eva").code == 0
    assert fabnode("plug").out == "10.0.0.3:8080  eva\n192.168.1.43  admin\n"
    assert read_logins(home)["192.168.1.43"].password == "s3 cret"
    assert read_logins(home)["10.0.0.3:8080"].password == "other"
    file = home / "keys" / "plugs.json"
    assert file.stat().st_mode & 0o077 == 0
    assert [path for path in file.parent.iterdir() if path.suffix == ".new"] == []
    assert fabnode("plug", "192.168.1.43", "--forget").code == 0
    assert set(read_logins(home)) == {"10.0.0.3:8080"}


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (["8.8.8.8"], "x\n", "“8.8.8.8” is no address of a plug in this house"),
        (["plug.local"], "x\n", "“plug.local” is no address"),
        (["10.0.0.3/1"], "x\n", "“10.0.0.3/1” is no address"),
        (["10.0.0.3"], "\n", "A plug's user name and password are 1 to 128"),
        (["10.0.0.3", "--user", "a:b"], "x\n", "A plug's user name and password"),
        (["10.0.0.3"], "x" * 200 + "\n", "A plug's user name and password"),
    ],
)
def test_what_no_plug_can_be_told_is_said(fabnode, home, said_on_stdin, words, typed, sentence):
    said_on_stdin(typed)
    said = fabnode("plug", *words)
    assert said.code == 1
    assert said.complaint.startswith(sentence)
    assert read_logins(home) == {}


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"10.0.0.3": {"user": "s3cret"}}', '{"a": "s3cret"}']
)
def test_a_damaged_file_is_said_without_what_stands_in_it(fabnode, home, text):
    (home / "keys").mkdir(exist_ok=True)
    (home / "keys" / "plugs.json").write_text(text)
    said = fabnode("plug")
    assert said.code == 1
    assert "plugs.json, is damaged" in said.complaint
    assert "s3cret" not in said.complaint


def test_to_forget_what_is_not_kept_does_no_harm(home):
    home.mkdir(exist_ok=True)
    keep_login(home, "10.0.0.3", None)
    assert read_logins(home) == {}


def test_a_host_is_told_the_logins_of_its_own_plugs_alone(home):
    home.mkdir(exist_ok=True)
    for door in ("10.0.0.3", "10.0.0.4:8080", "10.0.0.5"):
        keep_login(home, door, Login("admin", f"of {door}"))
    plugs = {"spindle": "shelly-gen2:10.0.0.3/1"}
    machine = ("mk1", "mill", "/dev/x", None, "grbl-1.1", MachineLimits((1.0, 1.0, 1.0)), "x", True)
    need = replace(HostNeed(*machine), plugs=plugs, heartbeat="tasmota:10.0.0.4:8080")
    layout = Layout(home, "fabnode", spawn=False)
    Supervisor(layout, LiveBoard(), lambda: [need])._write(need)
    known = read_host_config(layout.config("mk1")).plug_logins
    assert {door: one.password for door, one in known.items()} == {
        "10.0.0.3": "of 10.0.0.3",
        "10.0.0.4:8080": "of 10.0.0.4:8080",
    }
    assert layout.config("mk1").stat().st_mode & 0o077 == 0
