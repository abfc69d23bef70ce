"""A lab in which every kind of thing exists, and the means to put it back as it was."""

from __future__ import annotations

import copy
import io
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from PIL import Image
from sqlalchemy import delete

from jobs.domain import care
from jobs.domain.learning import TrainingWish
from jobs.domain.notices import Way
from jobs.domain.people import Role, SignUp
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.domain.rules.values import LAB, Scope
from jobs.services.joining import InviteWish
from jobs.services.live import LiveState
from jobs.services.machine_specs import parse_machine
from jobs.store.signing import Passkey
from jobs.store.tables import Preflight, Setting
from tests.there import display_at, seated
from tests.web.conftest import (
    PASSWORD,
    PRINTER,
    Lab,
    add_beams,
    add_house_rules,
    add_loads,
    add_money,
    add_odd_states,
    add_queue,
    add_upkeep,
    open_furnished,
    run_one_job,
)
from tests.web.test_cycle import told

HOUR = timedelta(hours=1)


def open_house(furnished: tuple[Path, dict[str, object]], folder: Path) -> Iterator[Lab]:
    """Yield the lab of the matrix; `lab.jobs` names what is in it."""
    for lab in open_furnished(furnished, folder):
        _people(lab)
        _machines(lab)
        add_money(lab)
        add_loads(lab)
        run_one_job(lab)
        add_odd_states(lab)
        add_beams(lab)
        add_queue(lab)
        _designs(lab)
        add_house_rules(lab)
        add_upkeep(lab)
        _sharing(lab)
        _own_things(lab)
        _ids(lab)
        _displays(lab)
        lab.now += timedelta(minutes=20)
        yield lab


def _people(lab: Lab) -> None:
    for login, role in (("tina", Role.TRAINER), ("max", Role.MEMBER), ("old", Role.MEMBER)):
        person = lab.services.people.create(
            login, login.title(), role, password=PASSWORD, actor=lab.people["ada"], now=lab.now
        )
        actor = lab.services.people.actor_of(person)
        lab.people[login] = seated(lab.workshop, actor, lab.now)
    lab.services.people.disable(lab.people["ada"], lab.people["old"].person_id, lab.now)


def _machines(lab: Lab) -> None:
    """More of the kinds whose state one morning cannot have all at once."""
    by_hand = {"kind": "fdm", "control": "by-hand", "envelope_mm": [200, 200, 200]}
    for slug in ("second-printer", "third-printer"):
        wish = parse_machine({"slug": slug, "name": slug.title(), **by_hand})
        lab.services.machines.add(lab.people["ada"], wish, lab.now)
    halted = PRINTER | {"slug": "halted", "name": "Halted printer", "port": "/dev/halted"}
    lab.services.machines.add(lab.people["ada"], parse_machine(halted), lab.now)
    lab.workshop.live.put("halted", LiveState(phase="failed", connected=True, stopped=True))
    lab.gateway.told = told()


def _designs(lab: Lab) -> None:
    designs = lab.services.designs
    source = designs.sources()[0].name
    listed = designs.browse(source)
    lab.jobs["design"] = designs.fetch(lab.people["otto"], source, listed[0].id, lab.now).id
    lab.jobs["source"], lab.jobs["ref"] = source, listed[0].id
    lab.jobs["folder"] = str(lab.workshop.work_dir)
    designs.add_source(lab.people["otto"], "stick", "folder", lab.jobs["folder"])


