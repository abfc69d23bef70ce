"""Each sort of misfortune, on every simulated machine: it comes when it is due, and only then."""

from __future__ import annotations

import pytest

from drivers.profile import load_profile
from drivers.simulators import FAULTS, SIMULATORS, Firmware, Wishes, build

READY = 3.0
# A line that takes no time, its answer, and what a board says when it has started.
LINE = {"marlin": "G4 P0", "grbl": "G4 P0", "farmbot": "F42 P13 M0 Q{}"}
ANSWER = {"marlin": "ok", "grbl": "ok", "farmbot": "R02 Q{}"}
OWN_ANSWER = {"repetier": "ok 0"}  # the number of the last line that had one
BUSY = {"repetier": "busy:processing", "klipper": "", "smoothieware": ""}  # else as Marlin
OWN_GREETING = {"smoothieware": "Smoothie", "klipper": "Klipper state: Ready"}
MUTE = {"reprapfirmware"}  # says nothing when it has started
GREETING = {"marlin": "start", "grbl": "for help]", "farmbot": "STARTUP"}


class Talk:
    """A board, and what it said to lines given one a second."""

    def __init__(self, name: str, *faults: str, seed: int = 1) -> None:
        self.machine: Firmware = build(name, Wishes(seed=seed, faults=faults))
        self.name, self.dialect = name, load_profile(name).dialect
        self.now, self.count, self.heard = READY, 0, ""
        self.machine.read(READY)

    def say(self, lines: int = 1, every: float = 1.0) -> str:
        heard = ""
        for _ in range(lines):
            self.count += 1
            self.machine.write(f"{LINE[self.dialect].format(self.count)}\n".encode(), self.now)
            self.now += every
            heard += self.machine.read(self.now).decode("ascii", "replace")
        self.heard += heard
        return heard

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return self.machine.read(self.now).decode("ascii", "replace")

    def answer(self, number: int) -> str:
        return OWN_ANSWER.get(self.name) or ANSWER[self.dialect].format(number)

    def answers(self, text: str) -> int:
        if self.dialect == "farmbot":
            return sum(text.count(f"{self.answer(n)}\r\n") for n in range(1, self.count + 1))
        return text.count("ok")

    @property
    def executed(self) -> int:
        return len(self.machine.record.of("executed"))


@pytest.mark.parametrize("name", SIMULATORS)
def test_an_answer_can_be_lost_doubled_merged_or_late(name: str) -> None:
    assert Talk(name).say(4).count(Talk(name).answer(2)) >= 1
    lost, doubled = Talk(name, "lost-ok-at=2"), Talk(name, "doubled-ok-at=2")
    assert lost.answers(lost.say(4)) == 3
    assert doubled.answers(doubled.say(4)) == 5
    merged = Talk(name, "merged-ok-at=2")
    assert merged.say(2).endswith(merged.answer(2)), "its newline is missing"
    assert merged.say(1)[:1] not in ("\r", "\n"), "and what comes next sticks to it"
    late = Talk(name, "late-ok-at=2")
    assert late.answers(late.say(2)) == 1
    assert late.answers(late.say(1)) == 0, "what follows is held up as well"
    assert late.answers(late.wait(10.0)) == 2
    assert {talk.executed for talk in (lost, doubled)} == {4}


