from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def booked(lab):
    start = lab.now.replace(minute=0) + timedelta(hours=3)  # 13:00 in Berlin
    return lab.services.bookings.book(
        lab.people["mia"], "prusa", start, start + timedelta(hours=2), lab.now
    )


def interval_of(lab, booking):
    found = lab.services.bookings.mine(lab.people["mia"], lab.now)
    return next(one.interval for one in found if one.id == booking.id)


def test_a_booking_is_moved_by_its_page(browse, lab, booked, read):
    mia = browse("mia")
    assert f'href="/bookings/{booked.id}/move"' in mia.get("/bookings").text
    page = mia.get(f"/bookings/{booked.id}/move").text
    assert 'value="2026-03-04T13:00"' in page
    answer = mia.post(
        f"/bookings/{booked.id}/move", {"start": "2026-03-05T10:00", "end": "2026-03-05T11:30"}
    )
    assert answer.headers["location"] == "/bookings?said=moved"
    moved = interval_of(lab, booked)
    assert moved.start.isoformat() == "2026-03-05T09:00:00+00:00"
    assert moved.length == timedelta(minutes=90)


def test_what_has_begun_is_made_shorter_to_the_second(browse, lab, read):
    start = lab.now + timedelta(minutes=10, seconds=17)
    one = lab.services.bookings.book(
        lab.people["mia"], "prusa", start, start + timedelta(hours=2), lab.now
    )
    lab.now += timedelta(minutes=30)
    mia = browse("mia")
    page = mia.get(f"/bookings/{one.id}/move").text
    assert "It has begun" in read(page)
    answer = mia.post(
        f"/bookings/{one.id}/move", {"start": "2026-03-04T10:17", "end": "2026-03-04T11:00"}
    )
    assert answer.status_code == 303, read(answer.text)
    left = interval_of(lab, one)
    assert left.start == start
    assert left.end.isoformat() == "2026-03-04T10:00:00+00:00"


def test_a_move_that_cannot_be_says_why_and_keeps_what_was_typed(browse, lab, booked, read):
    other = booked.interval.start + timedelta(days=1)
    lab.services.bookings.book(
        lab.people["otto"], "prusa", other, other + timedelta(hours=2), lab.now
    )
    mia = browse("mia")
    path = f"/bookings/{booked.id}/move"
    taken = mia.post(path, {"start": "2026-03-05T13:30", "end": "2026-03-05T14:30"})
    assert taken.status_code == 409
    assert "Somebody has the machine in this time." in read(taken.text)
    assert 'value="2026-03-05T13:30"' in taken.text
    back = mia.post(path, {"start": "2026-03-05T18:30", "end": "2026-03-05T17:30"})
    assert back.status_code == 422
    assert "ends before it starts" in read(back.text)
    nonsense = mia.post(path, {"start": "soon", "end": "2026-03-05T17:30"})
    assert nonsense.status_code == 422
    assert interval_of(lab, booked) == booked.interval


def test_nobody_moves_what_is_not_theirs(browse, lab, booked):
    gus = browse("gus")
    path = f"/bookings/{booked.id}/move"
    form = {"start": "2026-03-05T18:30", "end": "2026-03-05T19:30"}
    assert gus.get(path).status_code == 404
    assert gus.post(path, form).status_code == 404
    assert interval_of(lab, booked) == booked.interval


def test_in_a_calendar_a_run_that_is_over_ran(browse, lab, read):
    mia = browse("mia")
    data = b"G28\nM104 S200\nM109 S200\nG1 X10 Y10 F600 E1\nM104 S0\n"
    path = (
        mia.post("/jobs/new", {"machine": "old-printer"}, files={"file": ("a.gcode", data)})
        .headers["location"]
        .partition("?")[0]
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    mia.post(f"{path}/by-hand", {"what": "started", "machine": "old-printer"})
    assert "Running" in read(mia.get("/machines/old-printer/calendar").text)
    lab.now += timedelta(minutes=10)
    mia.post(f"{path}/by-hand", {"what": "finished"})
    page = read(mia.get("/machines/old-printer/calendar").text)
    assert "Running" not in page
    assert "Ran" in page
