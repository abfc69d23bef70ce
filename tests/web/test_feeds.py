"""Calendars by a secret link: what a telephone reads, and who may read it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from icalendar import Calendar

LINK = re.compile(r"http://[^<]+/feeds/([\w-]+)/bookings\.ics")


@pytest.fixture
def booked(lab):
    start = lab.now.replace(minute=0) + timedelta(hours=3)
    return lab.services.bookings.book(
        lab.people["mia"], "prusa", start, start + timedelta(hours=2), lab.now, "chair; legs, two"
    )


def make(browser) -> str:
    answer = browser.post("/bookings/link")
    assert answer.status_code == 200
    return LINK.search(answer.text)[1]


def events(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    calendar = Calendar.from_ical(answer.content)
    assert calendar["METHOD"] == "PUBLISH"
    return {str(one["UID"]).partition("@")[0]: one for one in calendar.walk("VEVENT")}


def test_a_telephone_without_a_sign_in_follows_every_change(browse, lab, booked):
    mia = browse("mia")
    path = f"/feeds/{make(mia)}/bookings.ics"
    phone = browse()
    first = events(phone.get(path))[booked.id]
    assert first["DTSTART"].dt == booked.interval.start
    assert first["DTEND"].dt == booked.interval.end
    assert (str(first["STATUS"]), first["SEQUENCE"]) == ("CONFIRMED", 0)
    assert str(first["DESCRIPTION"]) == "chair; legs, two"
    later = booked.interval.start + timedelta(hours=1)
    lab.services.bookings.move(
        lab.people["mia"], booked.id, later, later + timedelta(hours=1), lab.now
    )
    moved = events(phone.get(path))[booked.id]
    assert (moved["DTSTART"].dt, moved["SEQUENCE"]) == (later, 1)
    lab.services.bookings.cancel(lab.people["mia"], booked.id, lab.now)
    gone = events(phone.get(path))[booked.id]
    assert (str(gone["STATUS"]), gone["SEQUENCE"]) == ("CANCELLED", 2)


def test_a_machine_s_calendar_says_what_its_reader_may_know(browse, lab, booked):
    seen = {}
    for who in ("otto", "gus"):
        browser = browse(who)
        answer = browse().get(f"/feeds/{make(browser)}/machines/prusa.ics")
        seen[who] = str(events(answer)[booked.id]["SUMMARY"])
    assert seen["otto"] == f"{lab.people['mia'].name}: chair; legs, two"  # an operator
    assert seen["gus"] == "taken"


def test_a_new_link_ends_the_old_and_an_ended_one_shows_nothing(browse, lab, booked, read):
    mia = browse("mia")
    old = f"/feeds/{make(mia)}/bookings.ics"
    new = f"/feeds/{make(mia)}/bookings.ics"
    assert "shown again" in read(mia.get("/bookings").text)
    phone = browse()
    assert phone.get(old).status_code == 404
    assert booked.id in events(phone.get(new))
    mia.post("/bookings/link/end")
    for path in (new, "/feeds/x/bookings.ics", f"/feeds/{'x' * 5000}/bookings.ics"):
        assert phone.get(path).status_code == 404


def test_who_was_disabled_reads_no_more(browse, lab, booked):
    path = f"/feeds/{make(browse('mia'))}/bookings.ics"
    ada = lab.people["ada"]
    lab.services.people.disable(ada, lab.people["mia"].person_id, lab.now)
    assert browse().get(path).status_code == 404


def test_a_machine_that_is_not_there_is_said(browse, lab):
    token = make(browse("mia"))
    assert browse().get(f"/feeds/{token}/machines/nothing.ics").status_code == 404