@pytest.mark.parametrize("fault", ["lost-ok", "doubled-ok", "merged-ok", "late-ok"])
def test_misfortunes_of_answers_also_come_by_chance(fault: str) -> None:
    def spoiled(seed: int) -> list[object]:
        talk = Talk("marlin-2", f"{fault}=0.3", seed=seed)
        talk.say(30)
        return [fact["at_s"] for fact in talk.machine.record.of("fault")]

    assert 2 < len(spoiled(1)) < 20
    assert spoiled(1) == spoiled(1)
    assert spoiled(1) != spoiled(2)


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_reset_is_a_greeting_and_a_brown_out_is_none(name: str) -> None:
    greeting = OWN_GREETING.get(name, GREETING[load_profile(name).dialect])
    assert name in MUTE or greeting in Talk(name, "reset-at-line=2").say(6)
    dark = Talk(name, "brownout-at-line=2")
    said = dark.say(2) + dark.wait(3.5)
    assert greeting not in said
    assert dark.machine.record.of("reset")
    assert dark.answers(dark.say(2)) == 2, "and then it works as if nothing had been"


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_stalled_board_takes_nothing_and_loses_nothing(name: str) -> None:
    talk = Talk(name, "stall-at-line=2")
    talk.say(2)
    assert talk.machine.room(4096) == 0, "so that the host's queue fills"
    assert talk.answers(talk.say(1)) == 0
    assert talk.answers(talk.wait(20.0)) == 1
    assert talk.machine.room(4096) > 0
    assert (talk.executed, talk.machine.overflowed) == (3, 0)


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_line_can_take_twenty_minutes_and_is_answered_then(name: str) -> None:
    talk = Talk(name, "busy-at-line=2")
    said = talk.say(2) + talk.wait(1100.0)
    assert talk.executed == 1
    if talk.dialect == "marlin":
        assert said.count(BUSY.get(name, "busy: processing")) > 500 or BUSY.get(name) == ""
    if talk.dialect == "grbl":
        talk.machine.write(b"?", talk.now)
        assert talk.wait(0.1).startswith("<")
    later = 0 if name == "repetier" else 1  # it answers when it takes a line
    assert talk.answers(talk.wait(120.0)) == later
    assert talk.executed == 2


MOVES = {
    "marlin": [b"G28", b"G1 X90 F600"],
    "grbl": [b"G1X90F600", b"!"],
    "farmbot": [b"G00 X900 Q1", b"F11 Q2"],
}


@pytest.mark.parametrize("name", SIMULATORS)
@pytest.mark.parametrize("doing", ["booting", "idle", "first", "second"])
def test_an_alarm_comes_in_every_state_and_ends_all_motion(name: str, doing: str) -> None:
    at = {"booting": 1, "idle": 4}.get(doing, 5)
    machine = build(name, Wishes(faults=(f"alarm-at-s={at}",)))
    dialect = load_profile(name).dialect
    machine.read(READY)
    if doing in ("first", "second"):
        words = MOVES[dialect][: 2 if doing == "second" and dialect == "grbl" else 1]
        if doing == "second" and dialect != "grbl":
            words = MOVES[dialect][1:]
        for word in words:
            machine.write(word + (b"" if word == b"!" else b"\n"), 4.0)
    machine.read(6.0)
    assert [fact["fault"] for fact in machine.record.of("fault")] == ["alarm"]
    assert not machine.planner.is_moving
    done = machine.executed
    machine.write(MOVES[dialect][0] + b"\n", 6.5)
    machine.read(30.0)
    moved = [fact for fact in machine.record.of("executed")[done:] if not fact.get("error")]
    # A Prusa MK3 restarts by itself and obeys again.
    assert not moved or doing == "booting" or name == "prusa-mk3"


def test_a_resend_can_come_without_its_ok() -> None:
    for fault, oks in (("resend-burst=1", 1), ("resend-without-ok=1", 0)):
        machine = build("marlin-2", Wishes(faults=(fault,)))
        machine.read(READY)
        machine.write(b"N5 G4 P0*0\n", READY)
        said = machine.read(READY + 1.0)
        assert (said.count(b"Resend: 1\n"), said.count(b"ok\n")) == (1, oks)


def test_an_overflow_is_on_the_record() -> None:
    for name in SIMULATORS:
        machine = build(name, Wishes(faults=("busy-at-line=1",), cpu=0.0))
        machine.read(READY)
        machine.write(b"G4 P0\n" if name != "farmbot" else b"F42 P13 M0 Q1\n", READY)
        machine.read(READY + 1.0)
        machine.write(b"G1 X1\n" * 2000, READY + 1.0)
        machine.read(READY + 60.0)
        assert machine.record.of("overflowed"), name
        assert machine.overflowed > 0


def test_every_fault_has_a_word_on_what_it_does() -> None:
    assert all(len(meaning) > 10 for meaning in FAULTS.values())
