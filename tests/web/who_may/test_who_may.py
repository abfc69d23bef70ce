"""Every route of pages and API × every role: sent for real, and compared with `matrix.txt`.

`FABNODE_WRITE_MATRIX=1 pytest tests/web/who_may` writes the matrix anew, and a person reads what
changed in it: a letter that changes is a right that changed.

========  =====================================================================================
letter    what the best of the samples came to
========  =====================================================================================
``+``     done or shown
``x``     let in, and refused for the state of things
``i``     let in, and what was sent is not valid
``0``     there is no such thing, or none that this person may know of
``p``     nobody has proved to be at the machine
``n``     it is another person's
``r``     the role is too low
``f``     forbidden for another reason
``s``     nobody is signed in
========  =====================================================================================
"""

from __future__ import annotations

import os

import pytest

from tests.web.who_may.matrix import COLUMNS, Row, asked, read_matrix, routes_of, write_matrix


def test_no_route_is_without_an_entry(house) -> None:
    """A route that is not in the matrix is one that nobody has thought about."""
    kept = read_matrix()
    assert sorted(routes_of(house.app)) == sorted(kept)
    assert all(set(row.letters) <= set("+xi0pnrfs") or row.why for row in kept.values())


@pytest.mark.timeout(900)
def test_each_route_lets_in_whom_the_matrix_says(house) -> None:
    kept = read_matrix()
    found = asked(house)
    if os.environ.get("FABNODE_WRITE_MATRIX"):
        kept = write_matrix(house.app, found)
    wrong = {
        route: (kept[route].letters, letters)
        for route, letters in found.items()
        if route in kept and kept[route].letters != letters
    }
    assert wrong == {}, f"route: (as decided, as found) for {COLUMNS}"


def test_somebody_can_do_what_each_entry_is_about() -> None:
    """Where nobody gets through, the entry says why this lab cannot show it."""
    for route, row in read_matrix().items():
        assert isinstance(row, Row)
        assert "+" in row.letters or row.why, route
