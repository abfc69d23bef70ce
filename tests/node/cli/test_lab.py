"""The data folder by hand: init, machines, the ledger, the admin's link, ports, files."""

from __future__ import annotations

import select
import signal
import sqlite3
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import jobs.designs
from drivers.simulators import PtyMachine
from drivers.simulators.usb import Plug
from drivers.transport import open_transport
from jobs.services.ledger import Ledger
from jobs.services.workshop import Workshop

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
STL = Path(jobs.designs.__file__).parent / "example" / "bench-comb.stl"


# init and the admin's link


def test_init_makes_a_folder_with_a_link_and_again_a_link(fabnode, tmp_path, monkeypatch):
    home = tmp_path / "a new" / "folder"
    monkeypatch.setenv("FABNODE_HOME", str(home))
    said = fabnode("init", "--site", "my-lab", "--timezone", "Europe/Berlin")
    assert (said.code, said.err) == (0, "")
    assert "/sign-in/link/" in said.out
    values = tomllib.loads((home / "node.toml").read_text())
    assert values == {"site": "my-lab", "timezone": "Europe/Berlin"}
    assert home.stat().st_mode & 0o007 == 0
    again = fabnode("init")
    assert again.code == 0
    assert again.out != said.out
    refused = fabnode("init", "--site", "other")
    assert refused.code == 1
    assert "is there already" in refused.complaint


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--site", 'x"\n[mqtt]'], "cannot be the name of a site"),
        (["--site", "My Lab"], "cannot be the name of a site"),
        (["--site", "\udcff"], "cannot be the name of a site"),
        (["--timezone", "Mars/Base"], "There is no time zone “Mars/Base”"),
        (["--timezone", "../../etc/passwd"], "There is no time zone"),
    ],
)
def test_init_refuses_what_is_not_right_and_leaves_nothing(fabnode, home, words, sentence):
    said = fabnode("init", *words)
    assert said.code == 1
    assert sentence in said.complaint
    assert not (home / "node.toml").exists()


def test_reset_prints_a_new_link_each_time(fabnode, home):
    first, second = fabnode("admin", "reset"), fabnode("admin", "reset")
    assert first.code == second.code == 0
    assert first.out != second.out
    with sqlite3.connect(home / "fabnode.db") as database:
        ((people,),) = database.execute("SELECT count(*) FROM person")
    database.close()
    assert people == 1


# Machines


def test_a_machine_is_added_listed_and_retired(fabnode, printer):
    assert fabnode("machine", "list").out.startswith("There are no machines yet.")
    said = fabnode("machine", "add", "mk1", "--from", printer)
    assert (said.code, said.err) == (0, "")
    assert "No node runs now" in said.out
    (row,) = fabnode("machine", "list", "--json").json["machines"]
    assert (row["slug"], row["profile"], row["control"]) == ("mk1", "marlin-2", "serial")
    assert row["promises"] == {"runs": 0, "within_p90": 0, "share_within_p90": None}
    assert "mk1" in fabnode("machine", "list").out
    again = fabnode("machine", "add", "mk1", "--from", printer)
    assert again.code == 1
    assert "is a machine “mk1” already" in again.complaint
    taken = fabnode("machine", "add", "mk2", "--from", printer)
    assert taken.code == 1
    assert "uses the port" in taken.complaint
    assert fabnode("machine", "retire", "mk1").out == "mk1 is retired. Its records stay.\n"
    assert fabnode("machine", "list", "--json").json == {"machines": []}


def test_a_hostile_port_and_name_are_only_text(fabnode, home, printer):
    text = printer.read_text().replace("/dev/serial/by-id/usb-none", "../$(reboot)';DROP TABLE x--")
    printer.write_text(text + 'name = "\\u001b[31m<b>%(name)s\\nmk2"\n')
    assert fabnode("machine", "add", "mk1", "--from", printer).code == 0
    (row,) = fabnode("machine", "list", "--json").json["machines"]
    assert row["port"] == "../$(reboot)';DROP TABLE x--"
    plain = fabnode("machine", "list").out
    assert plain.count("\n") == 1
    assert "\x1b" not in plain
    assert sorted(path.name for path in home.iterdir() if path.name == "machines") == []


