"""Whatever is wrong, a person gets one plain sentence, a right exit code and no traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.profile import profile_names
from drivers.simulators import FAULTS
from jobs.domain.errors import InvalidError
from node.cli.machines import read_machine

SMALL_STL = b"solid nothing\nendsolid nothing\n"


@pytest.fixture
def gcode(tmp_path: Path) -> Path:
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90\nM82\nG28\nG1 X120 Y10 Z0.2 F1200\nG28\n")
    return path


# Usage


@pytest.mark.parametrize(
    "words",
    [
        "",
        "nonsense",
        "stop",
        "stop mk1 --all",
        "send",
        "machine",
        "machine frob",
        "ledger",
        "check x.gcode",
        "run --bind nowhere",
        "run --bind 127.0.0.1:99999",
        "run --hosts docker",
        "demo --port 70000",
        "demo --speed 0",
        "simulate marlin-2 --link l --speed -1",
        "simulate marlin-2 --link l --speed nan",
        "send x --port p --profile marlin-2 --baud 0",
    ],
)
def test_wrong_usage_ends_with_2(fabnode, words):
    said = fabnode(*words.split())
    assert (said.code, said.out) == (2, "")
    assert "fabnode" in said.err
    assert "Traceback" not in said.err


def test_the_help_of_a_simulated_machine_names_every_misfortune(fabnode):
    said = fabnode("simulate", "--help")
    assert said.code == 0
    assert all(f"  {name} " in said.out and meaning in said.out for name, meaning in FAULTS.items())


def test_help_is_no_error(fabnode):
    said = fabnode("--help")
    assert said.code == 0
    assert "stop" in said.out


# Ports and profiles


def test_an_unknown_port_is_named(fabnode, gcode):
    said = fabnode("send", gcode, "--port", "/dev/nowhere", "--profile", "marlin-2", "--json")
    assert said.code == 1
    assert said.complaint.startswith("There is no port /dev/nowhere.")


@pytest.mark.parametrize("port", ["/dev/null", "socket://nowhere.invalid:1", "socket://x"])
def test_a_port_that_is_none_is_refused(fabnode, gcode, port):
    said = fabnode("send", gcode, "--port", port, "--profile", "marlin-2")
    assert said.code == 1
    assert port in said.complaint


@pytest.mark.parametrize("name", ["marlin-3", "../marlin-2", "", "marlin\n2", "/etc/passwd"])
def test_an_unknown_profile_is_answered_with_the_known_ones(fabnode, gcode, name):
    said = fabnode("send", gcode, "--port", "/dev/nowhere", "--profile", name)
    assert said.code == 1
    assert f"Choose one of: {', '.join(profile_names())}." in said.complaint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'dialekt = "marlin"\n', "unknown key “dialekt”. Did you mean “dialect”?"),
        (b'dialect = "marlin"\n', "lacks the key"),
        (b'dialect = "marlin\n', "is no TOML"),
        (b'title = "\xff\xfe"\n', "is no TOML"),
        (b"usb = " + b"[" * 5000, "is no TOML"),
    ],
)
@pytest.mark.parametrize("command", ["send", "ports"])
def test_a_wrong_profile_of_the_lab_names_file_and_key(fabnode, home, gcode, command, text, words):
    own = home / "firmware_profiles" / "own.toml"
    own.parent.mkdir()
    own.write_bytes(text)
    rest = [gcode, "--port", "/dev/nowhere", "--profile", "own"] if command == "send" else []
    said = fabnode(command, *rest)
    assert said.code == 1
    assert words in said.complaint
    assert str(own) in said.complaint


# Files


@pytest.mark.parametrize("command", ["send", "inspect", "check"])
@pytest.mark.parametrize("file", ["nothing.stl", ""])
def test_a_file_that_is_not_there_or_none_is_said(fabnode, tmp_path, printer, command, file):
    rest = {
        "send": ["--port", "/dev/nowhere", "--profile", "marlin-2"],
        "inspect": ["--json"],
        "check": ["--machine", printer],
    }[command]
    said = fabnode(command, tmp_path / file, *rest)
    assert said.code == (2 if command == "check" else 1)
    assert "cannot be read" in said.complaint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("garbage.stl", os.urandom(64) + b"\0" * 200),
        ("short.stl", b"x" * 83),
        ("huge.stl", b"\0" * 80 + (10_000_000).to_bytes(4, "little")),
        ("empty.stl", b""),
        ("nothing.stl", SMALL_STL),
        ("bomb.3mf", b"PK\x03\x04 and nothing more"),
        ("garbage.obj", b"\xff" * 300),
        ("part.exe", b"MZ"),
        ("part", b"\0\1\2"),
    ],
)
def test_a_mesh_that_cannot_be_read_is_a_finding(fabnode, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    said = fabnode("inspect", path, "--json")
    assert (said.code, said.err) in {(1, ""), (0, "")}
    assert [each for each in said.json["findings"] if each["severity"] == "block"], said.json


@pytest.mark.parametrize("command", ["inspect", "check"])
def test_a_line_of_two_gigabytes_is_said_at_once(fabnode, tmp_path, command):
    """The file has holes, so it takes no room; nothing of it is copied or read."""
    path, machine = tmp_path / "long.gcode", tmp_path / "machine.toml"
    with path.open("wb") as file:
        file.write(b"G28\nG1 X")
        file.truncate(2 * 1024**3)
    machine.write_text('kind = "fdm"\nprofile = "marlin-2"\nport = "x"\nenvelope_mm = [9, 9, 9]\n')
    said = fabnode(command, path, "--json", *(["--machine", machine] if command == "check" else []))
    (found,) = said.json["findings"]
    assert (found["code"], found["severity"]) == ("too-large", "block")
    assert found["fields"]["bytes"] == 2 * 1024**3


def test_a_finding_is_a_sentence_without_json(fabnode, tmp_path):
    path = tmp_path / "garbage.stl"
    path.write_bytes(b"x" * 83)
    said = fabnode("inspect", path)
    assert "Traceback" not in said.out + said.err
    assert "⟨" not in said.out


# Machines


def test_a_program_for_a_larger_machine_is_blocked_with_its_line(fabnode, gcode, printer):
    said = fabnode("check", gcode, "--machine", printer, "--json")
    assert (said.code, said.err) == (1, "")
    assert said.json["verdict"] == "block"
    assert [each["line"] for each in said.json["findings"] if each["severity"] == "block"] == [5]
    found = next(each for each in said.json["findings"] if each["line"] == 5)
    assert found["text"] == gcode.read_text().splitlines()[4]
    assert found["detail"].endswith(".")
    plain = fabnode("check", gcode, "--machine", printer)
    assert (plain.code, plain.err) == (1, "")
    assert "line 5" in plain.out
    assert "⟨" not in plain.out


def test_a_program_that_fits_is_not_blocked(fabnode, tmp_path, printer):
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90\nM82\nG28\nM109 S200\nG1 X20 Y10 Z0.2 F1200\nG1 X10 E1\nM104 S0\n")
    said = fabnode("check", path, "--machine", printer, "--json")
    assert said.code == 0, said
    assert said.json["verdict"] in {"pass", "person"}


@pytest.mark.parametrize("slug", ["nobody", "../x", "No Body", "\udcff", "%(slug)s", "a" * 300])
def test_an_unknown_machine_is_said(fabnode, gcode, slug):
    for words in (["check", gcode, "--machine", slug], ["machine", "retire", slug]):
        said = fabnode(*words)
        assert said.code == (2 if words[0] == "check" else 1)
        assert said.complaint.startswith("There is no machine “")


@pytest.mark.parametrize(
    "slug", ["", ".", "..", "../x", "a/b", "Mk1", "mk 1", "mk1\n", "ümk", "a" * 33, "%s", "$(id)"]
)
def test_a_slug_that_is_none_is_refused(fabnode, home, printer, slug):
    said = fabnode("machine", "add", "--from", printer, "--", slug)
    assert said.code == 1
    assert "a-z, 0-9 and -" in said.complaint or "needs “slug”" in said.complaint
    assert not (home / "machines").exists()
    assert fabnode("machine", "list", "--json").json == {"machines": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("nozzle_max_c", "nozle_max_c"), "A machine has no “nozle_max_c”. Did you mean “nozzle_m"),
        (("50.0, 50.0, 50.0", "50.0, 50.0"), "“envelope_mm” is not right"),
        (('"fdm"', '"laserjet"'), "no kind of machine called “laserjet”"),
        (('kind = "fdm"', "kind = fdm"), "is no TOML"),
        (('kind = "fdm"', "kind = " + "[" * 5000), "is no TOML"),
        (('profile = "marlin-2"', ""), "The machine needs “profile”"),
        (("260.0", "nan"), "“nozzle_max_c” is not right"),
        (("260.0", "1e400"), "“nozzle_max_c” is not right"),
        (("260.0", "9" * 400), "“nozzle_max_c” is not right"),
        (('kind = "fdm"', 'kind = "fdm"\nslug = "../../x"'), "“../../x” cannot be a short name"),
    ],
)
@pytest.mark.parametrize("command", ["add", "check"])
def test_a_wrong_machine_file_names_the_key(fabnode, gcode, printer, command, change, words):
    printer.write_text(printer.read_text().replace(*change))
    if command == "add":
        said = fabnode("machine", "add", "mk1", "--from", printer)
    else:
        said = fabnode("check", gcode, "--machine", printer)
    assert said.code == (2 if command == "check" else 1)
    assert words in said.complaint


def test_a_machine_file_that_is_no_text_or_not_there_is_said(fabnode, tmp_path):
    path = tmp_path / "mk1.toml"
    assert "cannot be read" in fabnode("machine", "add", "mk1", "--from", path).complaint
    path.write_bytes(b"\xff\xfe\0")
    assert "is no TOML" in fabnode("machine", "add", "mk1", "--from", path).complaint
    assert "cannot be read" in fabnode("machine", "add", "mk1", "--from", tmp_path).complaint


@given(text=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_machine_file_of_any_bytes_is_read_or_refused(tmp_path, text):
    path = tmp_path / "any.toml"
    path.write_bytes(text)
    with pytest.raises(InvalidError):
        read_machine(path, "mk1")


# The data folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('timezon = "UTC"\n', "unknown key “timezon”. Did you mean “timezone”?"),
        ('[mqtt]\nhots = "x"\n', "unknown key “mqtt.hots”. Did you mean “host”?"),
        ("qqqq = 1\n", "The keys are: site, timezone,"),
        ('site = "', "is no TOML"),
        ('bind = "here"\n', "“bind” is not right"),
    ],
)
@pytest.mark.parametrize("command", ["run", "init", "machine list", "ledger verify"])
def test_a_typo_in_node_toml_names_the_nearest_key(fabnode, home, command, text, words):
    (home / "node.toml").write_text(text)
    said = fabnode(*command.split())
    assert said.code == 1
    assert words in said.complaint
    assert str(home / "node.toml") in said.complaint


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 50, b"SQLite"])
def test_a_database_that_is_none_is_said(fabnode, home, content):
    (home / "fabnode.db").write_bytes(content)
    said = fabnode("machine", "list")
    assert said.code == 1
    assert said.complaint.startswith("The database could not be brought to this release")
    assert (home / "fabnode.db").read_bytes() == content


def test_a_database_that_is_damaged_is_said(fabnode, home):
    with sqlite3.connect(home / "fabnode.db") as database:
        database.execute("DROP TABLE machine")
    database.close()
    said = fabnode("machine", "list")
    assert said.code == 1
    assert said.complaint.startswith("The database cannot be used now (no such table: machine)")


def test_a_folder_that_cannot_be_made_is_said(fabnode, home, monkeypatch):
    (home / "file").write_text("")
    monkeypatch.setenv("FABNODE_HOME", str(home / "file" / "home"))
    for command in ("init", "run", "machine list"):
        said = fabnode(*command.split())
        assert said.code == 1
        assert "Not a directory" in said.complaint


# The terminal


def piped(home: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "node", *words],
        env={**os.environ, "FABNODE_HOME": str(home), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_leaves_is_no_traceback(home):
    with piped(home, "ports", "--json") as listing:
        listing.stdout.close()
        err = listing.stderr.read()
        assert listing.wait(30) in {0, 1}
    assert err == b""


def test_a_terminal_that_knows_ascii_only_still_hears_the_sentence(home):
    settings = {"PYTHONIOENCODING": "ascii", "FABNODE_LANGUAGE": "pseudo"}
    with piped(home, "machine", "list", **settings) as listing:
        out, err = listing.communicate(timeout=30)
    assert (listing.returncode, err) == (0, b"")
    assert out.startswith(b"\\u27e6Th\\xe9")


def test_a_language_that_is_not_here_is_english(home):
    with piped(home, "stop", "--all", FABNODE_LANGUAGE="../tlh") as stop:
        _, err = stop.communicate(timeout=30)
    assert b"Traceback" not in err
    assert b"No machine host" in err
