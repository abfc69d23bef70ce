"""Taking a lab over from another system: lists in the shape of NEMO's and fab-manager's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.importing import RowError, What, read_table
from jobs.domain.people import Actor, Role
from jobs.domain.prices import Per, amount_of
from jobs.services.importing import Imported, Importing
from jobs.services.prices import Prices
from jobs.services.workshop import Workshop
from jobs.store.house import Price
from jobs.store.tables import Allocation, Person
from tests.jobs.services.conftest import NOW

# Columns as NEMO names its users, qualifications and reservations.
NEMO_USERS = b"""id,username,first_name,last_name,email,is_active
1,ana,Ana,Berg,ana@example.org,True
2,ben,Ben,Cho,ben@example.org,True
"""
NEMO_QUALIFICATIONS = b"""user,tool,qualified_on
ana,Ender,2025-01-02
"""
NEMO_RESERVATIONS = b"""id,user,tool,start,end,cancelled,title
7,ana,Ender,2026-03-10T09:00:00+01:00,2026-03-10T11:00:00+01:00,False,hooks
"""
# Columns as fab-manager names its members and reservations.
FABMANAGER = "Surname;First name;Email;Group\nBerg;Ana;ana@example.org;standard\n".encode("cp1252")
FABMANAGER_BOOKED = (
    b"Email;Machine;Start date;End date\nana@x.org;ENDER;10.03.2026 09:00;10.03.2026 11:00\n"
)
ICS = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n%sEND:VCALENDAR\r\n"
EVENT = (
    b"BEGIN:VEVENT\r\nUID:%s\r\nDTSTART:20260310T080000Z\r\nDTEND:20260310T100000Z\r\n"
    b"SUMMARY:hooks\r\nLOCATION:Ender\r\nATTENDEE:mailto:ana@example.org\r\n%sEND:VEVENT\r\n"
)


@pytest.fixture
def bring(workshop: Workshop, printer: str, admin: Actor) -> Callable[..., Imported]:
    def run(what: What, data: bytes, name: str = "list.csv", *, dry: bool = False) -> Imported:
        return Importing(workshop).run(admin, what, name, data, NOW, dry=dry)

    return run


def count(workshop: Workshop, table: type) -> int:
    with workshop.database.read() as session:
        return session.query(table).count()


def told(found: Imported) -> list[tuple[int, str, str]]:
    return [(one.line, one.field, one.code) for one in found.problems]


def test_a_nemo_lab_comes_over_in_three_lists_and_a_second_time_changes_nothing(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    for what, data, made in (
        (What.PEOPLE, NEMO_USERS, 2),
        (What.QUALIFICATIONS, NEMO_QUALIFICATIONS, 1),
        (What.BOOKINGS, NEMO_RESERVATIONS, 1),
    ):
        found = bring(what, data)
        assert (found.made, found.known, found.taken) == (made, 0, True), told(found)
        again = bring(what, data)
        assert (again.made, again.known, again.taken) == (0, made, True)
        assert {code for _, _, code in told(again)} == {"known"}
    with workshop.database.read() as session:
        booked = session.query(Allocation).one()
        assert (booked.note, booked.start_at.hour) == ("hooks", 8)
        assert session.query(Person).filter_by(login="ana").one().name == "Ana Berg"


def test_a_fabmanager_lab_comes_over_with_its_own_columns_and_local_times(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    assert bring(What.PEOPLE, FABMANAGER).made == 1
    assert bring(What.BOOKINGS, FABMANAGER_BOOKED).made == 1
    with workshop.database.read() as session:
        assert session.query(Allocation).one().start_at.hour == 8  # nine in Berlin


def test_a_dry_run_tells_the_same_and_leaves_nothing(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    people = count(workshop, Person)
    found = bring(What.PEOPLE, NEMO_USERS, dry=True)
    assert (found.made, found.taken) == (2, False)
    assert count(workshop, Person) == people


def test_one_bad_row_keeps_the_whole_list_out_and_every_row_is_told(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    bring(What.PEOPLE, NEMO_USERS)
    rows = [
        "user,tool,start,end",
        "ana,Ender,2026-03-10 09:00,2026-03-10 10:00",
        "zoe,Ender,2026-03-10 09:00,2026-03-10 10:00",
        "ana,Lathe,2026-03-10 09:00,2026-03-10 10:00",
        "ben,Ender,2026-03-10 09:30,2026-03-10 10:30",
        "ana,Ender,someday,2026-03-10 10:00",
        "ana,Ender,2026-03-11 10:00,2026-03-11 09:00",
        "ana,Ender,2025-03-11 10:00,2025-03-11 11:00",
        "ana,Ender,2026-03-29 02:30,2026-03-29 04:00",
        "ana,Ender,2026-04-29 02:30,2026-06-29 04:00",
        ",Ender,2026-03-12 09:00,2026-03-12 10:00",
    ]
    found = bring(What.BOOKINGS, "\n".join(rows).encode())
    assert told(found) == [
        (3, "login", "nobody"),
        (4, "machine", "no-machine"),
        (5, "start", "taken"),
        (6, "start", "time"),
        (7, "end", "ends-before"),
        (8, "start", "past"),
        (9, "start", "no-such-time"),
        (10, "end", "too-long"),
        (11, "login", "missing"),
    ]
    assert not found.taken
    assert count(workshop, Allocation) == 0


@pytest.mark.parametrize(
    ("what", "data", "code"),
    [
        (What.PEOPLE, b"", "empty"),
        (What.PEOPLE, b"shoe size\n43\n", "no-column"),
        (What.BOOKINGS, b"user,tool\nana,Ender\n", "no-column"),
        (What.PEOPLE, b"login\na,b,c\n", "too-wide"),
        (What.PEOPLE, b'login\n"ana\n', "ok-or-not"),
        (What.PEOPLE, b"login,role\nzed,emperor\n", ""),
        (What.PEOPLE, b"login,is_active\nzed,False\n", "inactive"),
        (What.PEOPLE, b"login,is_active\nzed,perhaps\n", "yes-no"),
        (What.PEOPLE, b"login\nno spaces please\n", "refused"),
        (What.QUALIFICATIONS, b"user,kind\nmia,spaceship\n", "nobody"),
    ],
)
def test_what_is_wrong_is_named(
    bring: Callable[..., Imported], what: What, data: bytes, code: str
) -> None:
    codes = [one for _, _, one in told(bring(what, data))]
    assert code in ("", "ok-or-not") or code in codes


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, b"\x00" * 1000, b",;\t\n" * 500])
def test_any_bytes_are_read_without_a_trace(data: bytes) -> None:
    rows, problems = read_table(data)
    assert isinstance(rows, list)
    assert isinstance(problems, list)


def test_a_calendar_is_taken_and_what_repeats_is_told(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    bring(What.PEOPLE, NEMO_USERS)
    repeats = ICS % (EVENT % (b"1", b"RRULE:FREQ=WEEKLY\r\n"))
    assert told(bring(What.BOOKINGS, repeats, "old.ics")) == [(1, "", "repeats")]
    found = bring(What.BOOKINGS, ICS % (EVENT % (b"2", b"")), "old.ICS")
    assert (found.made, found.taken) == (1, True), told(found)
    broken = bring(What.BOOKINGS, b"no calendar", "old.ics")
    assert told(broken)[0][2] == "not-ics"
    with pytest.raises(InvalidError):
        bring(What.PEOPLE, ICS, "old.ics")


def test_only_an_admin_brings_a_lab(workshop: Workshop, operator: Actor) -> None:
    with pytest.raises(NotAllowedError):
        Importing(workshop).run(operator, What.PEOPLE, "a.csv", NEMO_USERS, NOW, dry=True)


# Rates as NEMO's billing names them, and prices as fab-manager does: an amount for so many minutes.
NEMO_RATES = b"""type,tool,category,amount,time
Tool,Ender,Academic,12.00,hourly
Tool,Ender,Industry,0.50,minute
Tool,Ender,,1,flat
"""
FABMANAGER_PRICES = "Machine;Group;Duration;Price\nENDER;standard;30;4,50 €\n".encode()
MATERIALS = b"material,per,price,currency\nPLA,kg,24.00,eur\nPETG,g,0.03,eur\n"


def prices(workshop: Workshop, at: datetime = NOW) -> list[tuple[str, str, str, float, str]]:
    return [
        (one.machine_slug or one.material, one.group, one.per.value, one.micro / 1e6, one.currency)
        for one in Prices(workshop).list(at)
    ]


def test_prices_come_over_in_one_unit_each_and_a_newer_one_supersedes(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    for data, made in ((NEMO_RATES, 3), (FABMANAGER_PRICES, 1), (MATERIALS, 2)):
        assert bring(What.PRICES, data, dry=True).made == made
        assert bring(What.PRICES, data).made == made
        assert bring(What.PRICES, data).known == made
    assert prices(workshop) == [
        ("petg", "", "gram", 0.03, "EUR"),
        ("pla", "", "gram", 0.024, "EUR"),
        ("ender", "Academic", "hour", 12.0, ""),
        ("ender", "Industry", "hour", 30.0, ""),
        ("ender", "standard", "hour", 9.0, "EUR"),
        ("ender", "", "start", 1.0, ""),
    ]
    newer = Importing(workshop)
    with workshop.database.read() as session:
        admin = session.query(Person).filter_by(role="admin").one()
    actor = Actor(admin.id, admin.name, Role.ADMIN)
    later = NOW + timedelta(days=1)
    found = newer.run(actor, What.PRICES, "p.csv", b"material,price\npla,0.02\n", later, dry=False)
    assert (found.made, count(workshop, Price)) == (1, 7)
    pla = [one for one in prices(workshop, later) if one[0] == "pla"]
    assert pla == [("pla", "", "gram", 0.02, "")]


def test_every_row_that_is_no_price_is_told_and_keeps_the_list_out(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    rows = [
        "machine,kind,material,amount,per,currency",
        "Ender,,,4,hour,EUR",
        "Ender,,,5,h,EUR",
        "Ender,fdm,,4,hour,EUR",
        ",,,4,hour,EUR",
        ",press,,4,hour,EUR",
        "Lathe,,,4,hour,EUR",
        "Ender,,,four,hour,EUR",
        "Ender,,,-4,hour,EUR",
        "Ender,,,4,fortnight,EUR",
        "Ender,,,4,hour,money",
        ",,pla,4,hour,EUR",
        "Ender,,,4,g,EUR",
        ",,pla,1000001,g,EUR",
    ]
    found = bring(What.PRICES, "\n".join(rows).encode())
    assert told(found) == [
        (3, "amount", "price-twice"),
        (4, "machine", "price-of"),
        (5, "machine", "price-of"),
        (6, "kind", "kind"),
        (7, "machine", "no-machine"),
        (8, "amount", "amount"),
        (9, "amount", "amount"),
        (10, "per", "unit"),
        (11, "currency", "currency"),
        (12, "per", "unit"),
        (13, "per", "unit"),
        (14, "amount", "amount"),
    ]
    assert prices(workshop) == []


@given(
    cells=st.dictionaries(
        st.sampled_from(["amount", "per", "duration", "currency"]),
        st.text(max_size=12) | st.sampled_from(["0", "1", "999999", "0,01 €", "min", "kg", "1440"]),
    )
)
def test_any_cells_are_a_price_within_bounds_or_a_reason(cells: dict[str, str]) -> None:
    try:
        micro, code = amount_of(cells, Per.HOUR).micro, ""
    except RowError as error:
        micro, code = 0, error.code
    assert 0 <= micro <= 10**12
    assert code in {"", "amount", "unit", "currency"}


def test_people_come_with_their_terms_and_badges(
    workshop: Workshop, member: Actor, bring: Callable[..., Imported]
) -> None:
    from jobs.services.badges import badge_owner
    from jobs.services.footing import footing_of

    found = bring(
        What.PEOPLE,
        b"login,name,role,sponsor,until,machines,minor,guardian,guardian reach,consent,"
        b"badge number\n"
        b"gil,Gil,guest,mia,2026-06-30,ender,,,,,04A32F91\n"
        b"kim,Kim Rossi,member,mia,2026-06-30,ender,yes,Ilse,next door,yes,\n"
        b"lou,Lou,member,,,,,,,,\n",
    )
    assert (found.made, found.problems) == (3, [])
    with workshop.database.read() as session:
        people = {one.login: one for one in session.query(Person)}
        owner = badge_owner(session, workshop, "04a32f91")
        assert owner is not None
        assert owner.login == "gil"
        gil, kim, lou = (footing_of(session, people[one].id) for one in ("gil", "kim", "lou"))
    assert gil.sponsor_id == member.person_id
    assert (gil.machines, gil.is_minor) == (kim.machines, False)
    assert (kim.is_minor, kim.has_consent) == (True, True)
    assert people["kim"].name != "Kim Rossi"
    assert (lou.ends_at, lou.machines) == (None, None)


def test_terms_that_cannot_be_keep_the_list_out(
    workshop: Workshop, bring: Callable[..., Imported]
) -> None:
    before = count(workshop, Person)
    found = bring(What.PEOPLE, b"login,name,minor,until\nkim,Kim,yes,2026-06-30\n")
    assert told(found) == [(2, "guardian", "refused")]
    assert count(workshop, Person) == before
