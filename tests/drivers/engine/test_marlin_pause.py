"""Pause with intent: park, keep, come back exactly; what the machine asks, and the answers."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.profile import load_profile
from drivers.snapshot import Attention, Paused, Phase, Prompted, Replied


def _plant() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    file = Path(__file__).with_name("plant.py")
    spec = importlib.util.spec_from_file_location("plant", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANT = _plant()
PROFILE = load_profile("marlin-2")
HEAD = [b"G28", b"M109S200", b"M106S128", b"G1Z0.3F1200"]

_PLACE = st.integers(0, 20_000).map(lambda n: n / 100.0)
_LENGTH = st.integers(1, 300).map(lambda n: n / 1000.0)
# What a slicer or a person may write between two moves.
_SWITCH = st.sampled_from(
    [b"M82", b"M83", b"G92E0", b"G90", b"G91", b"T0", b"M107", b"G1F1800", b"G0F3000", b"G1Z2.4"]
)


@st.composite
def programs(draw: st.DrawFn) -> list[bytes]:
    """Printing lines in any modes; places stay inside the machine whatever is in force."""
    lines: list[bytes] = []
    relative = shifts = False
    e = 0.0
    for _ in range(draw(st.integers(5, 25))):
        if draw(st.integers(0, 3)) == 0:
            word = draw(_SWITCH)
            relative = word == b"G91" or (relative and word != b"G90")
            shifts = word in (b"M83", b"G91") or (shifts and word not in (b"M82", b"G90"))
            e = 0.0 if word == b"G92E0" else e
            lines.append(b"G1Z0.2" if word == b"G1Z2.4" and relative else word)
            continue
        step = draw(_LENGTH)
        e += step
        pushed = step if shifts else e
        x, y = (step, step / 2) if relative else (draw(_PLACE), draw(_PLACE))
        lines.append(b"G1X%.3fY%.3fE%.4f" % (x, y, pushed))
    return [*lines, b"G1X10Y10"]


@settings(max_examples=40, deadline=None)
@given(program=programs(), at=st.integers(0, 24), twice=st.booleans())
def test_the_part_is_the_same_whether_anyone_paused_or_not(program, at, twice):
    """Pause and resume anywhere in any program leave the extruded path as it was."""
    lines = [*HEAD, *program]
    calm = PLANT.Plant()
    calm.start(lines)
    calm.until("finished")
    plant = PLANT.Plant()
    plant.start(lines)
    for place in (at, at + 3) if twice else (at,):
        while plant.engine.snapshot(0.0).sent < min(len(HEAD) + place, len(lines)):
            plant.turn()
        if not plant.engine.pause(plant.now):
            break  # it was over already
        plant.until("paused")
        plant.run_for(3.0)
        assert plant.engine.resume(plant.now)
        plant.until("resumed")
    plant.until("finished")
    assert len(plant.path) == len(calm.path)
    for got, wanted in zip(plant.path, calm.path, strict=True):
        assert got[0] == pytest.approx(wanted[0], abs=1e-4)
        assert got[1] == pytest.approx(wanted[1], abs=1e-4)
    assert plant.board._relative == calm.board._relative
    assert plant.board._feed == pytest.approx(calm.board._feed)
    assert plant.board.fan == calm.board.fan
    assert not plant.board.record.of("struck")
    assert not plant.board.record.of("clamped")


def paused_plant(*options: str, profile=PROFILE, room=PLANT.ROOM, head=HEAD):
    plant = PLANT.Plant(*options, profile=profile, room=room)
    plant.start([*head, *(b"G1X%dY50E%.2f" % (n, n / 50) for n in range(1, 200))])
    while plant.engine.snapshot(0.0).sent < 40:
        plant.turn()
    assert plant.engine.pause(plant.now)
    plant.until("paused")
    return plant


def test_a_paused_printer_pulls_back_lifts_and_waits_at_its_parking_place() -> None:
    plant = paused_plant()
    x, y, z, _ = plant.board.planner.position(plant.now)
    assert (x, y) == (0.0, 220.0)
    assert z == pytest.approx(5.3)
    assert plant.board.nozzle.target == 200.0
    assert plant.engine.snapshot(plant.now).step == "parked"
    before = len(plant.executed())
    plant.run_for(20.0)
    assert len(plant.executed()) - before < 15  # only questions for the temperature


def test_a_printer_that_has_not_homed_does_not_move_when_it_is_paused() -> None:
    plant = paused_plant(head=[b"M302P1"])
    assert not plant.board.record.of("struck")
    assert plant.engine.snapshot(plant.now).step == "parked"
    assert not [line for line in plant.executed() if line.startswith("G1 Z")]


def test_the_place_of_an_earlier_pause_is_not_taken_for_this_ones() -> None:
    """M114 may be lost; then the program's own text counts, not what was told long ago."""
    plant = PLANT.Plant()
    plant.start([*HEAD, b"G1X10Y10F600", *[b"G1X%dY20" % x for x in range(20, 120, 5)]])
    while plant.engine.snapshot(0.0).sent < 8:
        plant.turn()
    assert plant.engine.pause(plant.now)
    plant.until("paused")
    assert plant.engine.snapshot(plant.now).position
    assert plant.engine.resume(plant.now)
    plant.until("resumed")
    assert plant.engine.pause(plant.now)
    assert plant.engine.snapshot(plant.now).position == {}


