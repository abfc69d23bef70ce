"""Halogens are burnt by no laser; a list of the lab is the whole list."""

from __future__ import annotations

import pytest

from jobs.domain.burning import Burn, burn_problem
from jobs.domain.machine import MachineLimits


@pytest.mark.parametrize(
    "material",
    [
        *("PVC", "pvc foam 3 mm", "Vinyl", "adhesive vinyl", "PTFE", "Teflon sheet", "FEP film"),
        *("polyvinyl chloride", "Faux Leather", "synthetic  leather", "Sintra", "neoprene"),
        *("uPVC", "PVC/ABS", "PVDF"),
    ],
)
def test_a_halogen_is_burnt_whatever_a_list_says(material):
    assert burn_problem(material, []) is Burn.HALOGENATED
    assert burn_problem(material, [material]) is Burn.HALOGENATED


@pytest.mark.parametrize(
    "material", ["birch", "acrylic", "leather", "cardboard", "PET", "felt", "polyvinyl alcohol"]
)
def test_what_holds_none_may_be_burnt_where_nothing_is_listed(material):
    assert burn_problem(material, []) is None
    assert burn_problem(material, [material.upper()]) is None
    assert burn_problem(material, ["cork"]) is Burn.NOT_LISTED


def test_nothing_said_is_not_listed():
    assert burn_problem("  ", ["cork"]) is Burn.UNSAID
    assert burn_problem("", []) is Burn.UNSAID


def test_a_machine_without_words_has_the_limits_it_had():
    plain = MachineLimits((100.0, 100.0, 50.0))
    assert not plain.to_json().keys() & {"model", "materials"}
    said = MachineLimits((100.0, 100.0, 50.0), model="K40", materials=("birch", "cork"))
    assert MachineLimits.from_json(said.to_json()) == said
    assert said.sha256() != plain.sha256()
