"""Money on its way: said beforehand, kept while it runs, charged once, put right by new entries."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from jobs.domain.calendar import Interval
from jobs.domain.care import Outcome
from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.modules import Module
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason
from jobs.domain.rules.values import LAB, Scope
from jobs.services.live import LiveState
from jobs.services.money import statement_csv
from jobs.services.personal import export
from jobs.services.purse import available, balance_of
from jobs.store.money import MoneyAccount, MoneyEntry, MoneyMonth, MoneyPreview
from jobs.store.money_guards import CLOSED, KEPT
from jobs.store.tables import UsageEvent
from tests.jobs.services.way.conftest import House

HOUR = timedelta(hours=1)


class Till:
    """Short ways to a lab's money."""

    def __init__(self, house: House, admin: Actor) -> None:
        self.house, self.admin = house, admin
        self.services = house.services
        self.services.modules.choose(admin, set(Module), house.now)

    def price(self, of: str, amount: str, per: str, **more: str) -> None:
        values = {"of": of, "amount": amount, "per": per, **more}
        self.services.prices.set(self.admin, values, self.house.now)

    def terms(self, **values: str) -> None:
        self.services.money_lab.decide(self.admin, values, self.house.now)

    def pay(self, who: Actor, amount: str, receipt: str) -> int:
        return self.services.money.pay(
            self.admin, who.person_id, amount, receipt, "cash", self.house.now
        )

    def entries(self, **where: object) -> list[MoneyEntry]:
        return sorted(self.house.rows(MoneyEntry, **where), key=lambda one: one.seq)

    def said(self) -> list[tuple[str, int, str]]:
        return [(one.kind, one.minor, one.why) for one in self.entries()]

    def balance(self, who: Actor) -> int:
        with self.house.workshop.database.read() as session:
            (account,) = session.query(MoneyAccount).filter_by(person_id=who.person_id)
            return balance_of(session, account.id)

    def left(self, who: Actor) -> int:
        with self.house.workshop.database.read() as session:
            return available(session, who.person_id, self.house.now)

    def rule(self, value: int | None, scope: Scope = LAB) -> None:
        house = self.services.house
        house.set(self.admin, scope, "owing_most", value, "", self.house.now)

    def start(self, who: Actor, slug: str = "ender") -> str:
        self.services.dispatch.arm(who, slug, self.house.now)
        (run,) = self.services.dispatch.tick(self.house.later(seconds=1))
        self.services.runs.apply(slug, self.house.event(run, 1, "run_started"), self.house.now)
        return run

    def end(self, run: str, kind: str = "finished", slug: str = "ender", **fields: object) -> None:
        told = self.house.event(run, 2, kind, **fields)
        self.services.runs.apply(slug, told, self.house.now)


@pytest.fixture
def till(house: House, admin: Actor) -> Till:
    return Till(house, admin)


@pytest.fixture
def priced(till: Till, printer: str) -> Till:
    """6.00 an hour, 0.50 a start, and 0.03 a gram of PLA."""
    till.price("machine:ender", "6", "hour")
    till.price("kind:fdm", "0.50", "start")
    return till


def test_money_is_off_at_first_and_then_nothing_costs_anything(
    house: House, add_waiting: Callable[..., str], printer: str, operator: Actor
) -> None:
    assert Module.MONEY not in house.services.modules.on()
    job = add_waiting(operator, printer)
    house.services.dispatch.arm(operator, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.later(seconds=1))
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.later(hours=1))
    assert house.rows(MoneyEntry) == house.rows(MoneyPreview) == []
    assert house.services.money.costs_of_job(operator, job, house.now) == []


