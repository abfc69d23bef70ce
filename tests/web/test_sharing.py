"""Sharing time by its pages and by the API: two taps, the line, swaps, series, offers, choices."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest

from jobs.domain.care import Moment
from jobs.domain.people import LabMode
from tests.web.conftest import PROGRAM

HOUR = timedelta(hours=1)


def at(lab, hours):
    return lab.now.replace(minute=0) + timedelta(hours=hours)


def text_of(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def taken(lab):
    """Otto has the Prusa from 13:00 to 15:00 in Berlin."""
    start = at(lab, 3)
    return lab.services.bookings.book(lab.people["otto"], "prusa", start, start + 2 * HOUR, lab.now)


def test_a_free_hour_is_booked_in_two_taps(browse, lab, read):
    mia = browse("mia")
    page = mia.get("/book").text
    first = re.search(r'href="(/machines/prusa/book[^"]+)"', page)[1].replace("&amp;", "&")
    page = mia.get(first).text
    form = dict(re.findall(r'type="hidden" name="(\w+|asks-name)" value="([^"]*)"', page))
    answer = mia.post("/machines/prusa/book", form)
    assert answer.headers["location"] == "/bookings?said=booked"
    (made,) = lab.services.bookings.mine(lab.people["mia"], lab.now)
    assert made.interval.length == HOUR


def test_ones_own_job_is_booked_as_long_as_nine_runs_in_ten_take(browse, lab, read):
    job = lab.services.queue.submit(
        lab.people["mia"], name="a.gcode", data=io.BytesIO(PROGRAM), kind="fdm", now=lab.now
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    mia = browse("mia")
    assert f"/book?job={job.id}" in mia.get("/book").text
    page = mia.get(f"/book?job={job.id}").text
    assert "/machines/ender/book" in page
    assert "/machines/router/book" not in page
    free = {one["machine"]: one for one in mia.api("GET", f"/bookings/free?job={job.id}").json()}
    assert "router" not in free
    assert free["ender"]["length_min"] % 15 == 0
    assert len(free["ender"]["proposals"]) == 3


def test_the_day_and_the_week_of_all_machines_say_what_is_taken(browse, lab, read, taken):
    mia = browse("mia")
    day = read(mia.get("/book?view=day&date=2026-03-04").text)
    assert "13:00 – 15:00 Booked" in day
    assert "Otto" not in day
    assert "Free all day" in day
    assert mia.get("/book?view=week&date=2026-03-04").text.count('class="column"') == 7 * 5
    days = mia.api("GET", "/bookings/calendar?date=2026-03-04&days=2").json()
    assert len(days) == 5
    assert [len(one["allocations"]) for one in days["prusa"]] == [1, 0]


def test_who_finds_an_hour_taken_waits_for_it_and_takes_it_when_it_is_free(
    browse, lab, read, taken
):
    mia = browse("mia")
    refused = mia.post(
        "/machines/prusa/book", {"start": text_of(taken.interval.start), "length": "60"}
    )
    path = re.search(r'href="(/machines/prusa/wait[^"]+)"', refused.text)[1].replace("&amp;", "&")
    assert 'value="2026-03-04T13:00"' in mia.get(path).text
    form = {"start": "2026-03-04T13:00", "until": "2026-03-04T15:00", "length": "60"}
    assert mia.post("/machines/prusa/wait", form | {"length": "x"}).status_code == 422
    answer = mia.post("/machines/prusa/wait", form)
    assert answer.headers["location"] == "/bookings?said=waits"
    assert "Before you in the line: 0" in read(mia.get("/bookings").text)
    assert mia.post("/machines/prusa/wait", form).status_code == 409

    lab.services.bookings.cancel(lab.people["otto"], taken.id, lab.now)
    page = mia.get("/bookings").text
    assert "It is kept for you until" in read(page)
    assert "Prusa is free for you" in read(mia.get("/notices").text)
    act = re.search(r'action="(/bookings/waits/[^"]+/take)"', page)[1]
    assert mia.post(act).headers["location"] == "/bookings?said=booked"
    assert len(lab.services.bookings.mine(lab.people["mia"], lab.now)) == 1
    assert mia.post(act).status_code == 409


def test_a_swap_is_asked_and_agreed_by_pages(browse, lab, read, taken):
    start = at(lab, 6)
    mine = lab.services.bookings.book(lab.people["mia"], "ender", start, start + HOUR, lab.now)
    mia, otto = browse("mia"), browse("otto")
    calendar = mia.get("/machines/prusa/calendar?date=2026-03-04").text
    assert f'href="/bookings/{taken.id}/swap"' in calendar
    assert "Otto" not in read(mia.get(f"/bookings/{taken.id}/swap").text)
    answer = mia.post(f"/bookings/{taken.id}/swap", {"give": mine.id})
    assert answer.headers["location"] == "/bookings?said=swap-asked"
    page = otto.get("/bookings").text
    assert "Mia asks you to swap." in read(page)
    act = re.search(r'action="(/bookings/swaps/[^"]+/accept)"', page)[1]
    assert otto.post(act).headers["location"] == "/bookings?said=swapped"
    (now_mine,) = lab.services.bookings.mine(lab.people["mia"], lab.now)
    assert (now_mine.id, now_mine.machine_slug) == (mine.id, "prusa")


def test_a_series_that_meets_a_booking_is_reported_and_booked_without_it(browse, lab, read, taken):
    mia = browse("mia")
    start = taken.interval.start
    form = {"start": text_of(start), "length": "60", "weeks": "3", "asks-name": "1", "show": "1"}
    report = mia.post("/machines/prusa/book", form)
    assert report.status_code == 409
    assert read(report.text).count("can be had") >= 2
    kept = dict(re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', report.text))
    assert kept["skip"] == "1"
    answer = mia.post("/machines/prusa/book", kept)
    assert answer.headers["location"] == "/bookings?said=booked"
    made = lab.services.bookings.mine(lab.people["mia"], lab.now)
    assert [(one.interval.start - start).days for one in made] == [7, 14]
    assert all(one.shows_name for one in made)
    act = f"/bookings/{made[0].id}/cancel-series"
    assert mia.post(act, {"part": "some"}).status_code == 422
    mia.post(act, {"part": "all"})
    assert lab.services.bookings.mine(lab.people["mia"], lab.now) == []


def test_lost_time_is_made_up_for_with_one_tap_on_the_notice(browse, lab, read):
    start = at(lab, 3)
    lab.services.bookings.book(lab.people["mia"], "prusa", start, start + HOUR, lab.now)
    lab.services.bookings.outage(lab.people["otto"], "prusa", start, start + HOUR, "", lab.now)
    mia = browse("mia")
    page = mia.get("/notices").text
    said = read(page)
    assert "Your booking of Prusa" in said
    assert "The machine is out of service." in said
    assert "Ender by the window" in said
    act = re.findall(r'action="(/bookings/offers/[^"]+/take)"', page)
    assert len(act) == 3
    assert mia.post(act[0]).headers["location"] == "/bookings?said=booked"
    assert "Instead of time that you lost" not in read(mia.get("/notices").text)


def test_being_there_is_a_button_and_so_is_being_done(browse, lab, read):
    start = lab.now + timedelta(minutes=10)
    one = lab.services.bookings.book(lab.people["mia"], "prusa", start, start + 2 * HOUR, lab.now)
    mia = browse("mia")
    assert "I am here" in read(mia.get("/bookings").text)
    answer = mia.post(f"/bookings/{one.id}/check-in")
    assert answer.headers["location"] == "/bookings?said=checked-in"
    lab.now += HOUR
    assert "You are checked in." in read(mia.get("/bookings").text)
    assert mia.post(f"/bookings/{one.id}/end").headers["location"] == "/bookings?said=ended"
    assert lab.services.bookings.mine(lab.people["mia"], lab.now) == []


def test_who_checks_in_is_asked_what_the_machine_asks_before_its_use(browse, lab, read):
    write = lab.services.checklists.write
    write(lab.people["otto"], "prusa", Moment.BEFORE_USE, "Bed clean", lab.now)
    book = lab.services.bookings.book
    one = book(lab.people["mia"], "prusa", lab.now, lab.now + HOUR, lab.now)
    mia = browse("mia")
    answer = mia.post(f"/bookings/{one.id}/check-in")
    place = answer.headers["location"]
    assert place.startswith("/checklists/")
    assert "Bed clean" in read(mia.get(place).text)
    assert lab.services.bookings.mine(lab.people["mia"], lab.now)[0].checked_in
    asked = mia.api("POST", f"/bookings/{one.id}/check-in").json()["checklist"]
    assert place.startswith(f"/checklists/{asked}")
    mia.post(f"/checklists/{asked}", {"item-0": "yes"})
    assert mia.api("POST", f"/bookings/{one.id}/check-in").json() == {"checklist": None}
    assert mia.post(f"/bookings/{one.id}/check-in").headers["location"].startswith("/bookings")


def test_choices_are_ones_own_and_numbers_are_the_admins(browse, lab, read):
    mia, ada = browse("mia"), browse("ada")
    mia.post("/bookings/choices", {"show": "1", "minutes": "15"})
    assert mia.api("GET", "/bookings/choices").json() == {
        "show_name": True,
        "remind_min": 15,
        "end_min": 10,
    }
    assert mia.post("/bookings/choices", {"minutes": "17"}).status_code == 422
    numbers = {"grace_min": "20", "wait_hold_min": "15", "offer_min": "60"}
    assert mia.post("/bookings/rules", numbers).status_code == 403
    ada.post("/bookings/rules", numbers)
    assert ada.api("GET", "/bookings/rules").json()["grace_min"] == 20
    assert mia.api("PUT", "/bookings/rules", json={"grace_min": 5}).status_code == 403
    changed = ada.api("PUT", "/bookings/rules", json={"grace_min": 5}).json()
    assert changed == {"grace_min": 5, "wait_hold_min": 15, "offer_min": 60}


def test_the_api_does_what_the_pages_do(browse, lab, taken):
    mia, otto = browse("mia"), browse("otto")
    wish = {
        "machine": "prusa",
        "start": text_of(taken.interval.start),
        "until": text_of(taken.interval.end),
        "length_min": 60,
    }
    wait = mia.api("POST", "/bookings/waits", json=wish)
    assert (wait.status_code, wait.json()["state"]) == (201, "waiting")
    lab.services.bookings.cancel(lab.people["otto"], taken.id, lab.now)
    (held,) = mia.api("GET", "/bookings/waits").json()
    assert held["held"]["start"] == wish["start"]
    made = mia.api("POST", f"/bookings/waits/{held['id']}/take").json()
    assert (made["kind"], made["mine"]) == ("reservation", True)

    series = otto.api(
        "POST",
        "/bookings/series",
        json={
            "machine": "ender",
            "start": text_of(at(lab, 4)),
            "end": text_of(at(lab, 5)),
            "weeks": 2,
        },
    ).json()
    assert [one["reasons"] for one in series["occurrences"]] == [[], []]
    theirs = otto.api("GET", "/bookings").json()[0]
    swap = mia.api("POST", "/bookings/swaps", json={"give": made["id"], "take": theirs["id"]})
    assert swap.status_code == 201, swap.text
    assert [one["asked"] for one in otto.api("GET", "/bookings/swaps").json()] == [True]
    assert otto.api("POST", f"/bookings/swaps/{swap.json()['id']}/accept").status_code == 204
    assert mia.api("GET", "/bookings").json()[0]["machine"] == "ender"
    rest = otto.api("DELETE", f"/bookings/{theirs['id']}/series?part=all")
    assert rest.status_code == 204

    mine = mia.api("GET", "/bookings").json()[0]
    assert mia.api("PUT", f"/bookings/{mine['id']}/name", json={"show": True}).status_code == 204
    assert mia.api("GET", "/bookings").json()[0]["shows_name"]
    lab.services.bookings.outage(
        lab.people["otto"], "ender", lab.now, lab.now + 12 * HOUR, "", lab.now
    )
    offers = mia.api("GET", "/bookings/offers").json()
    refund = next(one["id"] for one in offers if one["kind"] == "refund")
    assert mia.api("POST", f"/bookings/offers/{refund}/take").json() is None
    assert mia.api("GET", "/bookings/offers").json() == []


def test_the_secret_link_of_a_calendar_is_made_renewed_and_ended_by_the_api(browse, lab):
    mia = browse("mia")
    assert mia.api("GET", "/bookings/link").json() == {"made_at": None}
    first = mia.api("POST", "/bookings/link").json()
    second = mia.api("POST", "/bookings/link").json()
    path = {name: one["bookings"].partition("/feeds")[2] for name, one in
            (("first", first), ("second", second))}  # fmt: skip
    assert mia.get("/feeds" + path["first"]).status_code == 404
    assert mia.get("/feeds" + path["second"]).status_code == 200
    assert set(second["machines"]) == {"ender", "prusa", "router", "old-printer", "saw"}
    assert mia.api("DELETE", "/bookings/link").status_code == 204
    assert mia.get("/feeds" + path["second"]).status_code == 404


def test_a_lab_of_one_person_sees_none_of_it(browse, lab, read):
    lab.services.lab.set_mode(lab.people["ada"], LabMode.ONLY_ME, lab.now)
    page = read(browse("ada").get("/book?view=week").text)
    assert "Week" not in page
    assert "nothing is booked" in page or "one person" in page


def test_nobody_settles_what_is_anothers(browse, lab, taken):
    """Each act on Otto's time and Mia's, tried by those whose it is not."""
    services, mia, otto = lab.services, lab.people["mia"], lab.people["otto"]
    own = services.bookings.book(mia, "ender", at(lab, 5), at(lab, 6), lab.now)
    gone = services.bookings.book(mia, "ender", at(lab, 8), at(lab, 9), lab.now)
    services.bookings.outage(otto, "ender", at(lab, 8), at(lab, 9), "", lab.now)
    offers = [one.id for one in services.offers.mine(mia, lab.now)]
    wait = services.waiting.join(
        mia, "prusa", taken.interval.start, taken.interval.end, 60, lab.now
    )
    swap = services.swapping.offer(mia, own.id, taken.id, lab.now)
    stranger, gus = browse("otto"), browse("gus")
    acts = [f"/bookings/offers/{one}/take" for one in offers]
    acts += [f"/bookings/waits/{wait.id}/{act}" for act in ("take", "leave")]
    acts += [f"/bookings/{own.id}/{act}" for act in ("check-in", "name", "swap")]
    acts += [f"/bookings/swaps/{swap}/accept"]
    for act in acts:
        who = gus if act.endswith("accept") else stranger
        answer = who.post(act, {"give": own.id, "show": "1"})
        assert answer.status_code in {403, 404, 409}, act
    for act in (f"/bookings/{own.id}/end", f"/bookings/{own.id}/cancel-series"):
        assert gus.post(act, {"part": "all"}).status_code in {403, 404, 409}, act
    assert [one.id for one in services.offers.mine(mia, lab.now)] == offers
    assert [one.id for one in services.waiting.mine(mia)] == [wait.id]
    kept = {one.id: one for one in services.bookings.mine(mia, lab.now)}
    assert kept[own.id].interval == own.interval
    assert not kept[own.id].shows_name
    assert kept[gone.id].displaced_reason == "outage"
    assert len(services.swapping.open(otto, lab.now)) == 1


@pytest.mark.parametrize(
    ("path", "form", "says"),
    [
        ("/machines/prusa/wait", {"start": "soon", "until": "x", "length": "60"}, "is no time"),
        (
            "/machines/prusa/wait",
            {"start": "2026-03-04T13:00", "until": "2026-03-04T12:00", "length": "60"},
            "",
        ),
        (
            "/machines/prusa/wait",
            {"start": "2026-03-04T13:00", "until": "2026-05-04T12:00", "length": "60"},
            "",
        ),
        ("/machines/prusa/wait", {"start": "", "until": "", "length": "9" * 40}, "number"),
        ("/machines/prusa/book", {"start": "", "length": "60", "weeks": "many"}, "number"),
        ("/machines/prusa/book", {"start": "", "length": "60", "weeks": "53"}, "52 weeks"),
        ("/bookings/choices", {"minutes": "-1"}, "number"),
        ("/bookings/nothing/swap", {"give": "nothing"}, ""),
        ("/bookings/waits/nothing/take", {}, ""),
        ("/bookings/swaps/nothing/accept", {}, ""),
        ("/bookings/swaps/nothing/burn", {}, ""),
        ("/bookings/offers/nothing/take", {}, ""),
        ("/bookings/nothing/end", {}, ""),
    ],
)
def test_what_cannot_be_meant_is_answered_with_a_sentence(browse, lab, read, path, form, says):
    answer = browse("mia").post(path, form)
    assert answer.status_code in {404, 409, 422}
    assert says in read(answer.text)
    assert "error." not in read(answer.text), "every code has its sentence"
    assert lab.services.bookings.mine(lab.people["mia"], lab.now) == []


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_that_no_calendar_has_is_no_instant(browse, lab, instant):
    mia = browse("mia")
    wish = {"machine": "prusa", "start": instant, "end": instant, "weeks": 2}
    assert mia.api("POST", "/bookings", json=wish).status_code == 422
    assert mia.api("POST", "/bookings/series", json=wish).status_code == 422
    wish = {"machine": "prusa", "start": instant, "until": instant, "length_min": 60}
    assert mia.api("POST", "/bookings/waits", json=wish).status_code == 422


def test_the_evening_ends_a_wait_that_says_no_end_and_a_late_one_has_its_length(browse, lab):
    mia = browse("mia")
    page = mia.get("/machines/prusa/wait").text
    assert 'value="2026-03-04T22:00"' in page
    late = mia.get("/machines/prusa/wait?start=2026-03-04T23:30&length=120").text
    assert 'value="2026-03-05T01:30"' in late
    assert 'value="4320"' in mia.get("/machines/prusa/wait?length=99999999999").text


def test_waiting_is_offered_only_where_nothing_is_free_soon(browse, lab):
    lab.services.bookings.book(lab.people["otto"], "prusa", lab.now, at(lab, 4), lab.now)
    page = browse("mia").get("/book").text
    assert "/machines/prusa/wait" in page
    assert "/machines/ender/wait" not in page
    assert "/machines/prusa/wait" not in browse("gus").get("/book").text
