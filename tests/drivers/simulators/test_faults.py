"""Misfortune is seeded, and each sort of it does what its name says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.simulators import Faults, Firmware, Wishes, build


def board(*faults: str, profile: str = "marlin-2", seed: int = 1) -> Firmware:
    return build(profile, Wishes(seed=seed, faults=faults))


def talk(machine: Firmware, lines: int) -> str:
    machine.read(3.0)
    heard = ""
    for i in range(lines):
        machine.write(b"G4 P0\n", 3.0 + i)
        heard += machine.read(4.0 + i).decode("ascii", "replace")
    return heard


@given(st.binary(max_size=300), st.integers(0, 99))
def test_the_same_seed_spoils_the_same_bytes(data: bytes, seed: int) -> None:
    specs = ["corrupt-in=0.1", "drop-in=0.1"]
    first, second = Faults(specs, seed), Faults(specs, seed)
    assert first.incoming(data) == second.incoming(data)
    assert Faults([], seed).incoming(data) == data


def test_a_flip_changes_exactly_one_bit() -> None:
    data = bytes(range(128))
    spoiled = Faults(["corrupt-out=1"], 3).outgoing(data)
    assert all((a ^ b).bit_count() == 1 for a, b in zip(data, spoiled, strict=True))


def test_a_lost_answer_is_only_not_heard() -> None:
    machine = board("lost-ok-at=2")
    assert talk(machine, 4) == "ok\n" * 3
    assert len(machine.record.of("executed")) == 4
    assert talk(board("lost-ok=1"), 4) == ""


def test_a_reset_in_mid_program_is_a_greeting() -> None:
    heard = talk(board("reset-at-line=2"), 6)
    assert heard.startswith("ok\n")
    assert "start\nMarlin 2.1.2\n" in heard
    assert "ALARM" not in talk(board("reset-at-line=2", profile="grbl-1.1"), 6)


def test_silence_lasts_until_a_reset() -> None:
    machine = board("silence-at-line=2")
    assert talk(machine, 5) == "ok\nok\n"
    machine.reset(9.0)
    assert machine.read(12.0).startswith(b"start\n")


def test_an_open_thermistor_halts_the_printer() -> None:
    heard = talk(board("thermistor-at-line=2"), 5)
    assert heard.endswith(
        "Error:MINTEMP triggered, system stopped! Heater_ID: E0\n"
        "Error:Printer halted. kill() called!\n"
    )


def test_resends_come_in_bursts() -> None:
    machine = board("resend-burst=3")
    machine.read(3.0)
    machine.write(b"N5 G4 P0*0\n", 3.0)
    assert machine.read(4.0).count(b"Resend: 1\n") == 3