def test_a_run_costs_what_was_said_and_is_charged_once(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor
) -> None:
    house = priced.house
    job = add_waiting(operator, printer, planned_s=1800.0)
    (said,) = priced.services.money.costs_of_job(operator, job, house.now)
    assert 350 <= said.p50 <= said.p90
    run = priced.start(operator)
    assert (house.row(MoneyPreview, attempt_id=run).p90_minor, priced.left(operator)) == (
        said.p90, -said.p90,
    )  # fmt: skip
    house.later(minutes=30)
    for _ in range(2):
        priced.end(run)
    (entry,) = priced.entries()
    assert (entry.kind, entry.minor, entry.fact) == ("charge", -350, f"run:{run}")
    assert said.p50 - 50 <= 350 <= said.p90  # a planned half hour, the pace of this machine unknown
    assert [(one["part"], one["minor"]) for one in entry.lines] == [("time", 300), ("start", 50)]
    assert all(one["price"] for one in entry.lines)
    assert priced.balance(operator) == priced.left(operator) == -350


def test_each_group_has_its_price_from_when_it_holds(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor, other: Actor
) -> None:
    money, now = priced.services.money, priced.house.now
    priced.price("machine:ender", "3", "hour", group="students")
    priced.price("machine:ender", "9", "hour", **{"from": "2026-04-01", "until": "2026-04-30"})
    (students,) = priced.services.money_lab.groups()
    priced.services.money_lab.put_in(priced.admin, other.person_id, students.id, now)

    def hour(who: Actor, start) -> int:
        found = money.cost_of_booking(who, "ender", Interval(start, start + HOUR), now)
        return found.p90

    assert (hour(operator, now), hour(other, now)) == (650, 350)
    april = now.replace(month=4, day=15)
    may = now.replace(month=5, day=15)
    assert (hour(operator, april), hour(operator, may), hour(other, april)) == (950, 650, 350)
    priced.services.money_lab.everybodys(priced.admin, students.id)
    assert hour(operator, now) == 350
    priced.services.money_lab.group(priced.admin, "under 26", now, students.id)
    assert hour(other, now) == 350


def test_credit_is_kept_for_a_run_and_never_stops_it(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor, admin: Actor
) -> None:
    house = priced.house
    priced.rule(0)
    job = add_waiting(operator, printer, planned_s=3600.0)
    priced.services.dispatch.arm(operator, "ender", house.now)
    assert priced.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as refused:
        priced.services.dispatch.start(operator, job, "ender", house.now)
    (reason,) = refused.value.refusals
    assert reason.reason is Reason.CREDITS_SHORT
    missing = reason.ways[0].count
    assert reason.ways[0].name == f"{missing / 100:.2f} EUR"
    priced.pay(operator, f"{missing / 100:.2f}", "1")
    (run,) = priced.services.dispatch.tick(house.later(seconds=1))
    assert priced.left(operator) == 0
    priced.services.runs.apply("ender", house.event(run, 1, "run_started"), house.now)
    house.later(hours=9)  # far longer than was promised
    assert house.job(job).state == "running"
    priced.end(run)
    assert priced.balance(operator) == missing - 5450  # it may go below; nobody stopped it


def test_a_run_that_failed_by_the_machines_fault_is_explained_and_free(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor
) -> None:
    add_waiting(operator, printer)
    run = priced.start(operator)
    priced.house.later(minutes=20)
    priced.end(run, "failed", reason="thermal-runaway")
    assert priced.said() == [("charge", 0, "failed-free")]


def test_a_stop_that_a_person_wanted_is_charged(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor
) -> None:
    add_waiting(operator, printer)
    run = priced.start(operator)
    priced.house.later(minutes=20)
    priced.end(run, "stopped")
    assert priced.said() == [("charge", -250, "")]


def test_who_clears_for_somebody_else_may_find_the_machine_at_fault(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor, other: Actor
) -> None:
    add_waiting(operator, printer)
    run = priced.start(operator)
    priced.house.later(minutes=20)
    priced.end(run)
    clear = priced.services.clearing.clear
    clear(operator, "ender", Outcome.FAILED, priced.house.now, cause="machine")
    assert priced.balance(operator) == -250  # not by one's own word
    clear(other, "ender", Outcome.FAILED, priced.house.now, cause="warped")
    assert priced.balance(operator) == -250  # not the machine's fault
    clear(other, "ender", Outcome.FAILED, priced.house.now, cause="machine")
    clear(other, "ender", Outcome.FAILED, priced.house.now, cause="machine")
    assert priced.said() == [("charge", -250, ""), ("correction", 250, "cleared-failed")]


