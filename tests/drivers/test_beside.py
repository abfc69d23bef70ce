"""Lines beside the numbered window: each leaves the ring with its answer or with a later one."""

import pytest

from drivers.beside import Beside
from drivers.flow import Line, NumberedWindow, Part

MOVE = Line(b"G1 X10 Y10 F6000", Part.PROGRAM, 0)
ASK = Line(b"M105", Part.ASK)


@pytest.fixture
def window():
    return NumberedWindow(127, 3, 4, kept=6)


def test_a_line_beside_is_answered_in_its_place(window):
    window.send(MOVE)
    window.beside.add(6, window.next)
    window.send(MOVE)
    assert not window.beside.answered(window.first), "the first answer is that of the first line"
    window.answered()
    assert window.beside.answered(window.first)
    assert window.beside.bytes == 0
    assert not window.beside.answered(window.first)


def test_bytes_that_get_no_answer_are_read_before_what_does():
    beside = Beside()
    beside.add(1, 5, answers=False)
    beside.add(9, 5)
    assert beside.answered(5)
    assert (beside.bytes, len(beside)) == (0, 0)


def test_what_is_unanswered_stays_in_the_ring_when_the_numbers_begin_anew(window):
    sizes = [len(window.send(line)) for line in (MOVE, ASK, MOVE)]
    window.beside.add(6, window.next)
    window.restart()
    assert window.unanswered == window.bytes == 0
    assert window.beside.bytes == sum(sizes) + 6
    assert window.beside.answered(window.first)
    assert window.beside.answered(window.first), "a plain answer too many is none to M105"
    assert window.beside.bytes == sum(sizes[1:]) + 6
    window.send(ASK)
    assert window.answered_ask() is None, "that was for the M105 from before"
    assert window.beside.bytes == sizes[2] + 6
    assert window.answered_ask() == [ASK]
    assert window.beside.bytes == 0


def test_nothing_goes_that_does_not_fit_beside_them(window):
    for _ in range(3):
        window.beside.add(30, window.next)
    assert window.may_send(MOVE)
    window.beside.add(20, window.next)
    assert not window.may_send(MOVE)
    window.beside.read_before(window.next)
    assert window.may_send(MOVE)


def test_an_emergency_stop_always_finds_room(window):
    long = Line(b"G1 X100 Y100 Z10 E0.1234", Part.PROGRAM, 0)
    while window.may_send(long) or window.may_ask(ASK, taken=False):
        window.send(long if window.may_send(long) else ASK)
        if window.is_asking:
            break
    assert window.bytes <= 127 + 4 * 40
    window = NumberedWindow(127, 1_000, 0, kept=6)
    while window.may_send(MOVE):
        window.send(MOVE)
    assert window.bytes + 6 <= 127
    assert not window.has_room(127 - window.bytes - 5)
    window.keep_free(0)
    assert window.has_room(127 - window.bytes)


def test_a_refused_line_takes_with_it_what_came_behind_it(window):
    window.send(MOVE)
    window.beside.add(6, window.next)
    window.send(MOVE)
    window.beside.add(9, window.next)
    window.resend(2)
    assert window.beside.bytes == 0
    assert len(window.beside) == 1, "the first one was taken and will be answered"


def test_an_answer_of_another_look_settles_the_questions_before_it(window):
    where = Line(b"M114", Part.PLACE)
    for line in (ASK, ASK, where):
        window.send(line)
    assert window.answered_before(b"M114", only_asks=True) == [ASK, ASK]
    assert window.oldest is where
    window.send(MOVE)
    window.send(where)
    window.answered()
    assert window.answered_before(b"M114", only_asks=True) == [], "a move may have been lost"
    assert window.answered_before(b"M114", only_asks=False) == [MOVE]