def test_without_an_envelope_it_lifts_but_does_not_travel() -> None:
    plant = paused_plant(room=None)
    x, y, z, _ = plant.board.planner.position(plant.now)
    assert y == pytest.approx(50.0)
    assert x > 0.0
    assert z == pytest.approx(5.3)


def test_a_nozzle_that_waited_too_long_goes_cold_and_is_heated_before_it_goes_back() -> None:
    pause = replace(PROFILE.pause, cool_after_s=30.0)
    plant = paused_plant(profile=replace(PROFILE, pause=pause))
    plant.run_for(29.0)
    assert plant.board.nozzle.target == 200.0
    plant.run_for(3.0)
    assert plant.board.nozzle.target == 0.0
    assert plant.engine.snapshot(plant.now).step == "cooled"
    plant.run_for(300.0)
    assert plant.board.nozzle.temperature(plant.now) < 100.0
    assert plant.engine.resume(plant.now)
    plant.run_for(5.0)
    assert plant.engine.snapshot(plant.now).step == "heating"
    assert plant.board.planner.position(plant.now)[1] == pytest.approx(220.0)
    plant.until("resumed", turns=200_000)
    assert plant.board.nozzle.temperature(plant.now) > 195.0
    plant.until("finished")
    assert not plant.board.record.of("cold-extrusion")


def test_a_heat_up_that_never_ends_leaves_it_parked_and_says_so() -> None:
    pause = replace(PROFILE.pause, cool_after_s=10.0, park_s=20.0, heat_s=40.0)
    plant = paused_plant(profile=replace(PROFILE, pause=pause))
    plant.run_for(400.0)
    plant.board.nozzle._rise = 50.0
    assert plant.engine.resume(plant.now)
    plant.run_for(70.0)
    assert "machine.resume_late" in _codes(plant)
    assert plant.engine.phase is Phase.PAUSED
    assert plant.board.nozzle.target == 0.0
    assert plant.engine.cancel(plant.now)
    plant.until("cancelled")


def test_a_pause_that_is_never_confirmed_has_an_end() -> None:
    pause = replace(PROFILE.pause, park_s=10.0)
    plant = PLANT.Plant(profile=replace(PROFILE, pause=pause, silence_s=300.0, answer_s=200.0))
    plant.start([*HEAD, *(b"G1X%dY50E%.2f" % (n, n / 50) for n in range(1, 200))])
    while plant.engine.snapshot(0.0).sent < 40:
        plant.turn()
    plant.board.is_silent = True
    assert plant.engine.pause(plant.now)
    plant.run_for(15.0)
    assert "machine.pause_late" in _codes(plant)
    assert any(isinstance(event, Paused) for event in plant.events)


@pytest.mark.parametrize("when", ["halting", "parking", "parked", "cooled", "heating", "returning"])
def test_cancel_works_in_every_step_of_a_pause(when: str) -> None:
    pause = replace(PROFILE.pause, cool_after_s=30.0)
    plant = PLANT.Plant(profile=replace(PROFILE, pause=pause), cpu=1.0)
    plant.start([*HEAD, *(b"G1X%dY50E%.2f" % (n, n / 50) for n in range(1, 200))])
    while plant.engine.snapshot(0.0).sent < 40:
        plant.turn()
    plant.engine.pause(plant.now)
    if when not in ("halting", "parking"):
        plant.until("paused")
    if when in ("cooled", "heating"):
        plant.run_for(200.0)
    if when in ("heating", "returning"):
        assert plant.engine.resume(plant.now)
    for _ in range(20_000):
        if plant.engine.snapshot(plant.now).step == when:
            break
        plant.turn()
    assert plant.engine.snapshot(plant.now).step == when
    assert plant.engine.cancel(plant.now)
    plant.until("cancelled")
    assert plant.board.nozzle.target == 0.0
    assert plant.engine.phase is Phase.IDLE
    assert plant.engine.snapshot(plant.now).step == ""