def test_a_charge_is_contested_and_put_right_by_somebody_else(
    priced: Till, add_waiting: Callable[..., str], printer: str, operator: Actor, admin: Actor
) -> None:
    add_waiting(operator, printer)
    run = priced.start(operator)
    priced.house.later(minutes=20)
    priced.end(run)
    contests, now = priced.services.contests, priced.house.now
    contest = contests.open(operator, "charge:1", "It stood still", now)
    with pytest.raises(RefusedError):
        contests.decide(operator, contest, "So be it", now, upheld=True)
    with pytest.raises(InvalidError):
        contests.decide(admin, contest, "More", now, upheld=True, amount="9")
    contests.decide(admin, contest, "Half of it", now, upheld=True, amount="1.25")
    assert priced.said() == [("charge", -250, ""), ("correction", 125, "contest")]
    assert priced.entries()[1].of_seq == 1
    other = contests.open(operator, f"use:{run}", "Ten minutes", now)
    contests.decide(admin, other, "Five", now, upheld=True, minutes=5)
    assert priced.balance(operator) == -100  # 5 minutes at 6.00 an hour, and the start
    with pytest.raises(RefusedError):
        contests.open(operator, "charge:1", "Again", now)


def test_a_receipt_counts_once_and_only_staff_take_money(
    till: Till, operator: Actor, member: Actor, admin: Actor
) -> None:
    money, now = till.services.money, till.house.now
    assert till.pay(member, "20,00", "R-1") == 2000
    for receipt, amount in (("r-1", "5"), ("", "5"), ("R-2", "0"), ("R-2", "-5"), ("R-2", "1.234")):
        with pytest.raises(InvalidError):
            till.pay(member, amount, receipt)
    with pytest.raises(NotAllowedError):
        money.pay(member, member.person_id, "5", "R-3", "", now)
    assert money.pay(operator, member.person_id, "5", "R-3", "", now, out=True) == 1500
    money.correct(admin, 1, "15", "Typed wrongly", now)
    assert till.balance(member) == 1000
    till.pay(admin, "1", "R-4")
    with pytest.raises(RefusedError):
        money.correct(admin, 4, "100", "Mine", now)  # one's own


def test_bookings_keep_their_cost_free_and_give_it_back_whatever_becomes_of_them(
    priced: Till, printer: str, member: Actor, admin: Actor
) -> None:
    services, now = priced.services, priced.house.now
    priced.terms(bookings="held")
    priced.rule(1)  # 1.00 may be owed
    priced.pay(member, "10", "1")
    start = now + timedelta(days=1)
    one = services.bookings.book(member, "ender", start, start + HOUR, now)
    assert priced.left(member) == 350
    with pytest.raises(RefusedError) as refused:
        services.bookings.book(member, "ender", start + 2 * HOUR, start + 3 * HOUR, now)
    (reason,) = refused.value.refusals
    shorter = next(way for way in reason.ways if way.kind.value == "shorter")
    two = services.bookings.book(member, "ender", shorter.start, shorter.end, now)
    assert -100 <= priced.left(member) < 0
    services.bookings.cancel(member, two.id, now)
    services.bookings.outage(admin, "ender", start, start + HOUR, "", now)  # it displaces the first
    assert services.bookings.one(member, one.id).state.value == "displaced"
    assert (priced.left(member), len(priced.entries())) == (1000, 1)


