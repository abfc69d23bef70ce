"""Parts of the house that are off: no entry leads there, and whoever asks gets a sentence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from jobs.domain.modules import Module
from tests.web.conftest import Browser, run_one_job
from tests.web.test_hardening import routes
from web.modules import gate, module_of

LINK = re.compile(r'(?:href|action)="(/[^"#?]*)')
GATED = (
    Module.BOOKING,
    Module.QUEUE,
    Module.COMMONS,
    Module.MONEY,
    Module.TRAININGS,
    Module.HOUSE,
)


def without(lab, *off: Module) -> None:
    lab.services.modules.choose(lab.people["ada"], set(Module) - set(off), lab.now)


@pytest.fixture
def all_off(lab):
    """The same day with every part off: whatever links to a part shows itself."""
    run_one_job(lab)
    without(lab, *Module)
    return Browser(lab, lab.app()).sign_in("ada")


def test_every_route_of_a_part_that_is_off_answers_with_one_sentence(all_off) -> None:
    asked = dict.fromkeys(GATED, 0)
    for method, route in routes(all_off.http.app):
        path = re.sub(r"\{[^}]+\}", "ender", route)
        part = module_of(path)
        if part is None:
            continue
        asked[part] += 1
        if path.startswith("/api/"):
            answer = all_off.api(method, path.removeprefix("/api/v1"), json={})
            assert answer.json()["code"] == "module.off", (method, path)
            assert "is off here" in answer.json()["detail"]
        else:
            answer = all_off.http.request(method, path, data={"csrf": all_off.csrf})
            assert "is off here" in answer.text, (method, path)
        assert answer.status_code == 404, (method, path)
    assert all(asked.values()), asked


def test_no_page_leads_to_a_part_that_is_off(all_off, pages) -> None:
    day = all_off.lab.jobs
    for path in pages:
        answer = all_off.get(path)
        if answer.status_code != 200:
            continue
        dead = [link for link in LINK.findall(answer.text) if module_of(link) is not None]
        assert dead == [], path
    for path in ("/", "/machines/ender", "/machines/prusa", f"/jobs/{day['running']}", "/me"):
        answer = all_off.get(path)
        assert answer.status_code == 200, path
        assert [link for link in LINK.findall(answer.text) if module_of(link)] == [], path


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", GATED)
def test_a_part_that_is_off_alone_leaves_no_entry_on_any_page(part, lab, pages) -> None:
    """With all others on: what leads to a part must ask for that part, and not for a neighbour."""
    run_one_job(lab)
    without(lab, part)
    ada = Browser(lab, lab.app()).sign_in("ada")
    seen = 0
    for path in pages:
        answer = ada.get(path)
        if module_of(path) is part:
            assert answer.status_code == 404, path
            continue
        seen += answer.status_code == 200
        dead = [link for link in LINK.findall(answer.text) if module_of(link) is part]
        assert dead == [], path
    assert seen > 10
    ada.http.close()


def test_what_runs_goes_on_and_a_person_starts_what_waits(all_off) -> None:
    lab = all_off.lab
    running = all_off.api("GET", f"/jobs/{lab.jobs['running']}").json()["job"]
    assert running["state"] == "running"
    lab.services.dispatch.arm(lab.people["otto"], "prusa", lab.now)
    assert lab.services.dispatch.tick(lab.now) == []
    order = lab.gateway.orders[-1]
    facts = {"run": order.run, "at_us": int(lab.now.timestamp() * 1e6)}
    lab.services.runs.apply("ender", {**facts, "seq": 2, "kind": "finished"}, lab.now)
    assert all_off.api("GET", f"/jobs/{lab.jobs['running']}").json()["job"]["state"] == "done"
    live = lab.workshop.live.get("prusa")
    lab.workshop.live.put("ender", replace(live, run=""))
    lab.services.dispatch.arm(lab.people["otto"], "ender", lab.now)
    assert lab.services.dispatch.tick(lab.now) == []
    waiting = lab.jobs["waiting"]
    lab.services.dispatch.start(lab.people["mia"], waiting, "ender", lab.now)
    assert all_off.api("GET", f"/jobs/{waiting}").json()["job"]["state"] == "running"


def test_an_admin_switches_parts_and_nobody_else(browse, lab) -> None:
    ada, otto = browse("ada"), browse("otto")
    assert otto.get("/modules").status_code == 403
    assert otto.api("PUT", "/modules", json={"on": []}).status_code == 403
    assert ada.post("/modules", {"booking": "on", "queue": "on"}).status_code == 303
    assert lab.services.modules.on() == {Module.BOOKING, Module.QUEUE}
    everything = ada.api("PUT", "/modules", json={"on": [one.value for one in Module]})
    assert len(everything.json()["on"]) == len(Module)
    assert ada.api("PUT", "/modules", json={"on": ["kitchen"]}).status_code == 422


def test_what_happened_while_the_network_was_off_is_never_due(lab) -> None:
    services, mia = lab.services, lab.people["mia"]

    def book(hour: int) -> None:
        start = lab.now.replace(hour=hour, minute=0)
        services.bookings.book(mia, "ender", start, start.replace(hour=hour + 1), lab.now)

    without(lab, Module.NETWORK)
    book(12)
    without(lab)
    assert services.outbox.waiting() == 0
    book(14)
    assert len(services.outbox.pending()) == services.outbox.waiting() == 1


def test_no_route_escapes_the_gate(browse) -> None:
    free = {"/healthz", "/events", "/static", "/static/vendor", "/api/v1/openapi.json"}
    listed = browse().http.app.routes
    assert len(listed) > 200
    for route in listed:
        if route.path not in free:
            calls = [each.call for each in route.dependant.dependencies]
            assert gate in calls, route.path
