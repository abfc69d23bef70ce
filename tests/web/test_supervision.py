"""What a machine host watches for, as people read it and answer it."""

from __future__ import annotations

from dataclasses import replace

from tests.web.conftest import run_one_job


def show(lab, slug, **values):
    lab.workshop.live.put(slug, replace(lab.workshop.live.get(slug), **values))


def ended(lab, kind, **fields):
    """End the running job with a fact of its host; return the job's id."""
    run = lab.gateway.orders[-1].run
    fact = {"run": run, "seq": 2, "at_us": int(lab.now.timestamp() * 1e6) + 60_000_000}
    lab.services.runs.apply("ender", {**fact, "kind": kind, **fields}, lab.now)
    return lab.jobs["running"]


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


def test_a_heater_that_stopped_the_machine_is_named_with_its_numbers(browse, lab, read):
    said = "heater.over (heater=T, measured_c=251.3, target_c=210.0, limit_c=235.0)"
    show(lab, "ender", message=said)
    wanted = "Nozzle was too hot: 251.3 °C, wanted 210.0 °C, allowed up to 235.0 °C."
    assert wanted in read(browse("mia").get("/machines/ender").text)
    run_one_job(lab)
    numbers = {"heater": "T", "measured_c": 87.5, "target_c": 210.0, "limit_s": 20.5}
    job = ended(lab, "failed", code="heater.slow", acked=9, sent=11, total=16, **numbers)
    page = read(browse("mia").get(f"/jobs/{job}").text)
    assert "Nozzle did not warm up as it should: 87.5 °C after 20.5 s, wanted 210 °C." in page


def test_every_heater_alarm_has_a_sentence(lab):
    from drivers.heat import HeatAlarm
    from jobs.domain.sentences import Catalogue

    catalogue = Catalogue()
    for word in ("slow", "over", "maximum", "jump", "stale"):
        alarm = HeatAlarm(f"heater.{word}", "B", 60.0, 70.0, 80.0)
        assert "?" not in catalogue.text(f"error.{alarm.code}", **alarm.fields())


def test_an_interrupted_run_says_how_far_it_surely_came(browse, lab, read):
    run_one_job(lab)
    far = {"acked": 9, "sent": 12, "total": 16, "source_line": 11}
    job = ended(lab, "interrupted", reason="host-died", sent_line=14, planner_blocks=16, **far)
    page = read(browse("mia").get(f"/jobs/{job}").text)
    assert "taken everything up to line 11 of the file, and nothing after line 14 was sent" in page
    assert "The last 16 moves before line 11 may not have been made." in page