def test_what_is_given_back_late_or_missed_costs_as_the_lab_says(
    priced: Till, printer: str, member: Actor, admin: Actor
) -> None:
    services, house = priced.services, priced.house
    priced.terms(late_h="24", late_percent="50", missed_percent="100")
    soon, far = house.now + HOUR, house.now + timedelta(days=3)
    for start in (soon, far):
        row = services.bookings.book(member, "ender", start, start + HOUR, house.now)
        services.bookings.cancel(member, row.id, house.now)
    assert priced.said() == [("fee", -325, "late")]
    services.sharing.set(admin, {"grace_min": 15})
    row = services.bookings.book(member, "ender", soon, soon + HOUR, house.now)
    services.lapsing.tick(house.later(hours=1, minutes=16))
    services.lapsing.tick(house.now)
    assert priced.said()[1:] == [("fee", -650, "missed")]
    contest = services.contests.open(member, f"booking:{row.id}", "I was there", house.now)
    services.contests.decide(admin, contest, "So it was", house.now, upheld=True)
    assert priced.said()[2:] == [("correction", 650, "contest")]
    staff = services.bookings.book(member, "ender", far, far + HOUR, house.now)
    services.bookings.cancel(admin, staff.id, far - HOUR)  # not by its own person: no fee
    assert len(priced.entries()) == 3


def test_uses_by_hand_are_charged_once_by_a_sweep(
    till: Till, add_machine: Callable[..., str], member: Actor
) -> None:
    from jobs.domain.machine import Control

    house = till.house
    saw = add_machine(house.workshop, "saw", kind="band-saw", control=Control.NONE)
    till.price("machine:saw", "0.50", "block", block_min="15")
    started = house.now
    with house.workshop.database.write() as session:
        session.add(
            UsageEvent(
                id=house.workshop.new_id(), machine_id=saw, person_id=member.person_id,
                start_at=started, end_at=started + timedelta(minutes=31),
            )
        )  # fmt: skip
    booked = till.services.bookings.book(member, "saw", started + HOUR, started + 2 * HOUR, started)
    till.services.there.check_in(member, booked.id, house.later(hours=1))
    for _ in range(2):
        till.services.money.tick(house.later(hours=1, minutes=1))
    assert sorted(till.said()) == [("charge", -200, "booked"), ("charge", -150, "by-hand")]


def test_material_taken_by_hand_has_its_price(till: Till, member: Actor, other: Actor) -> None:
    money, now = till.services.money, till.house.now
    till.price("material", "12.50", "m2", material="birch")
    till.price("material", "80", "l", material="resin", lot="b7")
    money.take(member, member.person_id, "Birch", "m2", "0.25", now)
    money.take(member, member.person_id, "resin", "ml", "15,5", now, lot="B7")
    assert [one.minor for one in till.entries()] == [-313, -124]
    wrong = (
        ("resin", "ml", "1"),  # only that lot is sold
        ("birch", "gram", "1"),
        ("birch", "m2", "0"),
        ("birch", "m2", "1e3"),
        ("birch", "hour", "1"),
    )
    for material, per, amount in wrong:
        with pytest.raises(InvalidError):
            money.take(member, member.person_id, material, per, amount, now)
    with pytest.raises(NotAllowedError):
        money.take(member, other.person_id, "birch", "m2", "1", now)


def test_contributed_work_is_credited_up_to_the_months_cap_by_another(
    till: Till, member: Actor, admin: Actor, add_person: Callable[..., Actor]
) -> None:
    work, house = till.services.contributed, till.house
    till.terms(rates="repair: 12\ncleaning: 8", cap="20")
    trainer = add_person(house.workshop, "tara", Role.TRAINER)
    today = house.now.date()
    ids = [work.give(member, "repair", 60, today, "", house.now) for _ in range(2)]
    for kind, minutes, day in (("dancing", 60, today), ("repair", 0, today),
                               ("repair", 60, today + timedelta(days=1))):  # fmt: skip
        with pytest.raises(InvalidError):
            work.give(member, kind, minutes, day, "", house.now)
    with pytest.raises(NotAllowedError):
        work.decide(member, ids[0], "", house.now, confirmed=True)
    own = work.give(trainer, "repair", 60, today, "", house.now)
    with pytest.raises(RefusedError):
        work.decide(trainer, own, "", house.now, confirmed=True)
    for one in ids:
        work.decide(trainer, one, "", house.now, confirmed=True)
    with pytest.raises(RefusedError):
        work.decide(trainer, ids[0], "", house.now, confirmed=True)
    work.decide(admin, own, "Nobody saw it", house.now, confirmed=False)
    assert till.said() == [("contribution", 1200, "work"), ("contribution", 800, "work-capped")]
    assert [one.state for one in work.list(trainer, everybody=True)].count("confirmed") == 2