@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0, 2.5])
def test_who_changes_their_mind_on_the_way_to_the_parking_place_loses_nothing(after_s) -> None:
    lines = [*HEAD, *(b"G1X%dY50E%.2f" % (n, n / 50) for n in range(1, 120))]
    calm = PLANT.Plant(cpu=1.0)
    calm.start(lines)
    calm.until("finished")
    plant = PLANT.Plant(cpu=1.0)
    plant.start(lines)
    while plant.engine.snapshot(0.0).sent < 60:
        plant.turn()
    plant.engine.pause(plant.now)
    plant.run_for(after_s)
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    assert len(plant.path) == len(calm.path)
    for got, wanted in zip(plant.path, calm.path, strict=True):
        assert got[1] == pytest.approx(wanted[1], abs=1e-4)


# -- prompts and actions --------------------------------------------------------------------------


def _codes(plant) -> list[str]:
    return [event.code for event in plant.events if isinstance(event, Attention)]


def _prompt(plant):
    plant.until("prompted")
    prompt = plant.engine.snapshot(plant.now).prompt
    assert prompt is not None
    return prompt


@pytest.mark.parametrize("options", [(), ("emergency-parser",), ("emergency-parser", "prompts")])
def test_m0_is_shown_answered_and_followed_by_every_line_once(options) -> None:
    plant = PLANT.Plant(*options)
    program = [b"G28", b"G1X5F6000", b"M0 Turn the plate", *(b"G1X%d" % n for n in range(40))]
    plant.start(program)
    prompt = _prompt(plant)
    if "prompts" in options:
        assert (prompt.text, prompt.choices) == ("Turn the plate", ("Continue",))
    else:
        # This one has no words of its own: those of the program.
        assert (prompt.text, prompt.choices) == ("Turn the plate", ())
    assert plant.engine.snapshot(plant.now).notice == ""
    plant.run_for(30.0)
    assert plant.engine.snapshot(plant.now).prompt == prompt
    assert not plant.engine.answer(prompt.number + 1, 0, plant.now)
    assert not plant.engine.answer(prompt.number, 1, plant.now)
    assert plant.engine.answer(prompt.number, 0, plant.now)
    assert not plant.engine.answer(prompt.number, 0, plant.now)
    plant.until("replied")
    plant.until("finished")
    assert plant.engine.snapshot(plant.now).prompt is None
    moves = [line for line in plant.executed() if line.startswith("G1")]
    assert moves == [line.decode() for line in program if line.startswith(b"G1")]
    assert not plant.board.overflowed


def test_on_a_firmware_that_says_nothing_the_programs_words_are_shown_while_it_waits() -> None:
    plant = PLANT.Plant()
    words = b"Turn\x07  " + b"x" * 60
    plant.start([b"M113S0", b"G28", b"M0S20 " + words, *(b"G1X%d" % n for n in range(9))])
    plant.run_for(20.0)
    assert plant.engine.snapshot(plant.now).at_work == "M0"
    assert plant.engine.snapshot(plant.now).notice == "Turn " + "x" * 60
    assert plant.engine.snapshot(plant.now).prompt is None
    plant.until("finished")
    assert plant.engine.snapshot(plant.now).notice == ""


def test_the_answer_carries_the_words_of_the_choice() -> None:
    plant = PLANT.Plant("emergency-parser", "prompts")
    plant.start([b"G28", b"M600", b"G1X5"])
    plant.engine.answer(_prompt(plant).number, 0, plant.now)
    purge = _prompt(plant)
    assert purge.choices == ("PurgeMore", "Continue")
    assert plant.engine.phase is Phase.PAUSED  # the machine said so itself
    assert plant.engine.snapshot(plant.now).step == "at-machine"
    assert not plant.engine.resume(plant.now)  # which answer that would be is a person's to say
    plant.engine.answer(purge.number, 0, plant.now)
    again = _prompt(plant)
    assert again.number > purge.number
    assert len(plant.board.record.of("purged")) == 2
    plant.engine.answer(again.number, 1, plant.now)
    plant.run_for(0.5)
    replied = [event for event in plant.events if isinstance(event, Replied)]
    assert [(one.text, one.answer) for one in replied] == [("Paused", "Continue")]
    plant.until("resumed")
    plant.until("finished")
    assert [fact["choice"] for fact in plant.board.record.of("responded")] == [0, 0, 1]


