"""Whatever people, machines and staff do, in whatever order: what is left is what the entries say.

Nothing is charged twice, corrections bring an entry to what it should have been, closed months
stay, and no run is stopped for money. This test keeps books of its own, by the prices it set.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from jobs.domain.errors import JobsError, RefusedError
from jobs.domain.modules import Module
from jobs.domain.people import Actor, Role
from jobs.domain.rules.values import LAB
from jobs.services import build_services
from jobs.services.live import LiveState
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.money import MoneyAccount, MoneyEntry, MoneyMonth
from jobs.store.tables import Attempt
from tests.jobs.services.conftest import NOW
from tests.jobs.services.way.conftest import House, waiting_adder

WHO = st.integers(0, 1)
SLUG = st.sampled_from(["one", "two"])
CENTS = st.integers(1, 5000)
MINUTES = st.integers(1, 200)
PRICE_H, PRICE_START, PRICE_G = 600, 50, 3  # minor units


def half_up(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest >= denominator)


class Till(RuleBasedStateMachine):
    """Two people, two printers, one admin with a pen."""

    make: ClassVar[Callable[[Path], tuple[Workshop, list[Actor], dict[str, str]]]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="fabnode-money-"))
        workshop, people, machines = type(self).make(self.folder)
        self.house = House(build_services(workshop), workshop, NOW)
        self.services, self.admin, self.people = self.house.services, people[0], people[1:]
        self.machines, self.add = machines, waiting_adder(self.house)
        self.services.modules.choose(self.admin, set(Module), NOW)
        for values in (
            {"of": "kind:fdm", "amount": "6", "per": "hour"},
            {"of": "kind:fdm", "amount": "0.50", "per": "start"},
            {"of": "material", "material": "pla", "amount": "0.03", "per": "gram"},
        ):
            self.services.prices.set(self.admin, values, NOW)
        self.services.house.set(self.admin, LAB, "owing_most", 5, "", NOW)
        terms = {"rates": "repair: 10", "cap": "15"}
        self.services.money_lab.decide(self.admin, terms, NOW)
        self.nets: list[list[int]] = []  # by entry that is no correction: [person, net]
        self.receipts: set[str] = set()
        self.running: dict[str, tuple[str, int]] = {}
        self.lists: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.house.workshop.database.close()
        shutil.rmtree(self.folder)

    def books(self, who: int, minor: int) -> None:
        self.nets.append([who, minor])

    def balance(self, who: int) -> int:
        return sum(net for owner, net in self.nets if owner == who)

    @rule(who=WHO, cents=CENTS, receipt=st.integers(0, 12), out=st.booleans())
    def pay(self, who: int, cents: int, receipt: int, out: bool) -> None:
        money, key = self.services.money, f"R-{receipt}"
        amount, person = f"{cents // 100}.{cents % 100:02d}", self.people[who].person_id
        try:
            money.pay(self.admin, person, amount, key, "", self.house.now, out=out)
        except JobsError:
            assert key in self.receipts
        else:
            assert key not in self.receipts
            self.receipts.add(key)
            self.books(who, -cents if out else cents)

    @rule(who=WHO, mg=st.integers(1, 200_000))
    def take(self, who: int, mg: int) -> None:
        actor, grams = self.people[who], f"{mg // 1000}.{mg % 1000:03d}"
        self.services.money.take(actor, actor.person_id, "PLA", "gram", grams, self.house.now)
        self.books(who, -half_up(mg * PRICE_G, 1000))

    @rule(who=WHO, slug=SLUG)
    def start(self, who: int, slug: str) -> None:
        if slug in self.running:
            return
        actor, now = self.people[who], self.house.now
        job = self.add(actor, self.machines[slug], planned_s=600.0, mass_mg=0)
        (cost,) = self.services.money.costs_of_job(actor, job, now)
        self.services.dispatch.arm(actor, slug, now)
        if cost.spendable < cost.p90 - 500:
            with pytest.raises(RefusedError) as refused:
                self.services.dispatch.start(actor, job, slug, now)
            assert [one.reason.value for one in refused.value.refusals] == ["credits-short"]
            self.services.queue.cancel(actor, job, now)
        else:
            self.running[slug] = (self.services.dispatch.start(actor, job, slug, now), who)

    @rule(slug=SLUG, minutes=MINUTES, twice=st.booleans(),
          kind=st.sampled_from(["finished", "stopped", "failed", "cancelled"]))  # fmt: skip
    def end(self, slug: str, minutes: int, twice: bool, kind: str) -> None:
        if slug not in self.running:
            return
        run, who = self.running.pop(slug)
        began = next(one for one in self.house.rows(Attempt, id=run)).started_at
        self.house.later(minutes=minutes)
        told = self.house.event(run, 1, kind, reason="thermal-runaway")
        for _ in range(1 + twice):
            self.services.runs.apply(slug, told, self.house.now)
        ms = round((self.house.now - began) / timedelta(milliseconds=1))
        due = half_up(ms * PRICE_H, 3_600_000) + PRICE_START
        self.books(who, 0 if kind == "failed" else -due)

    @rule(which=st.integers(0, 30), twice=st.lists(CENTS, min_size=1, max_size=3))
    def correct(self, which: int, twice: list[int]) -> None:
        """Staff may think again, and again."""
        originals = [one for one in self.entries() if one.of_seq is None]
        if not originals:
            return
        number = which % len(originals)
        against = originals[number].kind in ("charge", "fee", "pay-out")
        for cents in twice:
            amount = f"{cents // 100}.{cents % 100:02d}"
            self.services.money.correct(
                self.admin, originals[number].seq, amount, "Typed wrongly", self.house.now
            )
            self.nets[number][1] = -cents if against else cents

    @rule(which=st.integers(0, 30), upheld=st.booleans())
    def contest(self, which: int, upheld: bool) -> None:
        originals = [one for one in self.entries() if one.of_seq is None]
        if not originals:
            return
        number = which % len(originals)
        entry, actor = originals[number], self.people[self.nets[number][0]]
        with suppress(JobsError):
            contest = self.services.contests.open(
                actor, f"charge:{entry.seq}", "No", self.house.now
            )
            if self.nets[number][1] > 0:
                return
            self.services.contests.decide(
                self.admin, contest, "Looked at", self.house.now, upheld=upheld
            )
            if upheld:
                self.nets[number][1] = 0

    @rule(who=WHO, minutes=st.integers(1, 120), confirmed=st.booleans())
    def work(self, who: int, minutes: int, confirmed: bool) -> None:
        work, now = self.services.contributed, self.house.now
        today = now.astimezone(self.house.workshop.zone).date()
        one = work.give(self.people[who], "repair", minutes, today, "", now)
        work.decide(self.admin, one, "Seen", now, confirmed=confirmed)
        with pytest.raises(RefusedError):
            work.decide(self.admin, one, "Seen", now, confirmed=True)
        if confirmed:
            found = self.entries()[-1]
            assert 0 <= found.minor <= half_up(minutes * 1000, 60)
            self.books(who, found.minor)

    @rule(days=st.integers(1, 40), close=st.booleans())
    def wait(self, days: int, close: bool) -> None:
        self.house.later(days=days)
        last = (self.house.now.astimezone(self.house.workshop.zone).replace(day=1)
                - timedelta(days=1)).strftime("%Y-%m")  # fmt: skip
        if close:
            with suppress(JobsError):
                self.services.money_lab.close(self.admin, last, self.house.now)
        for row in self.house.rows(MoneyMonth):
            data = b"".join(self.services.money_lab.csv(self.admin, row.month))
            assert hashlib.sha256(data).hexdigest() == row.csv_sha256
            assert self.lists.setdefault(row.month, data) == data

    def entries(self) -> list[MoneyEntry]:
        with self.house.workshop.database.read() as session:
            return list(session.scalars(select(MoneyEntry).order_by(MoneyEntry.seq)))

    @invariant()
    def what_is_left_is_what_the_entries_say(self) -> None:
        entries = self.entries()
        assert [one.seq for one in entries] == list(range(1, len(entries) + 1))
        facts = [one.fact for one in entries if one.fact]
        assert len(facts) == len(set(facts))
        originals = [one for one in entries if one.of_seq is None]
        nets = Counter({one.seq: one.minor for one in originals})
        for one in entries:
            if one.of_seq is not None:
                nets[one.of_seq] += one.minor
        assert [nets[one.seq] for one in originals] == [net for _, net in self.nets]
        accounts = {one.person_id: one.id for one in self.house.rows(MoneyAccount)}
        for who, actor in enumerate(self.people):
            own = [one for one in entries if one.account_id == accounts.get(actor.person_id)]
            found = self.services.money.statement(
                actor, actor.person_id, "2026-01", "2099-12", self.house.now
            )
            whole = sum(one.minor for one in own) if actor.person_id in accounts else 0
            assert found.balance == found.closing == whole == self.balance(who)

    @invariant()
    def what_runs_goes_on(self) -> None:
        for run, _ in self.running.values():
            assert self.house.row(Attempt, id=run).ended_at is None


@pytest.mark.timeout(400)
def test_the_books_are_right_in_any_order(
    migrated_file: Path,
    make_workshop: Callable[[Database], Workshop],
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
) -> None:
    def make(folder: Path) -> tuple[Workshop, list[Actor], dict[str, str]]:
        path = folder / "fabnode.db"
        shutil.copyfile(migrated_file, path)
        workshop = make_workshop(Database(f"sqlite:///{path}"))
        people = [add_person(workshop, "ada", Role.ADMIN)]
        people += [add_person(workshop, f"p{number}", Role.OPERATOR) for number in range(2)]
        machines = {slug: add_machine(workshop, slug) for slug in ("one", "two")}
        for slug in machines:
            workshop.live.put(slug, LiveState(phase="idle", connected=True))
        return workshop, people, machines

    Till.make = staticmethod(make)
    run_state_machine_as_test(
        Till,
        settings=settings(
            max_examples=8,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
