"""What is kept of a person: they take it along, they are forgotten, and looks are written down."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Role
from jobs.domain.retention import TERMS, Kept
from jobs.services import build_services, personal
from jobs.services.leaving import Leaving
from jobs.services.looks import Looks
from jobs.services.people import alias_of
from jobs.services.retention import Retention
from jobs.services.standings import TermsWish
from jobs.store.persons import Look
from jobs.store.tables import Job, Person, PersonAlias

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PASSWORD = "correct horse battery"
PROGRAM = b"G28\nG1 X1\n"
GONE = "Former member"


@pytest.fixture
def services(workshop):
    return build_services(workshop)


@pytest.fixture
def lived(services, workshop, operator, member, other, printer, now):
    """Mia has been here for a while: everything that the house keeps of a person."""
    services.people.set_password(member.person_id, PASSWORD, now)
    token, _ = services.people.sign_in("mia", PASSWORD, now)
    _, key = services.people.make_api_key(member, "slicer of Mia", now)
    services.badges.give(operator, member.person_id, "04A32F91", now)
    services.badges.set_pin(member.person_id, "403917")
    feed = services.feeds.make(member, now)
    services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now, "for grandma")
    job = services.queue.submit(
        member, name="secret gift.gcode", data=io.BytesIO(PROGRAM), machine_slug="ender", now=now
    )
    services.notices.list(member)
    services.faults.nearly(member, "sleeve", "ender", now, unnamed=False)
    services.standings.set(operator, member.person_id, TermsWish(now + 30 * DAY), now)
    with workshop.database.write() as session:
        alias_of(session, member.person_id, workshop)
        from jobs.services.notices import tell

        tell(session, workshop, other.person_id, "person-asks", {"person": "Mia"}, now)
    return {"job": job.id, "secrets": [token, key, feed, "403917", "04A32F91", PASSWORD]}


def unpacked(workshop, person, now):
    pieces = list(personal.export(workshop, person.person_id, now))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    return archive


def test_the_export_has_it_all_and_no_secret(workshop, lived, member, operator, now):
    archive = unpacked(workshop, member, now)
    names = set(archive.namelist())
    assert {"about.json", "person.json", "allocation.json", "job.json", "badge.json"} <= names
    assert [one for one in names if one.startswith("files/")]
    everything = b"".join(archive.read(name) for name in names).decode()
    for known in ("Mia", "for grandma", "secret gift.gcode", "slicer of Mia", "sleeve"):
        assert known in everything, known
    for secret in lived["secrets"]:
        assert secret not in everything
    with workshop.database.read() as session:
        stored = session.get_one(Person, member.person_id).password_hash
        hashes = [
            *session.scalars(text("SELECT number_hmac FROM badge")),
            *session.scalars(text("SELECT pin_hash FROM pin")),
            *session.scalars(text("SELECT token_sha256 FROM sign_in")),
            *session.scalars(text("SELECT csrf FROM sign_in")),
            *session.scalars(text("SELECT key_sha256 FROM api_key")),
        ]
    for secret in (stored, *hashes):
        assert secret not in everything
    assert operator.person_id not in everything  # nor who the others are
    [badge] = json.loads(archive.read("badge.json"))
    assert badge["given_by"] == "another person"


def test_the_export_is_of_one_person(workshop, lived, other, now):
    archive = unpacked(workshop, other, now)
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert "secret gift" not in everything
    assert "for grandma" not in everything


def test_the_export_holds_little_at_once(workshop, services, member, printer, now):
    data = b"G1 X1\n" * (1 << 20)  # 6 MiB
    services.queue.submit(
        member, name="large.gcode", data=io.BytesIO(data), machine_slug="ender", now=now
    )
    pieces = list(personal.export(workshop, member.person_id, now))
    assert max(map(len, pieces)) < 1 << 20
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    [name] = [one for one in archive.namelist() if one.startswith("files/")]
    assert archive.read(name) == data


def test_more_rows_than_one_page_all_leave(workshop, member, now):
    from jobs.store.sharing import Notice

    with workshop.database.write() as session:
        session.add_all(
            Notice(id=workshop.new_id(), person_id=member.person_id, at=now, code="x", fields={})
            for _ in range(personal._PAGE * 2 + 1)
        )
    rows = json.loads(unpacked(workshop, member, now).read("notice.json"))
    assert len({one["id"] for one in rows}) == personal._PAGE * 2 + 1


def test_every_table_that_names_a_person_is_in_the_export():
    known = {table.name for table, _ in personal.personal_tables()}
    assert {"person", "job", "allocation", "badge", "look", "house_visit", "presence"} <= known


def test_who_is_erased_is_nowhere_and_the_records_stay(
    services, workshop, lived, admin, operator, member, now
):
    leaving = Leaving(workshop)
    with workshop.database.read() as session:
        records = session.scalar(text("SELECT count(*) FROM record"))
        job = session.get_one(Job, lived["job"])
        sha256 = job.input_sha256
    settled = leaving.settle(operator, member.person_id, now, GONE, erase=True)
    assert settled.name == "Mia"
    assert not workshop.library.has(sha256)
    with workshop.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM record")) == records
        assert session.get(PersonAlias, member.person_id) is None
        person = session.get_one(Person, member.person_id)
        assert (person.name, person.password_hash, person.role) == (GONE, None, Role.GUEST)
        assert session.get_one(Job, lived["job"]).title.startswith("#")
        tables = session.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ).all()
        every = {name: text(f'SELECT * FROM "{name}"') for name in tables}
        kept = {name: repr(session.execute(query).all()) for name, query in every.items()}
    for word in ("Mia", "'mia'", "grandma", "secret gift", "slicer of"):
        assert [name for name, rows in kept.items() if word in rows] == [], word
    assert services.people.by_login("mia") is None
    assert member.person_id not in {one.id for one in services.people.list(admin)}
    with pytest.raises(Exception, match=r"person\.unknown"):
        services.people.enable(admin, member.person_id)


def test_everything_is_settled_by_one_word(services, workshop, lived, operator, member, guest, now):
    terms = TermsWish(now + DAY, "mia", ["ender"])
    services.standings.set(operator, guest.person_id, terms, now)
    leaving = Leaving(workshop)
    kinds = {one.kind: one.count for one in leaving.look(member, member.person_id, now)}
    assert kinds["jobs"] == kinds["bookings"] == kinds["badges"] == kinds["keys"] == 1
    assert kinds["guests"] == 1
    leaving.settle(operator, member.person_id, now, GONE, erase=False)
    assert leaving.look(operator, member.person_id, now) == []
    assert services.people.by_login("mia").disabled
    assert services.standings.get(operator, guest.person_id, now).sponsor_name == "Otto"
    assert services.queue.get(lived["job"], now, operator).job.state.value == "cancelled"


def test_who_leaves_alone_leaves_their_guests_to_staff(
    services, workshop, operator, member, guest, printer, now
):
    services.standings.set(operator, guest.person_id, TermsWish(now + DAY, "mia", ["ender"]), now)
    Leaving(workshop).settle(member, member.person_id, now, GONE, erase=True)
    assert "person-no-sponsor" in [one.code for one in services.notices.list(operator)]
    assert services.standings.get(operator, guest.person_id, now).sponsor_id is None


def test_what_runs_has_to_end_first_and_the_last_admin_stays(
    services, workshop, lived, admin, operator, member, other, now
):
    leaving = Leaving(workshop)
    with workshop.database.write() as session:
        session.get_one(Job, lived["job"]).state = "running"
    with pytest.raises(InvalidError, match=r"leaving\.blocked"):
        leaving.settle(member, member.person_id, now, GONE, erase=True)
    with pytest.raises(InvalidError, match=r"person\.last-admin"):
        leaving.settle(admin, admin.person_id, now, GONE, erase=True)
    with pytest.raises(NotAllowedError):
        leaving.settle(operator, admin.person_id, now, GONE, erase=False)
    with pytest.raises(NotAllowedError):
        leaving.settle(other, member.person_id, now, GONE, erase=False)
    with pytest.raises(NotAllowedError):
        leaving.look(other, member.person_id, now)


def test_a_file_that_another_person_brought_too_stays(
    services, workshop, member, other, printer, now
):
    for who in (member, other):
        services.queue.submit(
            who, name="a.gcode", data=io.BytesIO(PROGRAM), machine_slug="ender", now=now
        )
    with workshop.database.read() as session:
        sha256 = session.scalars(select(Job.input_sha256)).first()
    Leaving(workshop).settle(member, member.person_id, now, GONE, erase=True)
    assert workshop.library.has(sha256)
    Leaving(workshop).settle(other, other.person_id, now, GONE, erase=True)
    assert not workshop.library.has(sha256)


def test_a_look_is_written_once_an_hour_and_shown_to_whom_it_was_at(
    workshop, admin, operator, member, other, now
):
    looks = Looks(workshop)
    for _ in range(3):
        looks.note(operator, [member.person_id, operator.person_id, ""], "person", now)
    looks.note(operator, [member.person_id], "person", now + HOUR)
    looks.note(admin, [member.person_id, other.person_id], "contests", now)
    seen = [(one.viewer, one.what) for one in looks.at_mine(member)]
    assert sorted(seen) == [("Ada", "contests"), ("Otto", "person"), ("Otto", "person")]
    assert len(looks.all(admin)) == 4
    with pytest.raises(NotAllowedError):
        looks.all(operator)


def test_each_kind_is_kept_as_long_as_the_lab_says(
    services, workshop, admin, operator, member, now
):
    retention = Retention(workshop)
    assert retention.days() == {kind: term.days for kind, term in TERMS.items()}
    retention.set(admin, {Kept.LOOKS: 30, Kept.NOTICES: 7})
    for kind, days in (
        (Kept.LOOKS, 29),
        (Kept.SIGN_INS, 31),
        (Kept.NOTICES, 7.5),
        (Kept.ACTS, None),
    ):
        with pytest.raises(InvalidError, match=r"kept\.days"):
            retention.set(admin, {kind: days})
    with pytest.raises(NotAllowedError):
        retention.set(operator, {Kept.LOOKS: 40})
    Looks(workshop).note(operator, [member.person_id], "person", now - 31 * DAY)
    Looks(workshop).note(admin, [member.person_id], "person", now - 29 * DAY)
    from jobs.services.notices import tell

    with workshop.database.write() as session:
        for days in (8, 6):
            tell(session, workshop, member.person_id, "near-miss", {}, now - days * DAY)
        alias = alias_of(session, member.person_id, workshop)
    swept = services.sweep.tick(now)
    assert (swept.looks, swept.notices, swept.record_links) == (1, 1, 0)
    services.people.disable(admin, member.person_id, now - 366 * DAY)
    assert services.sweep.tick(now).record_links == 1
    with workshop.database.read() as session:
        assert session.get(PersonAlias, alias) is None
        assert session.scalar(select(Look.id)) is not None
    assert services.sweep.tick(now).record_links == 0


def test_wire_logs_go_with_their_time(services, workshop, gateway, lived, printer, now, tmp_path):
    from jobs.store.tables import Attempt

    run = workshop.new_id()
    with workshop.database.write() as session:
        session.add(
            Attempt(
                id=run,
                job_id=lived["job"],
                machine_id=printer,
                state="finished",
                started_at=now - 92 * DAY,
                ended_at=now - 91 * DAY,
                detail={},
            )
        )
    log = tmp_path / f"{run}.0.gz"
    log.write_bytes(b"x")
    gateway.wire_logs = [log]
    assert services.sweep.tick(now).wire_logs == 1
    assert not log.exists()


def test_credit_is_paid_out_first_and_the_account_then_has_no_person(
    services, workshop, admin, member, now
):
    from jobs.domain.books import EntryKind
    from jobs.domain.modules import Module
    from jobs.services.purse import Posting, account_of, post
    from jobs.store.money import MoneyAccount, MoneyEntry

    services.modules.choose(admin, set(Module), now)

    def add(minor: int) -> None:
        with workshop.database.write() as session:
            account = account_of(session, workshop, member.person_id, now)
            post(
                session,
                workshop,
                account,
                Posting(EntryKind.TOP_UP if minor > 0 else EntryKind.PAY_OUT, minor),
                now,
            )

    add(1250)
    leaving = Leaving(workshop)
    [credit] = [one for one in leaving.look(member, member.person_id, now) if one.blocks]
    assert (credit.kind, credit.names[0][:5]) == ("credit", "12.50")
    with pytest.raises(InvalidError, match=r"leaving\.blocked"):
        leaving.settle(member, member.person_id, now, GONE, erase=True)
    add(-1250)
    leaving.settle(member, member.person_id, now, GONE, erase=True)
    with workshop.database.read() as session:
        assert [one.person_id for one in session.scalars(select(MoneyAccount))] == [None]
        assert len(session.scalars(select(MoneyEntry)).all()) == 2
