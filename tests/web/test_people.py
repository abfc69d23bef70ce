"""Pages of people: invitations, sign-up, terms, badges, as they are clicked through."""

from __future__ import annotations

import re
from datetime import timedelta

from jobs.domain.people import Role
from tests.web.conftest import PASSWORD


def link_of(page: str, kind: str) -> str:
    return re.search(rf"http://testserver(/{kind}/[\w-]+)", page)[1]


def test_from_the_invitation_to_the_first_booking(browse, lab, read):
    otto = browse("otto")
    path = link_of(otto.post("/invites", {"name": "Noa", "role": "member"}).text, "join")
    assert "Noa" in otto.get("/people").text
    noa = browse()
    page = read(noa.get(path).text)
    assert "You are invited by Otto" in page
    wrong = noa.http.post(path, data={"name": "Noa", "login": "mia", "password": PASSWORD})
    assert wrong.status_code == 422
    assert "Somebody has the login" in read(wrong.text)
    assert PASSWORD not in wrong.text
    answer = noa.http.post(path, data={"name": "Noa", "login": "noa", "password": PASSWORD})
    assert answer.headers["location"] == "/?said=joined"
    noa.csrf = noa.api("GET", "/people/me").json()["csrf"]
    start = (lab.now.replace(minute=0) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wish = {"machine": "ender", "start": start, "end": start.replace("11:00", "12:00")}
    made = noa.api("POST", "/bookings", json=wish)
    assert made.status_code == 201, made.text
    assert browse().get(path).status_code == 422
    assert "Noa" in otto.get("/people?q=noa").text


def test_sign_up_shows_only_where_the_lab_wants_it(browse, lab, read):
    stranger, ada = browse(), browse("ada")
    assert stranger.get("/join").status_code == 404
    assert 'href="/join"' not in stranger.get("/sign-in").text
    ada.post("/sign-up", {"how": "asked"})
    assert 'href="/join"' in stranger.get("/sign-in").text
    form = {"name": "Ben", "login": "ben", "password": PASSWORD}
    assert "will let you in" in read(stranger.http.post("/join", data=form).text)
    assert stranger.post("/sign-in", {"login": "ben", "password": PASSWORD}).status_code == 401
    ben = lab.services.people.by_login("ben").id
    assert "Ben" in ada.get("/people").text
    ada.post(f"/people/{ben}/let-in")
    stranger.sign_in("ben", PASSWORD)
    ada.post("/sign-up", {"how": "open"})
    answer = browse().http.post("/join", data={**form, "login": "cat"})
    assert answer.headers["location"] == "/?said=joined"
    assert ada.post("/sign-up", {"how": "nonsense"}).status_code == 422


def test_a_child_by_name_badge_and_guardian(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    otto.post("/people", {"name": "Kim Rossi", "role": "member"})
    kim = lab.services.people.by_login("kim-rossi")
    assert kim is not None
    path = f"/people/{kim.id}"
    form = {"ends_at": "2026-06-30", "is_minor": "1", "machine-ender": "1", "consent": "1"}
    answer = otto.post(f"{path}/terms", form)
    assert answer.status_code == 422
    assert "guardian" in read(answer.text)
    form |= {"guardian": "Ilse Rossi", "guardian_reach": "0123"}
    assert otto.post(f"{path}/terms", form).status_code == 303
    assert otto.post(f"{path}/badge", {"number": "04 a3 2f 91"}).status_code == 303
    page = read(otto.get(path).text)
    assert "Kim Rossi" in page
    assert "30 Jun 2026" in page
    assert "PIN is set when the badge is first used" in page
    assert "04A32F91" not in page.upper().replace(" ", "")
    assert "Kim Rossi" not in otto.get("/people").text
    assert mia.get(path).status_code == 403
    shown = lab.services.people.get(kim.id).name
    assert shown != "Kim Rossi"
    assert shown in otto.get("/people").text


def test_a_badge_is_given_lost_and_its_pin_set_by_its_person(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    own = f"/people/{lab.people['mia'].person_id}"
    otto.post(f"{own}/badge", {"number": "AAAA1111"})
    taken = otto.post(f"/people/{lab.people['gus'].person_id}/badge", {"number": "AAAA1111"})
    assert taken.status_code == 422
    assert "carries this badge already" in read(taken.text)
    assert "/me/pin" in mia.get("/me/sign-in").text
    assert mia.post("/me/pin", {"pin": "123456"}).status_code == 422
    assert mia.post("/me/pin", {"pin": "403917"}).headers["location"] == "/me/sign-in?said=changed"
    by_password = browse().sign_in("mia", PASSWORD)
    lab.now += timedelta(minutes=11)
    assert by_password.post("/me/pin", {"pin": "403918", "proof": "wrong"}).status_code == 403
    badge = re.search(r'name="badge" value="([\w-]+)"', mia.get(own).text)[1]
    assert mia.post(f"{own}/badge-end", {"badge": badge}).status_code == 303
    assert 'name="badge"' not in mia.get(own).text
    assert mia.post(f"{own}/badge", {"number": "AAAA1111"}).status_code == 403


def test_an_admin_of_one_persons_node_still_adds_people(browse, lab, read):
    from jobs.domain.people import LabMode

    ada = browse("ada")
    lab.services.lab.set_mode(lab.people["ada"], LabMode.ONLY_ME, lab.now)
    page = ada.post("/people", {"login": "eve", "name": "Eve", "role": "member"})
    assert page.status_code == 200
    assert "/sign-in/link/" in page.text
    eve = lab.services.people.by_login("eve")
    assert ada.post(f"/people/{eve.id}/role", {"role": "trainer"}).status_code == 303
    assert lab.services.people.get(eve.id).role is Role.TRAINER


def test_staff_book_queue_and_clear_for_who_has_no_phone(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    person = lab.people["mia"].person_id
    page = otto.get(f"/book?for={person}").text
    assert "You do this for Mia" in read(page)
    confirm = re.search(r'href="(/machines/saw/book\?[^"]+)"', page)[1].replace("&amp;", "&")
    assert f"for={person}" in confirm
    page = otto.get(confirm).text
    start = re.search(r'name="start" value="([^"]+)"', page)[1]
    form = {"start": start, "length": "60", "for": person}
    answer = otto.post("/machines/saw/book", form)
    assert answer.headers["location"] == f"/people/{person}?said=booked"
    assert "Booked by Otto" in read(mia.get("/bookings").text)
    program = ("a.gcode", b"G28\nG1 X1 F600\n")
    page = otto.get(f"/jobs/new?for={person}").text
    assert "You do this for Mia" in read(page)
    made = otto.post(
        "/jobs/new", {"machine": "ender", "for": person}, files={"file": program}
    ).headers["location"]
    assert "Queued by Otto" in read(mia.get(made).text)
    assert "Booked by Otto" in read(otto.get(f"/people/{person}").text)
    form = {"outcome": "good", "by": "mia"}
    assert otto.post("/machines/old-printer/clear", form).status_code == 303
    assert "Cleared, said by Otto" in read(mia.get(f"/people/{person}").text)
    assert otto.post("/machines/old-printer/clear", {**form, "by": "x"}).status_code == 422
    other = lab.people["otto"].person_id
    for path in (f"/book?for={other}", f"/jobs/new?for={other}"):
        assert mia.get(path).status_code == 403
    assert otto.get(f"/book?for={lab.people['ada'].person_id}").status_code == 403
    wish = {"machine": "saw", "start": "2026-03-06T09:00:00Z", "end": "2026-03-06T10:00:00Z"}
    assert mia.api("POST", "/bookings", json={**wish, "for_person": other}).status_code == 403
    assert otto.api("POST", "/bookings", json={**wish, "for_person": person}).status_code == 201
    assert len(mia.api("GET", "/bookings").json()) == 2


def test_one_takes_ones_own_data_along(browse, lab):
    import io
    import zipfile

    mia, person = browse("mia"), lab.people["mia"].person_id
    answer = mia.get(f"/people/{person}/export.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="fabnode-mia.zip"' in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert b"Mia" in archive.read("person.json")
    assert browse("otto").get(f"/people/{person}/export.zip").status_code == 403
    ada = browse("ada")
    assert ada.get(f"/people/{person}/export.zip").status_code == 200
    page = mia.get("/privacy").text
    assert "all that is kept of you" in page
    assert "Ada" in page


def test_a_look_at_a_persons_page_is_shown_to_them(browse, lab, read):
    browse("otto").get(f"/people/{lab.people['mia'].person_id}")
    assert "Otto : your page" in read(browse("mia").get("/privacy").text)
    assert "Otto → Mia" in read(browse("ada").get("/privacy").text)
    assert "Otto → Mia" not in read(browse("otto").get("/privacy").text)


def test_the_lab_chooses_how_long_things_are_kept(browse, lab, read):
    mia, ada = browse("mia"), browse("ada")
    assert "365 days" in read(mia.get("/privacy").text)
    page = ada.get("/privacy").text
    form = dict(re.findall(r'name="([a-z-]+)" type="text" value="(\d+)"', page))
    assert len(form) >= 6
    assert mia.post("/privacy", form).status_code == 403
    wrong = ada.post("/privacy", {**form, "looks": "1"})
    assert wrong.status_code == 422
    assert "Between 30 and 3650" in read(wrong.text)
    assert ada.post("/privacy", {**form, "looks": "40"}).status_code == 303
    assert "40 days" in read(mia.get("/privacy").text)


def test_leaving_settles_everything_by_one_word(browse, lab, read):
    mia, person = browse("mia"), lab.people["mia"].person_id
    lab.services.bookings.book(
        lab.people["mia"],
        "saw",
        lab.now + timedelta(hours=2),
        lab.now + timedelta(hours=3),
        lab.now,
    )
    page = read(mia.get(f"/people/{person}/leave").text)
    assert "Bookings: given back 1" in page
    assert mia.post(f"/people/{person}/leave", {"how": "erase"}).status_code == 422
    answer = mia.post(f"/people/{person}/leave", {"how": "erase", "sure": "1"})
    assert "All is settled" in read(answer.text)
    assert mia.get("/").status_code == 303
    assert lab.services.people.by_login("mia") is None
    assert "Mia" not in read(browse("ada").get("/people").text)
    otto, gus = browse("otto"), lab.people["gus"].person_id
    assert otto.get(f"/people/{lab.people['ada'].person_id}/leave").status_code == 403
    done = otto.post(f"/people/{gus}/leave", {"how": "lock", "sure": "1"})
    assert done.headers["location"] == "/people?said=left"
    assert lab.services.people.by_login("gus").disabled
    last = browse("ada").post(
        f"/people/{lab.people['ada'].person_id}/leave", {"how": "lock", "sure": "1"}
    )
    assert last.status_code == 422


def test_invitations_terms_and_badges_in_the_api(browse, lab):
    otto, mia = browse("otto"), browse("mia")
    gus = lab.people["gus"].person_id
    made = otto.api("POST", "/invites", json={"name": "Noa"})
    assert made.status_code == 201
    assert browse().get(made.json()["path"]).status_code == 200
    assert otto.api("POST", "/invites", json={"role": "admin"}).status_code == 403
    guest = {"role": "guest", "terms": {"ends_at": "2026-04-01T00:00:00Z", "machines": ["saw"]}}
    assert otto.api("POST", "/invites", json=guest).status_code == 201
    terms = {"ends_at": "2026-04-01T00:00:00Z", "sponsor": "mia", "machines": ["saw"]}
    found = otto.api("PUT", f"/people/{gus}/terms", json=terms).json()
    assert (found["sponsor_name"], found["machines"]) == ("Mia", [["saw", "Band saw"]])
    assert otto.api("GET", f"/people/{gus}/terms").json() == found
    assert browse("gus").api("GET", f"/people/{gus}/terms").status_code == 200
    assert mia.api("GET", f"/people/{gus}/terms").status_code == 403
    assert mia.api("PUT", f"/people/{gus}/terms", json=terms).status_code == 403
    wrong = otto.api("PUT", f"/people/{gus}/terms", json={**terms, "sponsor": ""})
    assert wrong.status_code == 422
    assert wrong.json()["field"] == "sponsor"
    badge = {"number": "04A32F91"}
    assert mia.api("POST", f"/people/{gus}/badges", json=badge).status_code == 403
    assert otto.api("POST", f"/people/{gus}/badges", json=badge).status_code == 204
