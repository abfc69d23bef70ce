from __future__ import annotations

import io
import re

import pytest


def test_the_description_of_the_api_names_every_resource(browse):
    document = browse().get("/api/v1/openapi.json").json()
    for path in ("machines/{slug}/arm", "machines/{slug}/stop", "stop", "jobs", "queue",
                 "bookings", "designs", "people/me", "records", "health"):  # fmt: skip
        assert f"/api/v1/{path}" in document["paths"], path
    assert not any(path.startswith("/machines") for path in document["paths"])
    upload = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in upload
    assert browse().get("/docs").status_code == 404


def test_each_answer_of_the_api_may_be_the_problem_that_is_given(browse, ada):
    document = browse().get("/api/v1/openapi.json").json()
    problem = document["components"]["schemas"]["Problem"]
    for path in document["paths"].values():
        for operation in path.values():
            content = operation["responses"]["422"]["content"]
            assert list(content) == ["application/problem+json"]
    for answer in (
        browse().get("/api/v1/machines"),
        ada.get("/api/v1/machines/none"),
        ada.api("POST", "/bookings", json={"surprise": 1}),
    ):
        body = answer.json()
        assert answer.status_code in {401, 404, 422}
        assert set(problem["required"]) <= set(body) <= set(problem["properties"]), body


def test_strangers_get_a_problem_not_a_page(browse):
    answer = browse().get("/api/v1/machines")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == 401
    assert body["reasons"] == []


def test_machines_tell_units_in_every_name(ada):
    machine = ada.get("/api/v1/machines/ender").json()
    assert machine["temperatures"]["nozzle"] == {"actual_c": 209.7, "target_c": 210.0}
    assert machine["limits"]["nozzle_max_c"] == 260
    assert machine["run"]["total_lines"] == 16
    assert 0 < machine["run"]["progress"] < 1
    assert machine["armed"] is None


def test_instants_end_in_z(ada, day):
    job = ada.get(f"/api/v1/jobs/{day.jobs['running']}").json()["job"]
    assert re.fullmatch(r"2026-03-04T09:07:00(\.0+)?Z", job["created_at"])


def test_a_job_shows_its_findings_with_sentence_and_line(ada, day):
    detail = ada.get(f"/api/v1/jobs/{day.jobs['held']}").json()
    finding = detail["preflights"][0]["findings"][0]
    assert finding["code"] == "forbidden-command"
    assert finding["line"] == 10
    assert "M112" in finding["detail"]
    assert detail["job"]["hold_reason"] == "findings"


def test_a_refusal_has_every_reason_at_once(browse, lab):
    gus = browse("gus")
    answer = gus.api(
        "POST",
        "/bookings",
        json={"machine": "saw", "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:01:00Z"},
    )
    assert answer.status_code == 409
    body = answer.json()
    reasons = {one["reason"] for one in body["reasons"]}
    assert reasons >= {"role-too-low", "in-the-past", "too-short"}
    assert all(one["detail"] and "⟨" not in one["detail"] for one in body["reasons"])


def test_a_taken_interval_says_when_it_is_free(browse, lab):
    mia, otto = browse("mia"), browse("otto")
    wish = {"machine": "prusa", "start": "2026-03-05T10:00:00Z", "end": "2026-03-05T12:00:00Z"}
    made = mia.api("POST", "/bookings", json=wish)
    assert made.status_code == 201
    refused = otto.api("POST", "/bookings", json=wish).json()["reasons"]
    assert [one["reason"] for one in refused] == ["taken"]
    assert refused[0]["passes_at"].startswith("2026-03-05T12:00:00")
    moved = mia.api(
        "POST",
        f"/bookings/{made.json()['id']}/move",
        json={"start": "2026-03-06T10:00:00+01:00", "end": "2026-03-06T12:00:00+01:00"},
    )
    assert moved.json()["start"] == "2026-03-06T09:00:00Z"
    assert mia.api("DELETE", f"/bookings/{made.json()['id']}").status_code == 204
    assert otto.api("POST", "/bookings", json=wish).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"machine": "prusa", "start": "2026-03-05T10:00:00", "end": "2026-03-05T12:00:00"},
        {"machine": "prusa", "start": 1, "end": []},
        {"machine": "prusa", "start": "2026-03-05T12:00:00Z", "end": "2026-03-05T10:00:00Z"},
        {"machine": "prusa", "begin": "x"},
    ],
)
def test_wrong_json_is_a_problem_that_names_the_field(browse, body):
    answer = browse("mia").api("POST", "/bookings", json=body)
    assert answer.status_code in (409, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_file_is_sent_and_followed(browse, lab):
    mia = browse("mia")
    answer = mia.api(
        "POST",
        "/jobs",
        data={"machine": "ender", "title": "Hook"},
        files={"file": ("hook.gcode", io.BytesIO(b"G28\nG1 X10 F600\n"))},
    )
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["title"], job["state"], job["machine_slug"]) == ("Hook", "preparing", "ender")
    detail = mia.api("GET", f"/jobs/{job['id']}").json()
    assert detail["steps"][0]["name"] == "fetch"
    assert mia.api("POST", f"/jobs/{job['id']}/cancel").json()["job"]["state"] == "cancelled"


def test_the_whole_way_over_the_api(browse, lab):
    otto, mia = browse("otto"), browse("mia")
    program = b"G28\nM104 S200\nM109 S200\nG1 X10 Y10 F600 E1\nM104 S0\n"
    job = mia.api("POST", "/jobs", data={"machine": "ender"}, files={"file": ("a.gcode", program)})
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    armed = otto.api("POST", "/machines/ender/arm").json()
    assert armed["armed"]["person_name"] == "Otto"
    assert lab.services.dispatch.tick(lab.now) != []
    machine = mia.api("GET", "/machines/ender").json()
    assert machine["run"]["job_id"] == job.json()["id"]
    assert machine["run"]["mine"] is True
    assert mia.api("POST", "/machines/ender/pause").status_code == 200
    assert lab.gateway.calls[-1] == ("pause", "ender")
    lab.gateway.refuses[("resume", "ender")] = "host.unreachable"
    away = mia.api("POST", "/machines/ender/resume")
    assert away.status_code == 503
    assert away.json()["code"] == "host.unreachable"
    assert "⟨" not in away.json()["detail"]


def test_people_are_made_by_admins_with_a_link(browse):
    ada = browse("ada")
    made = ada.api("POST", "/people", json={"login": "eve", "name": "Eve"}).json()
    assert made["person"]["role"] == "member"
    assert browse().http.post(made["sign_in_path"]).status_code == 303
    again = ada.api("POST", "/people", json={"login": "EVE", "name": "Eve"})
    assert again.status_code == 422
    assert "⟨" not in again.json()["detail"]


def test_records_and_health(ada):
    assert ada.get("/api/v1/records/verify").json()["ok"] is True
    assert ada.get("/api/v1/health").json()["broker"] == "away"


def test_an_address_that_is_none_is_a_problem(ada):
    for path in ("/api/v1/nowhere", "/api/v1/machines/none", "/api/v1/jobs/none"):
        answer = ada.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert ada.http.put("/api/v1/queue").status_code == 405