def _sharing(lab: Lab) -> None:
    services, now = lab.services, lab.now
    mia, otto = lab.people["mia"], lab.people["otto"]
    day = now.replace(minute=0) + timedelta(days=1)

    def book(actor, slug, start, hours=1):
        return services.bookings.book(actor, slug, start, start + hours * HOUR, now).id

    lab.jobs["booking"] = book(mia, "ender", day + timedelta(days=4))
    lab.jobs["soon"] = book(mia, "saw", now + timedelta(minutes=25), 2)
    lab.jobs["begun-booking"] = book(mia, "prusa", now + timedelta(minutes=10))
    lab.jobs["otto-booking"] = book(otto, "prusa", day + timedelta(hours=5))
    wait = services.waiting.join(mia, "prusa", day + 5 * HOUR, day + 6 * HOUR, 60, now)
    lab.jobs["wait"] = wait.id
    kept = services.waiting.join(mia, "old-printer", day + 26 * HOUR, day + 27 * HOUR, 60, now)
    lab.jobs["kept-wait"] = kept.id
    give = book(otto, "ender", day + timedelta(days=2))
    take = book(mia, "ender", day + timedelta(days=2, hours=2))
    lab.jobs["give"], lab.jobs["take"] = take, lab.jobs["otto-booking"]
    lab.jobs["swap"] = services.swapping.offer(otto, give, take, now)
    services.repeating.repeat(
        mia, "old-printer", day + 4 * HOUR, day + 5 * HOUR, 3, now, "", False, skip_conflicts=True
    )
    own = services.bookings.mine(mia, now)
    lab.jobs["series"] = next(one.id for one in own if one.interval.start == day + 4 * HOUR)
    lost = book(mia, "prusa", day + timedelta(days=5))
    services.bookings.outage(
        otto, "prusa", day + timedelta(days=5), day + timedelta(days=5, hours=1), "", now
    )
    lab.jobs["lost-booking"] = lost
    lab.jobs["offer"] = services.offers.mine(mia, now)[0].id


def _own_things(lab: Lab) -> None:
    services, now, mia, ada = lab.services, lab.now, lab.people["mia"], lab.people["ada"]
    for login in ("mia", "ada"):
        key_id, secret = services.people.make_api_key(lab.people[login], "slicer", now)
        lab.jobs[f"key-{login}"], lab.jobs[f"secret-{login}"] = key_id, secret
    services.notices.open_way(ada, Way.NTFY, {"server": "https://ntfy.example.org"})
    lab.jobs["address"] = services.notices.add_address(mia, Way.NTFY, "mias-topic", now).id
    _ways_in(lab)
    lab.jobs["link"] = services.people.make_link(mia.person_id, now)
    lab.jobs["feed"] = services.feeds.make(mia, now)
    otto = lab.people["otto"]
    lab.jobs["invitation"] = services.joining.invite(otto, InviteWish(Role.MEMBER, "Noa"), now)
    lab.jobs["open-invite"] = services.joining.invites(otto, now)[0].id
    services.joining.set_sign_up(ada, SignUp.ASKED)
    for name, slug in (
        ("free", "prusa"),
        ("doubtful", "prusa"),
        ("planned", "ender"),
        ("fine", "second-printer"),
        ("begun", "third-printer"),
    ):
        program = io.BytesIO(f"G21\nG28\nG1 X10 F600\nM84\n; {name}\n".encode())
        lab.jobs[name] = services.queue.submit(
            mia, name=f"{name}.gcode", data=program, machine_slug=slug, now=now
        ).id
    while services.preparation.prepare_next(lab.clock):
        pass
    _doubt(lab, lab.jobs["doubtful"])
    services.planning.plan(
        lab.people["otto"], lab.jobs["planned"], "ender", now + timedelta(days=1), now
    )
    for what, name, slug in (
        ("started", "fine", "second-printer"),
        ("finished", "fine", "second-printer"),
        ("started", "begun", "third-printer"),
    ):
        services.queue.by_hand(mia, lab.jobs[name], what, slug, now)
    fine = services.queue.get(lab.jobs["fine"], now, mia)
    lab.jobs["fine-attempt"] = fine.attempts[0].id
    tina = lab.people["tina"].person_id
    services.qualifications.grant(ada, tina, kind="mill", days=365, now=now)
    mill, soon = Scope.read("kind:mill"), now + timedelta(minutes=5)
    wish = TrainingWish("Router today", soon, HOUR, 3, [mill])
    lab.jobs["held-training"] = services.trainings.create(lab.people["tina"], wish, now)
    services.trainings.sign_up(mia, lab.jobs["held-training"], now)
    proposal = services.proposals.propose(mia, LAB, "gap_min", 30, "No chains, please.", now)
    services.proposals.decide(
        ada, proposal, accepted=True, reason="Good.", review_on="2026-05-01", now=now
    )
    lab.jobs["decided"] = proposal