def test_a_file_is_checked_against_a_machine_of_the_house(fabnode, tmp_path, printer):
    fabnode("machine", "add", "mk1", "--from", printer)
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90\nG28\nG1 X120 F600\n")
    said = fabnode("check", path, "--machine", "mk1", "--json")
    assert (said.code, said.json["verdict"]) == (1, "block")


def test_a_check_forbids_what_the_rules_forbid_though_the_profile_does_not(
    fabnode, tmp_path, printer
):
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90\nG28\nM511\n")
    said = fabnode("check", path, "--machine", printer, "--json")
    codes = {finding["code"] for finding in said.json["findings"]}
    assert (said.code, "forbidden-command" in codes) == (1, True)


def test_a_machine_without_a_wire_cannot_check_programs(fabnode, tmp_path):
    saw = tmp_path / "saw.toml"
    saw.write_text('kind = "band-saw"\ncontrol = "none"\n')
    path = tmp_path / "part.gcode"
    path.write_text("G28\n")
    said = fabnode("check", path, "--machine", saw)
    assert said.code == 2
    assert "names no firmware profile" in said.complaint


# Files and ports


def test_a_mesh_and_a_program_are_inspected(fabnode, tmp_path):
    said = fabnode("inspect", STL, "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json["findings"] == []
    program = tmp_path / "part.gcode"
    program.write_text("G21\nG90\nG28\nG1 X10 F600\n")
    said = fabnode("inspect", program, "--json")
    assert (said.code, said.err) == (0, "")
    assert fabnode("inspect", program).out


def test_ports_are_one_object_and_none_is_opened(fabnode):
    said = fabnode("ports", "--json")
    assert (said.code, said.err) == (0, "")
    assert isinstance(said.json["ports"], list)
    assert fabnode("ports").code == 0


def test_ports_are_told_by_usb_identity_with_a_guess_and_who_has_them(
    fabnode, tmp_path, monkeypatch
):
    root = tmp_path / "computer"
    (root / "dev").mkdir(parents=True)
    plug = Plug("1a86", "7523", position="1-1.2")
    usb = ("--usb", "1a86:7523::1-1.2")
    with PtyMachine("marlin-2", port=root / "dev/ttyUSB0", arguments=usb) as machine:
        monkeypatch.setenv("FABNODE_DEVICES", str(root))
        transport = open_transport(str(machine.port), 250_000)
        said = fabnode("ports")
        assert said.code == 0
        line, about, *_ = said.out.splitlines()
        assert f"by-path/pci-0-usb-0:{plug.position}:1.0-port0" in line
        assert "1a86:7523" in line
        assert "at USB 0000:00:14.0/1.2:1.0" in line
        assert "marlin-2" in line
        assert "a guess" in about
        assert "may reset" in about
        transport.close()
        port = fabnode("ports", "--json").json["ports"][0]
        assert (port["usb"], port["serial_number"], port["holder"]) == ("1a86:7523", "", None)


def test_a_port_that_a_person_chose_is_asked_who_it_is(fabnode):
    arguments = ("--hears-rates", "--baud", "115200")
    with PtyMachine("grbl-1.1", arguments=arguments) as machine:
        said = fabnode("ports", "--probe", machine.port, "--json")
    assert (said.code, said.err) == (0, "")
    assert (said.json["profile"], said.json["baud"]) == ("grbl-1.1", 115200)
    assert said.json["firmware"].startswith("Grbl 1.1h")


def test_a_port_that_is_not_there_is_one_sentence(fabnode):
    said = fabnode("ports", "--probe", "/dev/nowhere")
    assert said.code == 1
    assert "There is no port /dev/nowhere" in said.complaint


# The ledger


@pytest.fixture
def books(home: Path, open_workshop: Callable[[Path], Workshop]) -> Path:
    """A data folder with three records."""
    workshop = open_workshop(home)
    ledger = Ledger(workshop)
    for number in range(3):
        with workshop.database.write() as session:
            ledger.append(session, {"kind": "test", "number": number}, NOW, None)
    workshop.database.close()
    return home


def tamper(home: Path, *statements: str) -> None:
    with sqlite3.connect(home / "fabnode.db") as database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            database.execute(f'DROP TRIGGER "{name}"')  # whoever tampers does not ask
        for statement in statements:
            database.execute(statement)
    database.close()


def test_a_whole_ledger_is_said_to_be_whole(fabnode, books):
    said = fabnode("ledger", "verify", "--json")
    assert (said.code, said.json["ok"], said.json["records"]) == (0, True, 3)
    assert said.json["bad_seq"] is None
    assert "3 records" in fabnode("ledger", "verify").out


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE record SET body = replace(body, '\"number\":1', '\"number\":7') WHERE seq = 2", 2),
        ("UPDATE record SET body = CAST(replace(body, 'test', 'tost') AS BLOB) WHERE seq = 1", 1),
        ("UPDATE record SET body = 'text' WHERE seq = 2", 2),
        ("UPDATE record SET body = 7 WHERE seq = 2", 2),
        ("UPDATE record SET digest = 'x' WHERE seq = 2", 2),
        ("UPDATE record SET digest = 3.5 WHERE seq = 3", 3),
        ("UPDATE record SET signature = 'zz' WHERE seq = 3", 3),
        ("UPDATE record SET signature = 17 WHERE seq = 3", 3),
        ("UPDATE record SET signature = x'00' WHERE seq = 3", 3),
        ("UPDATE record SET prev = 'x' WHERE seq = 2", 2),
        ("DELETE FROM record WHERE seq = 1", 1),
        ("DELETE FROM record WHERE seq = 2", 2),
        ("DELETE FROM record WHERE seq = 3", 3),
        ("UPDATE record SET seq = 9 WHERE seq = 3", 3),
    ],
)
def test_a_ledger_that_was_tampered_with_names_the_record(fabnode, books, statement, seq):
    tamper(books, statement)
    said = fabnode("ledger", "verify", "--json")
    assert (said.code, said.json["ok"], said.json["bad_seq"]) == (1, False, seq)
    plain = fabnode("ledger", "verify")
    assert plain.code == 1
    assert f"ecord {seq} " in plain.complaint


