"""What people are told, on its page and in the API."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import select

import jobs.services
from jobs.domain.care import Severity
from jobs.store.sharing import Notice
from tests.web.conftest import Browser
from web.pages.notices import PLACES, place_of

CALLS = re.compile(r"""about(?:=| = |, about = [^,\n]+, )f?"([a-z-]+):""")
ABOUT = re.compile(r"""def \w*about\w*\(.*\n(?: .*\n)*?    return f?"([a-z-]+):""")


def test_what_every_notice_of_a_day_is_about_is_a_page_that_its_person_opens(day):
    with day.workshop.database.read() as session:
        told = session.execute(select(Notice.person_id, Notice.about)).all()
    people = {person.person_id: login for login, person in day.people.items()}
    assert len({about.partition(":")[0] for _, about in told if about}) >= 4
    for login in set(people.values()):
        visitor = Browser(day, day.app()).sign_in(login)
        for person_id, about in told:
            if about and people[person_id] == login:
                place = place_of(about)
                assert place, about
                assert visitor.get(place).status_code == 200, (login, about)


def found_in(code: str) -> list[str]:
    return [*CALLS.findall(code), *ABOUT.findall(code)]


def test_each_word_that_a_notice_is_about_has_its_page():
    services = Path(jobs.services.__path__[0])
    said = {word for file in services.glob("*.py") for word in found_in(file.read_text())}
    assert {"booking", "machine", "swap", "training"} <= said
    assert said <= {*PLACES, "attempt"}


def test_a_notice_is_counted_until_it_is_read(browse, lab, read):
    lab.services.faults.report(lab.people["mia"], "ender", Severity.LIMITS, "It squeaks", lab.now)
    otto = browse("otto")
    (one,) = otto.api("GET", "/notices?unread=true").json()
    assert "It squeaks" in read(otto.get("/notices").text)
    assert otto.post("/notices/read", {"notice": one["id"]}).status_code == 303
    assert otto.api("GET", "/notices?unread=true").json() == []
    assert otto.api("GET", "/notices").json()[0]["read"]


def test_what_everybody_has_to_be_told_cannot_be_switched_off(browse):
    mia = browse("mia")
    refused = mia.api("PUT", "/notices/choices", json={"bookings": "not"})
    assert refused.status_code == 422
    assert mia.api("PUT", "/notices/choices", json={"lab": "not"}).json()["lab"] == "not"


@pytest.mark.parametrize("target", ["nobody", "a b@c", "x@y\nBcc: z@y", "http://10.0.0.1/"])
def test_an_address_that_is_none_is_said_and_stays_in_its_field(browse, target):
    ada, mia = browse("ada"), browse("mia")
    values = {"host": "mail.example", "port": "587", "security": "starttls", "sender": "l@e.org"}
    assert ada.post("/notices/ways/email", values).status_code == 303
    answer = mia.post("/notices/addresses", {"way": "email", "target": target})
    assert answer.status_code == 422
    assert mia.api("GET", "/notices/addresses").json() == []


def test_only_an_admin_opens_a_way_out_of_the_house(browse):
    assert browse("otto").post("/notices/ways/email", {"host": "x"}).status_code == 403
