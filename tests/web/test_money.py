"""Money on its pages and in the API: who pays, who confirms, what everybody may read."""

from __future__ import annotations

import pytest

from jobs.domain.modules import Module
from tests.web.conftest import add_money, run_one_job


@pytest.fixture
def paid(lab):
    add_money(lab)
    return lab


def test_what_a_job_will_cost_is_said_before_it_starts_and_kept_with_its_run(paid, browse, read):
    run_one_job(paid)
    mia, gus = browse("mia"), browse("gus")
    waiting = mia.get(f"/jobs/{paid.jobs['waiting']}").text
    assert "It will cost about" in read(waiting)
    assert "min at 3.50 EUR an hour" in read(waiting)
    running = read(mia.get(f"/jobs/{paid.jobs['running']}").text)
    assert "Said beforehand:" in running
    assert "cost about" not in read(gus.get(f"/jobs/{paid.jobs['waiting']}").text)
    asked = mia.api("GET", f"/money/cost?job={paid.jobs['waiting']}").json()
    assert asked[0]["p50"] <= asked[0]["p90"]
    start = "start=2026-03-05T10:00:00Z"
    assert "It costs 5.25 EUR" in read(mia.get(f"/machines/ender/book?{start}&length=90").text)
    off = set(Module) - {Module.MONEY}
    paid.services.modules.choose(paid.people["ada"], off, paid.now)
    for path in (
        f"/jobs/{paid.jobs['running']}",
        f"/machines/ender/book?{start}&length=90",
        "/book",
    ):
        assert "EUR" not in read(mia.get(path).text), path


def test_staff_pay_in_with_a_receipt_and_a_wrong_form_says_what_is_wrong(paid, browse, read):
    otto, mia = browse("otto"), browse("mia")
    person = paid.people["mia"].person_id
    data = {"do": "pay", "person": person, "amount": "12,50", "receipt": "R-9", "text": "cash"}
    assert otto.post("/money", data).status_code == 303
    assert "30.50 EUR" in read(mia.get("/money").text)
    again = otto.post("/money", data)
    assert again.status_code == 422
    assert "Each counts once" in read(again.text)
    assert 'value="R-9"' in again.text
    assert mia.post("/money", data | {"receipt": "R-10"}).status_code == 403
    assert mia.get(f"/money?person={paid.people['otto'].person_id}").status_code == 403
    listed = mia.get("/money/statement.csv").text
    assert '"R-9","","","12.50","30.50","EUR"' in listed


def test_work_is_entered_by_its_person_and_confirmed_by_another(paid, browse, read):
    mia, otto = browse("mia"), browse("otto")
    work = {"do": "work", "kind": "cleaning", "minutes": "45", "day": "2026-03-03"}
    assert mia.post("/money", work).status_code == 303
    assert mia.post("/money", work | {"minutes": "9999"}).status_code == 422
    ids = [one["id"] for one in mia.api("GET", "/money/work").json() if one["kind"] == "cleaning"]
    assert mia.post("/money/desk", {"do": "confirm", "work": ids[0]}).status_code == 403
    assert otto.post("/money/desk", {"do": "reject", "work": ids[0]}).status_code == 422
    assert otto.post("/money/desk", {"do": "confirm", "work": ids[0]}).status_code == 303
    assert "Contributed work" in read(mia.get("/money").text)
    assert mia.api("GET", "/money/account").json()["balance"] == 1800 + 600


def test_a_charge_is_contested_on_the_page_and_put_right(paid, browse, read):
    mia, otto = browse("mia"), browse("otto")
    assert 'href="/contests?about=charge:2"' in mia.get("/money").text
    assert mia.post("/contests", {"about": "charge:2", "note": "Too much"}).status_code == 303
    (contest,) = otto.api("GET", "/contests").json()
    decision = {"decision": "upheld", "reason": "So it is", "amount": "1"}
    assert otto.post(f"/contests/{contest['id']}/decide", decision).status_code == 303
    assert mia.api("GET", "/money/account").json()["balance"] == 1900


def test_an_admin_sets_prices_groups_and_terms(paid, browse, read):
    ada, otto = browse("ada"), browse("otto")
    price = {"of": "machine:prusa", "amount": "0.025", "per": "hour", "group": ""}
    assert ada.post("/prices", price).status_code == 303
    assert "0.025 EUR an hour" in read(ada.get("/prices").text)
    wrong = ada.post("/prices", price | {"amount": "dear"})
    assert wrong.status_code == 422
    assert "is no price" in read(wrong.text)
    assert otto.post("/prices", price).status_code == 403
    assert ada.post("/money/terms", {"do": "group", "name": "makers"}).status_code == 303
    assert "makers" in ada.get("/prices").text
    assert ada.api("PATCH", "/money/terms", json={"least": "1"}).status_code == 422
    assert ada.api("PATCH", "/money/terms", json={"late_h": "48"}).status_code == 204
    assert ada.api("GET", "/money/terms").json()["late_h"] == 48


def test_open_books_are_read_by_everybody_and_name_nobody(paid, browse, read):
    ada, gus = browse("ada"), browse("gus")
    month = paid.now.replace(month=4, day=1)
    paid.now = month
    assert ada.post("/money/desk", {"do": "close", "month": "2026-03"}).status_code == 303
    said = read(gus.get("/money/books").text)
    assert "rent 100.00 EUR" in said
    assert "Material 5.13 EUR" in said
    assert "Mia" not in said
    assert gus.get("/money/books.csv?month=2026-03").status_code == 403
    listed = ada.get("/money/books.csv?month=2026-03")
    assert listed.headers["content-type"] == "text/csv; charset=utf-8"
    assert listed.text == ada.api("GET", "/money/months/2026-03.csv").text
    assert ada.post("/money/desk", {"do": "close", "month": "2026-03"}).status_code == 422
