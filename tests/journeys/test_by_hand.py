"""By hand, from the API through node and host to a machine and back, with the name written down."""

from __future__ import annotations

import pytest

from node.demo.api import DemoError

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(180)]


def test_an_operator_jogs_and_overrides_a_router(lab):
    path = "/machines/router"
    lab.operator.wait(path, lambda one: "jog" in one["acts"], 30)
    lab.stand_at("router")
    jog = {"act": "jog", "axes_mm": {"X": 8.0}, "feedrate_mm_s": 20.0}
    lab.operator.post(f"{path}/act", jog)
    lab.operator.wait(path, lambda one: one["position_mm"][0] == 8.0, 30)
    with pytest.raises(DemoError, match="at most 10 mm"):
        lab.operator.post(f"{path}/act", {**jog, "axes_mm": {"X": 90.0}})
    lab.operator.post(f"{path}/act", {"act": "feed", "percent": 80})
    lab.operator.wait(path, lambda one: one["overrides_percent"].get("feed") == 80, 30)
    done = lab.operator.get(f"{path}/acts")["done"]
    told = [(one["act"], one["refused"]) for one in done]
    assert told == [("feed", ""), ("jog", "host.not_homed"), ("jog", "")]
    assert all(one["person_name"] for one in done)
    assert lab.operator.get(path)["state"] == "idle", "our own motion is not another's hand"


def test_an_operator_heats_a_printer_and_switches_it_off_again(lab):
    path = "/machines/printer-1"
    lab.operator.wait(path, lambda one: "heat" in one["acts"], 30)
    lab.stand_at()
    lab.operator.post(f"{path}/act", {"act": "heat", "heater": "bed", "target_c": 50})
    lab.operator.wait(path, lambda one: one["temperatures"]["B"]["target_c"] == 50, 30)
    lab.operator.post(f"{path}/act", {"act": "off"})
    lab.operator.wait(path, lambda one: one["temperatures"]["B"]["target_c"] == 0, 30)