def test_a_closed_month_takes_nothing_and_its_list_stays(
    priced: Till, member: Actor, printer: str, add_waiting: Callable[..., str], operator: Actor
) -> None:
    import hashlib

    lab, house = priced.services.money_lab, priced.house
    priced.pay(member, "10", "=1+1")
    before = b"".join(lab.csv(priced.admin, "2026-03"))
    with pytest.raises(InvalidError):
        lab.close(priced.admin, "2026-03", house.now)
    house.later(days=28)  # the first of April
    lab.close(priced.admin, "2026-03", house.now)
    priced.services.money.correct(priced.admin, 1, "9", "Typed wrongly", house.now)
    assert [one.month for one in priced.entries()] == ["2026-03", "2026-04"]
    assert b"".join(lab.csv(priced.admin, "2026-03")) == before
    (closed,) = house.rows(MoneyMonth)
    assert closed.csv_sha256 == hashlib.sha256(before).hexdigest()
    assert before.decode().splitlines()[1] == (
        '"1","1","2026-03-04","2026-03","cash","member-credit","10.00","EUR","top-up","1","","",'
        '"\'=1+1","",""'
    )
    assert '"1"' in b"".join(lab.csv(priced.admin, "2026-04")).decode()  # it names what it corrects
    with pytest.raises(InvalidError):
        lab.close(priced.admin, "2026-03", house.now)


@pytest.mark.parametrize(
    "which", ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]
)
def test_the_database_itself_keeps_entries_and_closed_months(
    which: str, request: pytest.FixtureRequest, ready_house: Callable[..., object],
    add_person: Callable[..., Actor],
) -> None:  # fmt: skip
    house, member, _ = ready_house(request.getfixturevalue(which))
    till = Till(house, add_person(house.workshop, "ada", Role.ADMIN))
    till.pay(member, "10", "1")
    for change in (update(MoneyEntry).values(minor=1), delete(MoneyEntry)):
        with pytest.raises(DBAPIError, match=KEPT), house.workshop.database.write() as session:
            session.execute(change)
    house.later(days=40)
    till.services.money_lab.close(till.admin, "2026-03", house.now)
    late = text(
        "INSERT INTO money_entry (seq, kind, minor, currency, at, day, month, machine, "
        "machine_kind, lines, why, text, receipt) VALUES (9, 'cost', -1, 'EUR', 0, '2026-03-01', "
        "'2026-03', '', '', '[]', '', '', '')"
    )
    with pytest.raises(DBAPIError, match=CLOSED), house.workshop.database.write() as session:
        session.execute(late)


def test_a_copy_of_ones_data_has_what_was_booked_and_erasing_leaves_no_name(
    till: Till, member: Actor, operator: Actor
) -> None:
    workshop = till.house.workshop
    till.pay(member, "10", "R-member")
    till.pay(operator, "5", "R-other")
    data = b"".join(export(workshop, member.person_id, till.house.now))
    booked = zipfile.ZipFile(io.BytesIO(data)).read("money_entry.json").decode()
    assert ("R-member" in booked, "R-other" in booked) == (True, False)
    now, pay = till.house.now, till.services.money.pay
    pay(till.admin, member.person_id, "10", "R-out", "", now, out=True)  # nothing is left open
    leaving = till.services.leaving
    leaving.settle(till.admin, member.person_id, now, "Somebody", erase=True)
    assert [one.person_id for one in till.house.rows(MoneyAccount)] == [None, operator.person_id]
    assert len(till.entries()) == 3
    till.house.later(days=40)
    assert b"10.00" in b"".join(till.services.money_lab.csv(till.admin, "2026-03"))