def test_a_prompt_answered_at_the_machine_itself_closes() -> None:
    plant = PLANT.Plant()
    plant.start([b"G28", b"M0 S5", *(b"G1X%d" % n for n in range(40))])
    _prompt(plant)
    plant.until("finished")
    assert plant.engine.snapshot(plant.now).prompt is None
    assert plant.engine.snapshot(plant.now).message == ""


def test_cancel_ends_a_wait_for_a_person() -> None:
    plant = PLANT.Plant("emergency-parser", "prompts")
    plant.start([b"G28", b"M0 Wait", b"G1X5"])
    _prompt(plant)
    assert plant.engine.cancel(plant.now)
    plant.until("cancelled")
    assert plant.engine.snapshot(plant.now).prompt is None


def say(plant, text: str) -> None:
    plant.events += plant.engine.receive(f"{text}\n".encode(), plant.now)


def running_plant(**changes):
    plant = PLANT.Plant(profile=replace(PROFILE, **changes))
    plant.start([*HEAD, *(b"G1X%dY50F9000" % (n % 200 + 1) for n in range(400))])
    while plant.engine.snapshot(0.0).sent < 20:
        plant.turn()
    plant.events.clear()
    return plant


def test_pause_asks_the_host_to_pause_and_resume_to_go_on() -> None:
    plant = running_plant()
    say(plant, "//action:pause")
    plant.until("paused")
    assert plant.engine.snapshot(plant.now).step == "parked"
    say(plant, "// action:resume")
    plant.until("resumed")
    plant.until("finished")


def test_paused_and_resumed_tell_what_the_machine_did_and_nothing_is_sent_for_it() -> None:
    plant = running_plant()
    before = len(plant.executed())
    say(plant, "//action:paused")
    assert [event for event in plant.events if isinstance(event, Paused)] == [Paused("machine")]
    plant.run_for(10.0)
    sent = [line for line in plant.executed()[before:] if not line.startswith(("G1", "M105"))]
    assert sent == []
    assert plant.engine.snapshot(plant.now).step == "at-machine"
    say(plant, "//action:resumed")
    plant.until("finished")


def test_the_machine_may_cancel_but_neither_start_nor_shut_anything_down() -> None:
    plant = running_plant()
    say(plant, "//action:start")
    say(plant, "//action:shutdown")
    assert _codes(plant) == ["machine.asks_start", "machine.shutdown_ignored"]
    assert plant.engine.phase is Phase.STREAMING
    say(plant, "//action:cancel")
    plant.until("cancelled")


def test_a_shutdown_that_the_profile_allows_ends_the_run_in_good_order() -> None:
    plant = running_plant(obeys_shutdown=True)
    say(plant, "//action:shutdown")
    plant.until("cancelled")
    assert plant.board.nozzle.target == 0.0


def test_a_notification_is_shown_and_kept_short() -> None:
    plant = running_plant()
    say(plant, "//action:notification <b>Layer</b> " + "x" * 900)
    notice = plant.engine.snapshot(plant.now).notice
    assert notice.startswith("<b>Layer</b> x")
    assert len(notice) == 400


def test_a_prompt_is_bounded_however_much_the_machine_says() -> None:
    plant = running_plant()
    say(plant, "//action:prompt_begin " + "q" * 900)
    for number in range(50):
        say(plant, f"//action:prompt_choice {number} " + "c" * 300)
    say(plant, "//action:prompt_show")
    prompt = plant.engine.snapshot(plant.now).prompt
    assert len(prompt.text) == 400
    assert len(prompt.choices) == 8
    assert max(len(choice) for choice in prompt.choices) == 80
    say(plant, "//action:prompt_show")
    assert len([event for event in plant.events if isinstance(event, Prompted)]) == 1
    say(plant, "//action:prompt_end")
    assert plant.engine.snapshot(plant.now).prompt is None
