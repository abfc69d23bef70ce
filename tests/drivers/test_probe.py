"""Who is at a port: every dialect, rate and silence, without a word that acts."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

import pytest

from drivers.errors import PortError
from drivers.probe import LONGEST_S, Probe, Probed, suggest
from drivers.probing import main, probe_in_child
from drivers.profile import load_profile, profile_names
from drivers.simulators import SIMULATORS, PtyMachine, Wishes, build
from drivers.simulators.uart import misread

# Whatever a probe says is one of these: nothing that moves, heats, writes or resets.
HARMLESS = re.compile(rb"(?:\n|M115\n|\$I\n|\?\n|F83 Q0\n)*")

MARLIN_2 = (
    b"FIRMWARE_NAME:Marlin 2.1.2 (Apr 1 2023 12:00:00) SOURCE_CODE_URL:github.com/x "
    b"PROTOCOL_VERSION:1.0 MACHINE_TYPE:Ender-3 EXTRUDER_COUNT:1 "
    b"UUID:0f0f0f0f-1111-2222-3333-444444444444\nCap:EEPROM:1\nok\n"
)
ANSWERS = {
    "marlin-2": (b"start\nMarlin 2.1.2\n", {b"M115": MARLIN_2}),
    "klipper": (b"", {b"M115": b"ok FIRMWARE_VERSION:v0.13 FIRMWARE_NAME:Klipper\n"}),
    "reprap": (
        b"",
        {
            b"M115": b"FIRMWARE_NAME: RepRapFirmware for Duet 2 WiFi FIRMWARE_VERSION: 3.5.1 "
            b"ELECTRONICS: Duet WiFi 1.02\nok\n"
        },
    ),
    "grbl": (
        b"\r\nGrbl 1.1h ['$' for help]\r\n",
        {
            b"M115": b"error:20\r\n",
            b"$I": b"[VER:1.1h.20190825:bench]\r\n[OPT:V,15,128]\r\nok\r\n",
            b"?": b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\nok\r\n",
        },
    ),
    "fluidnc": (
        b"Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]\r\n",
        {
            b"M115": b"error:20\r\n",
            b"$I": b"[VER:3.7 FluidNC v3.7.8:]\r\n[OPT:MPHS]\r\nok\r\n",
        },
    ),
    "farmbot": (
        b"R99 ARDUINO STARTUP COMPLETE\r\n",
        {b"M115": b"R09 Q0\r\n", b"F83": b"R83 6.5.0 Q0\r\n"},
    ),
}


class Board:
    """Answers by a table, at one rate; hears and says noise at any other."""

    def __init__(self, banner: bytes, answers: dict[bytes, bytes], baud: int) -> None:
        self.banner, self.answers, self.baud = banner, answers, baud
        self.received = bytearray()
        self._line = bytearray()

    def hear(self, data: bytes, baud: int) -> bytes:
        self.received += data
        self._line += misread(data, baud, self.baud)
        said = b""
        while b"\n" in self._line:
            line, _, rest = bytes(self._line).partition(b"\n")
            self._line = bytearray(rest)
            said += self.answers.get(line.split(b" ")[0], b"")
        return misread(said, self.baud, baud)


def ask(board: Board) -> Probe:
    """Let a probe and a board talk in virtual time."""
    now = 0.0
    probe = Probe(now)
    probe.receive(misread(board.banner, board.baud, probe.baud), 1.0)
    for _ in range(500):  # bounded: a probe that never ends must fail
        if probe.is_over:
            return probe
        if data := probe.data_to_send():
            probe.receive(board.hear(data, probe.baud), now + 0.01)
        now = max(now + 0.01, probe.deadline())
        probe.receive(b"", now)
    raise AssertionError("the probe does not end")


@pytest.mark.parametrize("baud", [250_000, 115_200, 57_600, 1_000_000])
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_board_is_known_at_any_rate_and_asked_nothing_that_acts(name, baud):
    board = Board(*ANSWERS[name], baud)
    probe = ask(board)
    assert probe.result is not None
    assert probe.result.baud == baud
    wanted = {"farmbot": "farmbot", "grbl": "grbl", "fluidnc": "grbl"}.get(name, "marlin")
    assert probe.result.dialect == wanted
    assert HARMLESS.fullmatch(bytes(board.received)), bytes(board.received)


def test_what_a_marlin_says_of_itself_is_kept():
    found = ask(Board(*ANSWERS["marlin-2"], 115_200)).result
    assert found is not None
    assert found.firmware.startswith("Marlin 2.1.2")
    assert found.version == "2.1.2"
    assert found.uuid == "0f0f0f0f-1111-2222-3333-444444444444"
    assert found.machine_type == "Ender-3"


def test_what_a_grbl_says_of_itself_is_kept():
    found = ask(Board(*ANSWERS["grbl"], 115_200)).result
    assert found is not None
    assert (found.firmware, found.info) == (
        "Grbl 1.1h.20190825:bench",
        "1.1h.20190825:bench",
    )


def test_a_farmbot_tells_its_version():
    found = ask(Board(*ANSWERS["farmbot"], 115_200)).result
    assert found is not None
    assert (found.dialect, found.version) == ("farmbot", "6.5.0")


def test_silence_ends_by_itself():
    probe = ask(Board(b"", {}, 115_200))
    assert probe.result is None
    assert probe.heard_bytes == 0


def test_noise_at_every_rate_is_no_machine_and_ends_in_time():
    chance = random.Random(7)
    now, probe = 0.0, Probe(0.0)
    while not probe.is_over:
        assert now < LONGEST_S + 1.0
        probe.data_to_send()
        now += 0.05
        probe.receive(chance.randbytes(40), now)
    assert probe.result is None
    assert now < 10.0, "noise is left sooner than silence"


def test_a_board_that_talks_without_end_is_left_in_time():
    now, probe = 0.0, Probe(0.0)
    while not probe.is_over:
        assert now < LONGEST_S + 1.0
        probe.data_to_send()
        now += 0.1
        probe.receive(b"echo:busy: processing\n", now)
    assert probe.result is not None
    assert probe.result.dialect == "marlin"


def test_a_profile_is_suggested_by_the_longest_words_that_fit():
    profiles = [load_profile(name) for name in profile_names()]
    says = {
        "marlin-2": Probed(1, "marlin", "Marlin 2.1.2 (Github)"),
        "marlin-1": Probed(1, "marlin", "Marlin 1.1.9"),
        "grbl-1.1": Probed(1, "grbl", "Grbl 1.1h"),
    }
    for name, probed in says.items():
        assert suggest(probed, profiles) == name
    assert suggest(Probed(1, "marlin", "Something else"), profiles) == "marlin-2"
    assert suggest(Probed(1, "unheard-of"), profiles) == ""


@pytest.mark.parametrize("rates", [(115_200, 250_000), (250_000, 57_600)])
def test_another_rate_is_heard_as_noise(rates):
    text = b"FIRMWARE_NAME:Marlin 2.1.2\n"
    sent, read = rates
    assert misread(text, sent, sent) == text
    assert b"FIRMWARE" not in misread(text, sent, read)
    assert 0 < len(misread(text, sent, read)) < 4 * len(text)


@pytest.mark.parametrize("name", list(SIMULATORS))
def test_each_simulated_firmware_is_known_in_virtual_time(name):
    firmware = build(name, Wishes(baud=115_200))
    probe, now = Probe(0.0), 0.0
    for _ in range(4000):
        if probe.is_over:
            break
        now += 0.01
        if data := probe.data_to_send():
            firmware.write(misread(data, probe.baud, 115_200), now)
        probe.receive(misread(firmware.read(now), 115_200, probe.baud), now)
    assert probe.result is not None
    assert probe.result.baud == 115_200
    assert suggest(probe.result, [load_profile(one) for one in profile_names()]) == name


def test_a_real_port_is_asked_at_each_rate_until_the_board_is_understood():
    arguments = ("--hears-rates", "--baud", "57600")
    with PtyMachine("marlin-2", arguments=arguments) as machine:
        found = probe_in_child(str(machine.port))
        machine.stop()
        facts = machine.log.read_text()
    assert (found.baud, found.dialect) == (57_600, "marlin")
    assert '"reset"' in facts, "opening it has reset the board"
    assert "M112" not in facts


def test_a_child_that_hangs_is_ended_and_told():
    with pytest.raises(PortError, match=r"port\.probe_hung"):
        probe_in_child("/dev/null", patience=0.01)


@pytest.mark.parametrize("wish", ["", "7", "[]", '{"id": "x"}', '{"port": 7, "id": null}', "{"])
def test_whatever_is_wished_for_is_answered(tmp_path, wish):
    wanted = tmp_path / "probe.wanted"
    wanted.write_text(wish)
    assert main(["--wanted", str(wanted)]) == 0
    assert not wanted.exists()
    assert json.loads((tmp_path / "probe.answer").read_text())["ok"] is False


def test_a_port_that_another_program_holds_is_not_even_opened():
    """ModemManager, say, takes no lock: only its open file tells."""
    script = (
        "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with PtyMachine("marlin-2") as machine:
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(machine.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            with pytest.raises(PortError) as caught:
                probe_in_child(str(machine.port))
            other.communicate()
        assert caught.value.code == "port.busy_by"
        assert caught.value.fields["pid"] == other.pid
        machine.stop()
        assert "M115" not in machine.log.read_text()