def test_a_statement_adds_up_and_is_ones_own(
    priced: Till, member: Actor, other: Actor, operator: Actor
) -> None:
    money, house = priced.services.money, priced.house
    priced.pay(member, "10", "1")
    house.later(days=40)
    priced.pay(member, "5", "2")
    found = money.statement(member, member.person_id, "2026-04", "", house.now)
    assert (found.opening, found.closing, found.balance, found.spendable) == (
        1000, 1500, 1500, 1500,
    )  # fmt: skip
    lines = statement_csv(found).decode().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith('"","5.00","15.00","EUR"')
    assert money.statement(operator, member.person_id, "", "", house.now).closing == 1500
    with pytest.raises(NotAllowedError):
        money.statement(other, member.person_id, "", "", house.now)
    with pytest.raises(InvalidError):
        money.statement(member, member.person_id, "2026-13", "", house.now)


def test_open_books_show_closed_months_and_nobody(
    priced: Till, printer: str, add_person: Callable[..., Actor], add_machine: Callable[..., str]
) -> None:
    lab, money, house = priced.services.money_lab, priced.services.money, priced.house
    priced.price("material", "1", "gram", material="pla")
    people = [add_person(house.workshop, f"p{number}") for number in range(4)]
    for one in people[:3]:
        money.take(one, one.person_id, "pla", "gram", "2", house.now)
    priced.terms(shown="kinds", least="3", late_percent="100")
    start = house.now + HOUR
    row = priced.services.bookings.book(people[3], "ender", start, start + HOUR, house.now)
    priced.services.bookings.cancel(people[3], row.id, house.now)
    from jobs.domain.books import EntryKind

    money.house(priced.admin, EntryKind.COST, "100", "B1", "rent", house.now)
    assert lab.open_books() == []  # nothing is closed yet
    house.later(days=40)
    lab.close(priced.admin, "2026-03", house.now)
    (march,) = lab.open_books()
    # The one who paid a fee is hidden among the others: shown apart, the rest would be theirs.
    assert [(one.label, one.minor) for one in march.income] == [("", 1250)]
    assert [(one.label, one.minor) for one in march.costs] == [("rent", 10000)]
    priced.terms(least="5")
    assert (lab.open_books()[0].income, lab.open_books()[0].hidden) == (
        (),
        True,
    ) or lab.open_books()[0].hidden
    priced.terms(shown="nothing")
    assert lab.open_books() == []


def test_the_currency_stays_once_there_are_entries(till: Till, member: Actor) -> None:
    till.terms(currency="chf")
    till.pay(member, "1", "1")
    with pytest.raises(InvalidError):
        till.terms(currency="EUR")


def test_two_machines_cannot_spend_the_same_credit(
    priced: Till, add_machine: Callable[..., str], add_waiting: Callable[..., str],
    printer: str, operator: Actor,
) -> None:  # fmt: skip
    house = priced.house
    second = add_machine(house.workshop, "prusa")
    house.workshop.live.put("prusa", LiveState(phase="idle", connected=True))
    priced.price("machine:prusa", "6", "hour")
    priced.rule(0)
    jobs = [add_waiting(operator, printer), add_waiting(operator, second)]
    (cost,) = priced.services.money.costs_of_job(operator, jobs[0], house.now)
    priced.pay(operator, f"{cost.p90 / 100:.2f}", "1")
    for slug in ("ender", "prusa"):
        priced.services.dispatch.arm(operator, slug, house.now)
    assert len(priced.services.dispatch.tick(house.now)) == 1