def test_a_key_that_is_not_the_nodes_breaks_the_first_signature(fabnode, books):
    key = books / "keys" / "node.ed25519"
    kept = key.read_bytes()
    key.unlink()
    said = fabnode("ledger", "verify", "--json")
    assert (said.code, said.json["problem"], said.json["bad_seq"]) == (1, "signature", 1)
    key.write_bytes(b"garbage")
    broken = fabnode("ledger", "verify")
    assert broken.code == 1
    assert str(key) in broken.complaint
    key.write_bytes(kept)
    assert fabnode("ledger", "verify").code == 0


# The simulator


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulated_machine_lives_until_it_is_told_to_end(start, tmp_path, number):
    link = tmp_path / "it's a port"
    machine = start("simulate", "grbl-1.1", "--link", link, "--speed", "60", "--seed", "7")
    machine.wait_until(link.is_symlink)
    port = link.open("r+b", buffering=0)
    with port:
        machine.wait_until(lambda: bool(select.select([port], [], [], 0.1)[0]))  # it greets
    machine.signal(number)
    said = machine.wait()
    assert (said.code, said.err) == (0, "")
    assert not link.is_symlink()


def test_a_simulated_board_is_listed_by_its_usb_side_and_its_rate_is_found(
    start, fabnode, tmp_path, monkeypatch
):
    root = tmp_path / "root"
    (root / "dev").mkdir(parents=True)
    link = root / "dev" / "ttyUSB0"
    rate = ("--baud", "57600", "--hears-rates", "--speed", "20")
    usb = ("--usb", "1A86:7523:A5069RR4:1-1.2")
    machine = start("simulate", "marlin-2", "--link", link, *rate, *usb)
    machine.wait_until(lambda: link.is_symlink() and (root / "dev/serial/by-path").is_dir())
    monkeypatch.setenv("FABNODE_DEVICES", str(root))
    [port] = fabnode("ports", "--json").json["ports"]
    assert (port["usb"], port["serial_number"]) == ("1a86:7523", "A5069RR4")
    assert "/1.2:" in port["usb_position"]
    probed = fabnode("ports", "--probe", port["port"], "--json").json
    assert (probed["baud"], probed["profile"]) == (57_600, "marlin-2")
    machine.signal(signal.SIGTERM)
    assert machine.wait().code == 0
    assert fabnode("ports", "--json").json["ports"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["marlin-2", "--link", "l", "--usb", "1a86:7523"], "must lie in a folder called dev"),
        (["marlin-2", "--link", "l", "--usb", "1a86"], "“1a86” is no USB side"),
        (["marlin-2", "--link", "l", "--usb", "1a86:7523:x:../../y"], "is no USB side"),
        (["marlin-9", "--link", "l"], "no simulated machine “marlin-9”. Choose one of: "),
        (["marlin-2", "--link", "l", "--fault", "los-ok=1"], "“los-ok”. Did you mean “lost-ok”?"),
        (["marlin-2", "--link", "l", "--fault", "lost-ok=7"], "“lost-ok=7” needs a chance"),
        (["marlin-2", "--link", "no/such/folder"], "The path no/such/folder cannot name a port"),
        (["marlin-2", "--link", "."], "The path . cannot name a port"),
        (["marlin-2", "--link", "/"], "The path / cannot name a port"),
        (["marlin-2", "--link", "kept.txt"], "kept.txt is there already"),
    ],
)
def test_a_simulator_that_cannot_start_says_why(fabnode, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    said = fabnode("simulate", *words)
    assert said.code == 1
    assert sentence in said.complaint
    assert list(tmp_path.glob(".*")) == []
    assert kept.read_text() == "kept"


def test_what_a_laser_is_to_burn_is_checked_too(fabnode, tmp_path):
    machine, program = tmp_path / "laser.toml", tmp_path / "part.nc"
    machine.write_text(
        'kind = "laser"\nprofile = "grbl-1.1"\nport = "/dev/null"\nspindle_max_rpm = 1000\n'
        'envelope_mm = [300, 200, 50]\nmaterials = ["birch", "cork"]\n'
    )
    program.write_text("G21 G90\nM4 S500\nG1 X5 F600\nM5\nM2\n")

    def check(*more: str):
        return fabnode("check", program, "--machine", machine, "--json", *more)

    for material, code in [
        *((["--material", "PVC"], "material-halogenated"), ([], "material-unsaid")),
        (["--material", "felt"], "material-not-listed"),
    ]:
        said = check(*material)
        assert (said.code, said.json["verdict"]) == (1, "block")
        (found,) = said.json["findings"]
        assert (found["code"], found["severity"]) == (code, "block")
        assert "⟨" not in found["detail"]
    said = check("--material", "Birch")
    assert (said.code, said.json["verdict"]) == (0, "pass")
    machine.write_text(machine.read_text().replace('materials = ["birch", "cork"]', ""))
    said = check()
    assert (said.code, said.json["findings"][0]["code"]) == (1, "material-unsaid")
    assert "holds no chlorine" in said.json["findings"][0]["detail"]
    assert check("--material", "felt").code == 0
