"""Prompts whose buttons carry a command: shown with it, sent as shown, and nothing else."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects.actions import Action
from drivers.engine.prompting import Prompting, button_of, may_send
from drivers.profile import load_profile
from drivers.snapshot import Phase, Replied

KLIPPER = load_profile("klipper")


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


def respond(word: str) -> bytes:
    return b'RESPOND TYPE=command MSG="action:%s"' % word.encode()


CHANGE = [
    *map(respond, ["prompt_begin Filament", "prompt_text Put the blue one in"]),
    *map(respond, ["prompt_button Go on|RESUME|primary", "prompt_footer_button Stop|CANCEL_PRINT"]),
    respond("prompt_show"),
]
PRINT = [b"G28", b"G1X10Y10F3000", *CHANGE, b"PAUSE", b"G1X20", b"G1X30"]


def printing(lines=PRINT, wanted="paused"):
    plant = PLANT.Plant(firmware="klipper")
    plant.until("connected")
    assert plant.engine.start(PLANT.Lines(lines), plant.now)
    plant.until(wanted)
    return plant


def prompt_of(plant):
    return plant.engine.snapshot(plant.now).prompt


def executed(plant):
    return plant.executed()


def test_a_button_is_shown_with_its_command_and_sends_just_that():
    plant = printing()
    prompt = prompt_of(plant)
    assert prompt.text == "Filament – Put the blue one in"
    assert prompt.choices == ("Go on", "Stop")
    assert prompt.commands == ("RESUME", "CANCEL_PRINT")
    assert not plant.engine.answer(prompt.number + 1, 0, plant.now)
    assert not plant.engine.answer(prompt.number, 2, plant.now)
    assert plant.engine.answer(prompt.number, 0, plant.now)
    assert prompt_of(plant) is None
    plant.turn()
    said = next(event for event in plant.events if isinstance(event, Replied))
    plant.until("finished")
    assert said.answer == "Go on (RESUME)"
    assert [line for line in executed(plant) if "M876" in line or "M108" in line] == []
    assert executed(plant).count("RESUME") == 1
    assert executed(plant).index("RESUME") < executed(plant).index("G1X20")


def test_a_button_may_end_the_print():
    plant = printing()
    assert plant.engine.answer(prompt_of(plant).number, 1, plant.now)
    plant.until("cancelled")
    assert "G1X20" not in executed(plant)
    assert "M104 S0" in executed(plant)


def test_a_prompt_stays_when_a_waiting_line_ends_and_when_the_program_does():
    plant = printing([b"G28", *CHANGE, b"M400", b"G28", b"G1X5F3000"], "finished")
    prompt = prompt_of(plant)
    assert prompt is not None
    assert plant.engine.snapshot(plant.now).phase is Phase.IDLE
    assert plant.engine.snapshot(plant.now).message == ""
    assert plant.engine.answer(prompt.number, 0, plant.now)


def test_a_prompt_is_closed_by_the_machine_itself():
    plant = printing([b"G28", *CHANGE, b"G4P100", respond("prompt_end")], "prompted")
    assert prompt_of(plant) is not None
    plant.until("finished")
    assert prompt_of(plant) is None


def test_a_prompt_without_buttons_is_just_read():
    plant = printing([respond("prompt_begin Well done"), respond("prompt_show")], "finished")
    prompt = prompt_of(plant)
    before = len(executed(plant))
    assert (prompt.text, prompt.choices) == ("Well done", ())
    assert plant.engine.answer(prompt.number, 0, plant.now)
    assert prompt_of(plant) is None
    plant.run_for(5.0)
    assert set(executed(plant)[before:]) <= {"M105", "M114"}


def test_resume_does_not_press_a_button():
    plant = printing()
    assert not plant.engine.resume(plant.now)
    assert plant.engine.snapshot(plant.now).phase is Phase.PAUSED


def test_after_a_stop_a_button_sends_nothing():
    plant = printing()
    number = prompt_of(plant).number
    plant.engine.stop(plant.now)
    assert prompt_of(plant) is None
    assert not plant.engine.answer(number, 0, plant.now)


@pytest.mark.parametrize(
    "command",
    [
        *("SDCARD_PRINT_FILE FILENAME=x.gcode", "sdcard_print_file FILENAME=x", "M24", "M500"),
        *("RUN_SHELL_COMMAND CMD=x", "RESTART", "FORCE_MOVE STEPPER=stepper_x", "M112"),
        *("G28 ; home", "G1 X1\nM500", "G1 X1\x18", "x" * 97, "M117 \u00e4", "N3 M500"),
    ],
)
def test_a_command_that_may_not_be_sent_is_said_and_not_offered(command):
    prompting = Prompting()
    for word, text in [
        ("prompt_begin", "Now"),
        ("prompt_button", f"Do it|{command}"),
        ("prompt_button", "G28"),
    ]:
        prompting.hear(Action(word, text), KLIPPER)
    prompt = prompting.hear(Action("prompt_show"), KLIPPER)
    assert prompt is not None
    assert (prompt.choices, prompt.commands) == (("G28",), ("G28",))
    assert prompt.text == "Now [Do it]"


@given(text=st.text(max_size=200))
def test_whatever_a_button_says_what_is_sent_is_one_plain_line(text):
    label, command = button_of(text)
    prompting = Prompting()
    prompting.hear(Action("prompt_button", text), KLIPPER)
    prompt = prompting.hear(Action("prompt_show"), KLIPPER)
    assert prompt is not None
    assert len(prompt.choices) == len(prompt.commands) == may_send(command, KLIPPER)
    for sent in prompt.commands:
        assert sent.isascii()
        assert sent.isprintable()
        assert sent == command
        assert label


def test_where_buttons_are_numbers_a_bar_is_only_a_character():
    prompting = Prompting()
    prompting.hear(Action("prompt_button", "Go|M500"), load_profile("marlin-2"))
    prompt = prompting.hear(Action("prompt_show"), load_profile("marlin-2"))
    assert prompt is not None
    assert (prompt.choices, prompt.commands) == (("Go|M500",), ())
    assert replace(prompt, number=9).to_json()["commands"] == []
