"""Where cuts lie with the offsets of now, and what is said of those that do not fit."""

from __future__ import annotations

from jobs.domain.placing import Box, keep_outs, misplaced, shift_of
from jobs.domain.policy import Reason

REACH = Box((-300.0, -400.0, -80.0), (0.0, 0.0, 0.0))
CUT = Box((0.0, 0.0, -5.0), (100.0, 50.0, 10.0))


def said(placed: Box) -> list[tuple[Reason, object]]:
    return [(one.reason, one.fields["axis"]) for one in misplaced(placed, REACH)]


def test_a_work_zero_is_that_of_its_system_with_g92_and_tool_length() -> None:
    offsets = {"G55": (-200.0, -300.0, -60.0), "G92": (1.0, 2.0, 3.0), "TLO": (10.0,)}
    assert shift_of(offsets, "G55") == (-199.0, -298.0, -47.0)
    assert shift_of(offsets, "G54") is None


def test_what_fits_is_silent_and_every_axis_that_does_not_is_named() -> None:
    assert said(CUT.moved((-250.0, -350.0, -60.0))) == []
    assert said(CUT.moved((-50.0, -410.0, -78.0))) == [
        (Reason.OUTSIDE_NOW, "X"),
        (Reason.OUTSIDE_NOW, "Y"),
        (Reason.OUTSIDE_NOW, "Z"),
    ]


def test_the_length_of_a_tool_alone_can_take_a_cut_out_of_reach() -> None:
    offsets = {"G54": (-250.0, -350.0, -70.0)}
    assert said(CUT.moved(shift_of(offsets, "G54"))) == []
    longer = shift_of({**offsets, "TLO": (-10.0,)}, "G54")
    assert said(CUT.moved(longer)) == [(Reason.OUTSIDE_NOW, "Z")]


def test_a_box_that_is_only_touched_is_not_met() -> None:
    clamp, plate = keep_outs([-150, -300, -80, -100, -200, 0, -300, -400, -80, -250, -350, 0])
    touching, reaching = CUT.moved((-250.0, -350.0, -60.0)), CUT.moved((-240.0, -340.0, -60.0))
    assert [touching.meets(box) for box in (clamp, plate)] == [False, False]
    assert [reaching.meets(box) for box in (clamp, plate)] == [True, False]


def test_a_straight_move_may_pass_beside_a_box_that_its_bounds_meet() -> None:
    (box,) = keep_outs([10, 0, -5, 20, 10, 5])
    assert box.meets(Box((0.0, 0.0, 0.0), (15.0, 20.0, 1.0)))
    assert not box.crossed((0.0, 0.0, 0.0), (15.0, 20.0, 0.0))
    assert box.crossed((0.0, 0.0, 0.0), (30.0, 10.0, 0.0))
    assert not box.crossed((10.0, -5.0, 0.0), (10.0, 15.0, 0.0))  # along its side
