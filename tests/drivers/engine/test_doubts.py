"""What a Marlin says that must not be believed, and when its express lane must stay closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.engine import MarlinEngine
from drivers.flow import Line, NumberedWindow
from drivers.profile import load_profile
from drivers.snapshot import Said
from tests.drivers.engine import marlin_model

PROFILE = replace(load_profile("marlin-2"), boot_wait_s=0.1)
MOVES = [b"G1 X%d Y5" % n for n in range(300)]


@pytest.fixture
def streaming() -> tuple[MarlinEngine, float]:
    """Return an engine in mid-program, with answers owed, and the time."""
    engine, board, now = MarlinEngine(PROFILE, 0.0), marlin_model.MarlinModel(), 0.0
    engine.connect(now)
    for _ in range(2_000):
        now += 0.01
        board.write(engine.urgent_to_send(now) + engine.data_to_send(now))
        told = engine.receive(board.step(), now)
        if any(event.kind == "connected" for event in told):
            assert engine.start(marlin_model.Lines(MOVES), now, "run")
        if engine.reached()[1] > 40 and engine.lane() is not None:
            return engine, now
    raise AssertionError("it never streamed")


def numbers(engine: MarlinEngine) -> tuple[int, int]:
    """Return the numbers of the oldest unanswered line and of the next one."""
    return engine._window.first, engine._window.next


def test_a_lone_request_for_an_answered_line_goes_back_nowhere(streaming):
    engine, now = streaming
    before = numbers(engine)
    told = engine.receive(b"Resend: %d\n" % (before[0] - 5), now)
    assert "resent" not in [event.kind for event in told]
    assert numbers(engine) == before


def test_a_request_that_its_last_line_contradicts_goes_back_nowhere(streaming):
    engine, now = streaming
    first, following = numbers(engine)
    said = b"Error:checksum mismatch, Last Line: %d\nResend: %d\n" % (first - 1, first + 1)
    told = engine.receive(said, now)
    assert "resent" not in [event.kind for event in told]
    assert numbers(engine) == (first, following)


def test_a_request_that_agrees_with_its_last_line_goes_back(streaming):
    engine, now = streaming
    first, _ = numbers(engine)
    said = b"Error:checksum mismatch, Last Line: %d\nResend: %d\n" % (first - 1, first)
    assert "resent" in [event.kind for event in engine.receive(said, now)]


@pytest.mark.parametrize("number", [-1, 0, 5, 1_000])
def test_a_window_goes_back_to_no_number_it_does_not_know(number):
    window = NumberedWindow(96, 4)
    sent = [window.send(Line(b"G1 X%d" % n)) for n in range(3)]
    assert window.resend(number) is None
    assert (window.first, window.next, window.again, window.narrow) == (1, 4, None, False)
    assert window.bytes == sum(map(len, sent))


@pytest.mark.parametrize("bare", [b"ok\n", b"ok P15\n"])
def test_an_ok_without_number_answers_nothing_where_answers_have_numbers(streaming, bare):
    engine, now = streaming
    for _ in range(2):
        engine.receive(b"ok N%d P15 B3\n" % numbers(engine)[0], now)
        engine.data_to_send(now)
    before = numbers(engine)
    engine.receive(bare, now)
    assert numbers(engine) == before


@pytest.mark.parametrize("guard", ["_strikes", "_same_resends", "_asked", "_events", "_prompting"])
def test_the_lane_is_closed_while_an_answer_may_mean_more(streaming, guard):
    engine, now = streaming
    assert engine.lane() is not None
    if guard == "_prompting":
        engine.receive(b"//action:prompt_begin x\n//action:prompt_show\n", now)
        assert engine._prompting.open is not None
    elif guard == "_events":
        engine._events.append(Said("x"))
    else:
        setattr(engine, guard, 1)
    assert engine.lane() is None