def _ways_in(lab: Lab) -> None:
    """A shared computer with a file that nobody has claimed, a passkey and a sign-in of Mia's."""
    services, now, mia = lab.services, lab.now, lab.people["mia"]
    lab.jobs["workstation"], _ = services.workstations.make(lab.people["otto"], "Corner", now)
    program = io.BytesIO(b"G21\nG28\nM84\n; nobody's\n")
    lab.jobs["upload"] = services.workstations.bring(
        lab.jobs["workstation"], "cube.gcode", program, "prusa", now
    )
    lab.jobs["passkey"] = "0190a0a0-0000-7000-8000-000000000001"
    with lab.workshop.database.write() as session:
        session.add(
            Passkey(
                id=lab.jobs["passkey"],
                person_id=mia.person_id,
                credential_sha256="0" * 64,
                credential=b"c",
                public_key=b"k",
                sign_count=0,
                rp_id="localhost",
                name="Phone",
                created_at=now,
            )
        )
    services.people.redeem(services.people.make_link(mia.person_id, now), now, "Firefox, Linux")
    lab.jobs["sign-in-mia"] = services.people.sign_ins(mia.person_id, now)[0].id


def _doubt(lab: Lab, job_id: str) -> None:
    """Have a program's examination find something that needs a person's word."""
    found = Finding(FindingCode.PIN_SWITCHED, Severity.PERSON, 5, {"command": "M42"}, "M42 P4 S255")
    with lab.workshop.database.write() as session:
        row = session.query(Preflight).filter_by(job_id=job_id).one()
        row.verdict, row.findings = "person", [found.to_json()]
        lab.jobs["preflight"] = row.id


def _photo() -> io.BytesIO:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(data, "PNG")
    data.seek(0)
    return data


def _displays(lab: Lab) -> None:
    """From now on every machine asks for proof, and has a display that shows the code."""
    with lab.workshop.database.write() as session:
        session.execute(delete(Setting).where(Setting.key == "rules.kind.fdm"))
    for machine in lab.services.machines.board(lab.now, lab.people["ada"]):
        shown = display_at(lab.services, lab.people["ada"], machine.slug, lab.now)
        lab.jobs["device"] = shown.id


def _ids(lab: Lab) -> None:
    services, now, ada = lab.services, lab.now, lab.people["ada"]
    lab.jobs["fault"] = services.faults.list(ada, "ender")[0].id
    lab.jobs["photo-fault"] = services.faults.report(
        ada, "ender", care.Severity.NOTE, "A scratch", now, _photo()
    )
    lab.jobs["clearing"] = services.clearing.clear(
        ada, "second-printer", care.Outcome.GOOD, now, photo=_photo()
    )
    services.faults.nearly(ada, "A cable", None, now, unnamed=True, photo=_photo())
    lab.jobs["near-miss"] = services.faults.near_misses(ada)[0].id
    lab.jobs["counter"] = services.servicing.list(ada)[0].id
    lab.jobs["contest"] = services.contests.list(ada)[0].id
    lab.jobs["approval"] = services.approvals.waiting(ada, now)[0].id
    lab.jobs["qualification"] = services.qualifications.of_person(ada, ada.person_id, now)[0].id
    lab.jobs["notice"] = services.notices.list(lab.people["mia"])[0].id
    for login, actor in lab.people.items():
        lab.jobs[f"person-{login}"] = actor.person_id
    done = services.queue.get(lab.jobs["done"], now, ada)
    lab.jobs["done-attempt"] = done.attempts[0].id
    lab.jobs["run"] = services.queue.get(lab.jobs["running"], now, ada).attempts[0].id


class Rewind:
    """Puts the lab back: its database, what machines last said, and what was asked of them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._file = lab.workshop.database.url.removeprefix("sqlite:///")
        self._kept = sqlite3.connect(":memory:")
        with sqlite3.connect(self._file) as live:
            live.backup(self._kept)
        self._watch = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        self._seen = self._version()
        self._states = copy.copy(lab.workshop.live._states)
        folder = lab.workshop.work_dir / "unclaimed"
        self._files = {path: path.read_bytes() for path in folder.iterdir()}

    def __call__(self) -> None:
        if self._version() != self._seen:
            live = sqlite3.connect(self._file, timeout=20)
            try:
                self._kept.backup(live)
            finally:
                live.close()
            self._seen = self._version()
        for path, data in self._files.items():
            if not path.exists():
                path.write_bytes(data)
        self._lab.workshop.live._states.clear()
        self._lab.workshop.live._states.update(self._states)

    def _version(self) -> int:
        """Return a number that grows when anybody else has written."""
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])
