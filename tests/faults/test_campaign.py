"""Runs of the fault campaign: some in every test, two thousand and more in `make soak`."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from drivers.simulators import SIMULATORS

EACH = 300  # runs of `make soak` for each simulated machine


def _campaign() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location(
        "campaign", Path(__file__).with_name("campaign.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


CAMPAIGN = _campaign()


@pytest.mark.parametrize("name", SIMULATORS)
def test_no_misfortune_breaks_a_promise(name: str) -> None:
    runs = [CAMPAIGN.run(name, number) for number in range(6)]
    assert [str(run) for run in runs if run.broken] == []


@pytest.mark.soak
@pytest.mark.parametrize("name", SIMULATORS)
def test_no_misfortune_breaks_a_promise_in_a_long_campaign(
    name: str, record_property, capsys
) -> None:
    """The figures are in drivers/README.md; each run can be had again by its number."""
    runs = [CAMPAIGN.run(name, number) for number in range(EACH)]
    ends = Counter(run.end for run in runs)
    with capsys.disabled():
        told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        sys.stdout.write(f"\n{name}: {len(runs)} runs: {told}\n")
    assert [str(run) for run in runs if run.broken] == []
