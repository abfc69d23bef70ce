"""What a machine host watches for, as people read it and answer it."""

from __future__ import annotations

import gzip
import json
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.domain.people import Role
from jobs.store.tables import Attempt
from tests.web.conftest import PASSWORD, Browser, open_furnished, run_one_job


def show(lab, slug, **values):
    lab.workshop.live.put(slug, replace(lab.workshop.live.get(slug), **values))


LINK = {"quality": 55, "damaged": 3, "lost_answers": 2, "narrow_s": 4.5, "starvation_s": 1.25}


@pytest.fixture(scope="module")
def ran(furnished, tmp_path_factory):
    """A lab in which one job has run to its end, told by its host; its run is `lab.jobs["run"]`."""
    for lab in open_furnished(furnished, tmp_path_factory.mktemp("ran")):
        run_one_job(lab)
        run = lab.jobs["run"] = lab.gateway.orders[-1].run
        end = {"acked": 16, "sent": 16, "total": 16, "resends": 7, **LINK}
        fact = {"run": run, "seq": 2, "at_us": int(lab.now.timestamp() * 1e6) + 60_000_000}
        lab.services.runs.apply("ender", {**fact, "kind": "finished", **end}, lab.now)
        yield lab


def reads(lab, login):
    return Browser(lab, lab.app()).sign_in(login)


def earlier_run(lab, state, reason, **detail):
    """Have the job run once before, with another end."""
    with lab.workshop.database.write() as session:
        done = session.get_one(Attempt, lab.jobs["run"])
        session.add(
            Attempt(
                id=str(uuid.uuid4()),
                job_id=done.job_id,
                machine_id=done.machine_id,
                state=state,
                started_at=done.started_at - timedelta(hours=2),
                ended_at=done.started_at - timedelta(hours=1),
                acked=9,
                sent=12,
                total=16,
                source_line=11,
                reason=reason,
                detail=detail,
            )
        )


def test_heat_without_a_job_is_said_and_a_person_may_keep_it_on_under_their_name(browse, lab, read):
    mia = browse("mia")
    assert "keep-heat" not in mia.get("/machines/ender").text
    show(lab, "ender", heat_off_s=312.0)
    page = mia.get("/machines/ender").text
    assert "Heat is on without a job. It is switched off in 5 min." in read(page)
    assert "Keep it on for 30 minutes" in page
    assert browse("gus").post("/machines/ender/keep-heat").status_code == 403
    answer = mia.post("/machines/ender/keep-heat")
    assert answer.headers["location"] == "/machines/ender?said=heat-kept"
    assert "Heat stays on, under your name." in mia.get(answer.headers["location"]).text
    assert mia.api("POST", "/machines/ender/keep-heat", json={"minutes": 5}).status_code == 200
    assert mia.api("POST", "/machines/ender/keep-heat", json={"minutes": 500}).status_code == 422
    assert lab.gateway.calls == [("keep-heat Mia 1800", "ender"), ("keep-heat Mia 300", "ender")]
    show(lab, "ender", heat_off_s=1750.0, heat_kept_by="Mia")
    assert "kept on by Mia. It is switched off in 29 min." in read(mia.get("/machines/ender").text)
    assert mia.api("GET", "/machines/ender").json()["heat_kept_by"] == "Mia"


def test_every_heater_alarm_has_a_sentence(lab):
    from drivers.heat import HeatAlarm
    from jobs.domain.sentences import Catalogue

    catalogue = Catalogue()
    for word in ("slow", "over", "maximum", "jump", "stale"):
        alarm = HeatAlarm(f"heater.{word}", "B", 60.0, 70.0, 80.0)
        assert "?" not in catalogue.text(f"error.{alarm.code}", **alarm.fields())


def test_a_heater_that_stopped_the_machine_is_named_with_its_numbers(browse, lab, read):
    said = "heater.over (heater=T, measured_c=251.3, target_c=210.0, limit_c=235.0)"
    show(lab, "ender", message=said)
    wanted = "Nozzle was too hot: 251.3 °C, wanted 210.0 °C, allowed up to 235.0 °C."
    assert wanted in read(browse("mia").get("/machines/ender").text)


