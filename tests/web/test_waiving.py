"""On a job's page everything is said at once, and what needs a person is let stand there."""

from __future__ import annotations

import pytest

from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.store.tables import Preflight
from tests.web.conftest import run_one_job

WHY = "The pin is the lamp, asked Ada."
PIN = Finding(FindingCode.PIN_SWITCHED, Severity.PERSON, 7, {"command": "M280"}, "M280 P0 S<b>")
STORED = Finding(
    FindingCode.SETTING_STORED,
    Severity.PERSON,
    9,
    {"command": "$100", "setting": "$100", "old": "250", "new": "80"},
    "$100=80",
)


@pytest.fixture
def doubtful(lab):
    """(job, preflight) of the waiting job, with two findings that need a person."""
    run_one_job(lab)
    with lab.services.workshop.database.write() as session:
        row = session.query(Preflight).filter_by(job_id=lab.jobs["waiting"]).one()
        row.verdict = "person"
        row.findings = [PIN.to_json(), STORED.to_json()]
        return lab.jobs["waiting"], row.id


def test_the_page_shows_every_finding_with_its_line_and_the_form(browse, doubtful, read):
    job, preflight = doubtful
    mia, otto = browse("mia"), browse("otto")
    page = mia.get(f"/jobs/{job}").text
    assert "M280 P0 S&lt;b&gt;" in page
    assert "$100=80" in page
    assert "Now: 250. Then: 80." in read(page)
    assert f"/jobs/{job}/waive" not in page
    assert "An operator must read this" in read(page)
    page = otto.get(f"/jobs/{job}").text
    assert f'value="{preflight}"' in page
    assert "needs the word of an administrator" in read(page)


def test_a_word_is_given_on_the_page_and_by_the_api_and_shown(browse, doubtful, read):
    job, preflight = doubtful
    otto, ada = browse("otto"), browse("ada")
    no = otto.post(f"/jobs/{job}/waive", {"preflight": preflight, "reason": "ok"})
    assert no.status_code == 422
    done = otto.post(
        f"/jobs/{job}/waive", {"preflight": preflight, "reason": WHY}, follow_redirects=False
    )
    assert done.headers["location"] == f"/jobs/{job}?said=waived"
    assert f"“{WHY}” · Otto" in read(ada.get(f"/jobs/{job}").text)
    wish = {"preflight": preflight, "reason": WHY, "findings": [{"code": STORED.code, "line": 9}]}
    refused = otto.api("POST", f"/jobs/{job}/waive", json=wish)
    assert refused.status_code == 403
    (one,) = ada.api("POST", f"/jobs/{job}/waive", json=wish).json()["preflights"]
    assert (one["verdict"], one["open"]) == ("person", 0)
    kept = {each["code"]: each for each in one["waivers"]}
    assert kept["setting-stored"]["fields"]["old"] == "250"
    assert (kept["pin-switched"]["by"], kept["pin-switched"]["reason"]) == ("Otto", WHY)
    assert len(kept["pin-switched"]["limits_sha256"]) == 64
    book = read(ada.get("/machines/ender").text)
    assert "a finding was let stand · Otto" in book