def test_a_run_that_a_heater_ended_says_so_with_its_numbers(ran, read):
    numbers = {"heater": "T", "measured_c": 87.5, "target_c": 210.0, "limit_s": 20.5}
    earlier_run(ran, "failed", "heater.slow", **numbers)
    page = read(reads(ran, "mia").get(f"/jobs/{ran.jobs['running']}").text)
    assert "Nozzle did not warm up as it should: 87.5 °C after 20.5 s, wanted 210 °C." in page


def test_an_interrupted_run_says_how_far_it_surely_came(ran, read):
    earlier_run(ran, "interrupted", "host-died", sent_line=14, planner_blocks=16)
    page = read(reads(ran, "mia").get(f"/jobs/{ran.jobs['running']}").text)
    assert "taken everything up to line 11 of the file, and nothing after line 14 was sent" in page
    assert "The last 16 moves before line 11 may not have been made." in page


def test_every_number_that_a_host_tells_of_an_end_is_kept():
    from jobs.services.runs import _detail

    numbers = {"heater": "T", "measured_c": 1.5, "target_c": 2.0, "limit_c": 3.0, "limit_s": 4.0}
    where = {"planner_blocks": 16, "sent_line": 14}
    assert _detail({**numbers, **where, **LINK, "more": 1}) == {**numbers, **where, **LINK}


def test_the_wire_log_of_a_run_is_there_for_its_owner_and_operators(ran, tmp_path):
    job, run = ran.jobs["running"], ran.jobs["run"]
    path = f"/jobs/{job}/runs/{run}/wire-log"
    mia = reads(ran, "mia")
    assert path in mia.get(f"/jobs/{job}").text
    assert mia.get(path).status_code == 404
    for number, text in enumerate(('{"wire":1}\n', '{"t":1.0,"rx":"ok\\n"}\n')):
        file = tmp_path / f"{run}.000{number}.jsonl.gz"
        file.write_bytes(gzip.compress(text.encode()))
        ran.gateway.wire_logs.append(file)
    answer = mia.get(path)
    assert answer.headers["content-disposition"].startswith('attachment; filename="ender-')
    stream, head, entry = gzip.decompress(answer.content).splitlines()
    assert b"G1" in stream
    assert json.loads(head) == {"wire": 1}
    assert json.loads(entry) == {"t": 1.0, "rx": "ok\n"}
    assert reads(ran, "otto").get(path).content == answer.content
    assert mia.api("GET", path).content == answer.content
    who = {"password": PASSWORD, "actor": ran.people["ada"], "now": ran.now}
    eva = ran.services.people.create("eva", "Eva", Role.MEMBER, **who)
    ran.people["eva"] = ran.services.people.actor_of(eva)
    assert reads(ran, "eva").get(path).status_code == 403
    assert path not in reads(ran, "eva").get(f"/jobs/{job}").text
    assert Browser(ran, ran.app()).get(path).status_code in (303, 401)
    assert mia.get(f"/jobs/{ran.jobs['held']}/runs/{run}/wire-log").status_code == 404


def test_a_run_says_how_good_its_link_was_and_so_do_its_record_and_the_api(ran, read):
    mia, job = reads(ran, "mia"), ran.jobs["running"]
    page = read(mia.get(f"/jobs/{job}").text)
    assert "The link was bad (55 of 100): 7 resends in 16 lines, 3 damaged replies" in page
    assert "2 lost answers; the machine waited 1.25 s for lines. Change the cable" in page
    detail = mia.api("GET", f"/jobs/{job}").json()
    run = next(one for one in detail["attempts"] if one["id"] == ran.jobs["run"])
    assert (run["link_quality"], run["damaged_replies"], run["starved_s"]) == (55, 3, 1.25)
    link = detail["records"][-1]["body"]["link"]
    assert link == {"quality": 55, "damaged": 3, "lost_answers": 2, "starved_ms": 1250}


def test_a_relay_that_has_dropped_is_switched_on_by_a_person_who_looked(browse, lab, read):
    mia = browse("mia").stand_at("router")
    assert "/power" not in mia.get("/machines/router").text
    show(lab, "router", power=False)
    page = mia.get("/machines/router").text
    assert "Its power is off. Nothing starts here" in read(page)
    assert "I have looked: power on" in page
    assert browse("gus").post("/machines/router/power", {"on": "1"}).status_code == 403
    answer = mia.post("/machines/router/power", {"on": "1"})
    assert answer.headers["location"] == "/machines/router?said=power-on"
    show(lab, "router", power=True)
    assert "Its power is on" in read(mia.get(answer.headers["location"]).text)
    assert mia.api("POST", "/machines/router/power", json={"on": False}).status_code == 200
    assert lab.gateway.calls == [("power True Mia", "router"), ("power False Mia", "router")]
    lab.services.runs.apply("router", {"kind": "power", "on": False, "by": "stopped"}, lab.now)
    lab.services.runs.apply("ender", {"kind": "heat_off"}, lab.now)
    book = read(mia.get("/machines/router").text)
    assert "Power on · Mia" in book
    assert "Power off" in book
    assert "Heat that nobody used was switched off" in read(mia.get("/machines/ender").text)


def test_heartbeat_and_idle_heat_are_keys_of_a_machine(browse, lab):
    ada = browse("ada")
    line = "gpio:/sys/class/gpio/gpio17"
    wish = {"heartbeat": line, "idle_heat_off_min": "25"}
    assert ada.post("/machines/router/edit", {"name": "Router", **wish}).status_code == 303
    page = ada.get("/machines/router/edit").text
    assert line in page
    need = next(one for one in lab.services.machines.host_needs() if one.slug == "router")
    assert (need.heartbeat, need.idle_heat_off_s) == (line, 1500.0)
    assert ada.post("/machines/router/edit", {"heartbeat": "rm -rf /"}).status_code == 422


def test_a_plug_is_a_key_of_a_machine_and_a_wrong_one_is_refused_by_its_field(browse, lab, read):
    ada = browse("ada")
    wish = {"name": "Router", "spindle_switch": "plug", "spindle_plug": "tasmota:192.168.1.42/2"}
    wish |= {"heartbeat": "shelly-gen2:192.168.1.41"}
    assert ada.post("/machines/router/edit", wish).status_code == 303
    need = next(one for one in lab.services.machines.host_needs() if one.slug == "router")
    assert (need.plugs, need.heartbeat) == (
        {"spindle": "tasmota:192.168.1.42/2"},
        "shelly-gen2:192.168.1.41",
    )
    assert "tasmota:192.168.1.42/2" in ada.get("/machines/router/edit").text
    for bad, said in (
        ({"spindle_plug": "tasmota:8.8.8.8"}, "outside this house"),
        ({"spindle_plug": "http://plug.local"}, "is not a plug"),
        ({"spindle_switch": "by-hand"}, "should look like this: plug"),
        ({"heartbeat": "tasmota:10.0.0.1/0"}, "wrong number of its relay"),
        ({"beam_plug": "tasmota:10.0.0.1"}, "should look like this: plug"),
    ):
        answer = ada.post("/machines/router/edit", wish | bad)
        assert (answer.status_code, said in read(answer.text)) == (422, True), (bad, answer.text)
    hand = {"slug": "lathe", "kind": "mill", "control": "by-hand", "envelope_mm": [1, 1, 1]}
    hand |= {"spindle_switch": "plug", "spindle_plug": "tasmota:10.0.0.1"}
    assert ada.api("POST", "/machines", json=hand).json()["field"] == "control"


def test_the_pages_say_whether_a_plug_has_confirmed_that_it_is_off(browse, lab, read):
    mia = browse("mia")
    show(lab, "router", power=False, plugs={"spindle": "off", "mains": "not-off"})
    stopped = mia.post("/machines/router/stop").text
    assert 'class="turns"><span translate="no">Router</span>: Mains: the plug was told' in stopped
    assert '<p class="turns">Mains: the plug was told' in mia.get("/stop").text
    page = read(stopped)
    said = "the plug was told to switch off and does not confirm it. Switch it off by hand."
    assert page.index(said) < page.index("Spindle: the plug is off and has confirmed it.")
    assert "Spindle: the plug is off and has confirmed it." in page
    here = read(mia.get("/machines/router").text)
    assert "Spindle: the plug is off and has confirmed it." in here
    assert "A spindle whose own switch is on turns at once" in here
    known = mia.api("GET", "/machines/router").json()["plugs"]
    assert known == {"spindle": "off", "mains": "not-off"}
