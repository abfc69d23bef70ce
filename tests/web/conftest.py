"""A small lab behind a real app: every service is the real one, only the machines are not."""

from __future__ import annotations

import html
import re
import secrets
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import uuid6
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from jobs.designs.library import Library
from jobs.domain.books import EntryKind
from jobs.domain.care import Moment, Outcome, Severity
from jobs.domain.did import did_key
from jobs.domain.instructions import Sort
from jobs.domain.learning import TrainingWish
from jobs.domain.modules import Module
from jobs.domain.people import Actor, LabMode, Role, SignUp
from jobs.domain.rules.values import LAB, Scope
from jobs.domain.unattended import Terms, Unattended
from jobs.services import Services, build_services
from jobs.services.asking import AskWish
from jobs.services.joining import InviteWish
from jobs.services.live import LiveBoard, LivePlug, LivePrompt, LiveState, LiveWatch
from jobs.services.machine_specs import parse_machine
from jobs.services.standings import TermsWish
from jobs.services.views import HealthView
from jobs.services.workers import WorkerLimits
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.migrate import upgrade
from jobs.store.tables import Setting
from tests.fake_gateway import FakeGateway
from tests.there import display_at, seated, stand_at
from web.app import create_app
from web.context import WebSettings

with warnings.catch_warnings():
    # Starlette asks for another client than the one that is installed.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

NOW = datetime(2026, 3, 4, 9, 7, tzinfo=UTC)  # a Wednesday, 10:07 in Berlin
PASSWORD = "correct horse battery"

PROGRAM = b"""; a square of 20 mm
M140 S60
M104 S210
G28
M190 S60
M109 S210
G90
M83
G92 E0
G1 X60 Y60 Z0.2 F6000
G1 X80 Y60 E1 F1800
G1 X80 Y80 E1
G1 X60 Y80 E1
G1 X60 Y60 E1
M104 S0
M140 S0
M84
"""
FORBIDDEN = PROGRAM.replace(b"G92 E0\n", b"G92 E0\nM112\n")


class Signer:
    """A node's identity."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.did = did_key(self._key.public_key().public_bytes_raw())
        assert self._key.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )

    def sign(self, body: bytes) -> str:
        return self._key.sign(body).hex()


@dataclass
class Lab:
    """Everything a test wants to reach."""

    services: Services
    workshop: Workshop
    gateway: FakeGateway
    people: dict[str, Actor] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW

    def clock(self) -> datetime:
        return self.now

    def app(self, *, locale: str = "en", secure: bool = False) -> FastAPI:
        settings = WebSettings(
            "Test lab", "0.1.0", self.workshop.zone, secure_cookies=secure, locale=locale
        )
        return create_app(self.services, settings, self.health, clock=self.clock)

    def health(self) -> HealthView:
        return HealthView(
            ok=True,
            database="sqlite",
            broker="away",
            outbox_waiting=self.services.outbox.waiting(),
            slicer=None,
            sandbox_namespaces=True,
            hosts={"ender": "idle"},
            version="0.1.0",
            supply="was-low",
        )


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("web") / "migrated.db"
    upgrade(f"sqlite:///{file}")
    return file


PRINTER = {
    "kind": "fdm",
    "profile": "marlin-2",
    "envelope_mm": [220, 220, 250],
    "nozzle_max_c": 260,
    "bed_max_c": 110,
    "nozzle_mm": 0.4,
    "filament_mm": 1.75,
    "simulated": True,
}
MACHINES = (
    {"slug": "ender", "name": "Ender by the window", "port": "/dev/ender", **PRINTER}
    | {"stop_note": "red switch at the left of the shelf"},
    {"slug": "prusa", "name": "Prusa", "port": "/dev/prusa", **PRINTER},
    {
        "slug": "router",
        "name": "Router",
        "kind": "mill",
        "profile": "grbl-1.1",
        "port": "/dev/router",
        "envelope_mm": [300, 200, 60],
        "spindle_max_rpm": 12000,
        "spindle_switch": "by-hand",
        "simulated": True,
    },
    {
        "slug": "old-printer",
        "name": "Old printer",
        "kind": "fdm",
        "control": "by-hand",
        "envelope_mm": [200, 200, 200],
        "nozzle_max_c": 250,
        "bed_max_c": 100,
    },
    {"slug": "saw", "name": "Band saw", "kind": "band-saw", "control": "none"},
)


@pytest.fixture
def empty_lab(migrated: Path, tmp_path: Path) -> Iterator[Lab]:
    """A node on its first day: nobody and nothing."""
    yield from open_lab(migrated, tmp_path)


def open_lab(migrated: Path, folder: Path) -> Iterator[Lab]:
    file = folder / "lab.db"
    file.write_bytes(migrated.read_bytes())
    database = Database(f"sqlite:///{file}")
    (folder / "work").mkdir()
    gateway = FakeGateway()
    workshop = Workshop(
        database=database,
        library=Library(folder / "library"),
        work_dir=folder / "work",
        signer=Signer(),
        gateway=gateway,
        live=LiveBoard(),
        site="test-lab",
        zone=ZoneInfo("Europe/Berlin"),
        slicer=None,
        worker_limits=WorkerLimits(),
        new_id=lambda: str(uuid6.uuid7()),
        new_token=lambda: secrets.token_urlsafe(32),
        upload_limit_bytes=2 * 1024 * 1024,
    )
    yield Lab(build_services(workshop), workshop, gateway)
    database.close()


def furnish(lab: Lab) -> Lab:
    """People and machines of a shared lab."""
    services, now = lab.services, lab.now
    ada = services.people.create("ada", "Ada", Role.ADMIN, password=PASSWORD, actor=None, now=now)
    admin = services.people.actor_of(ada)
    lab.people["ada"] = admin = seated(lab.workshop, admin, now)
    for login, role in (("otto", Role.OPERATOR), ("mia", Role.MEMBER), ("gus", Role.GUEST)):
        person = services.people.create(
            login, login.title(), role, password=PASSWORD, actor=admin, now=now
        )
        lab.people[login] = seated(lab.workshop, services.people.actor_of(person), now)
    services.lab.set_mode(admin, LabMode.SHARED_LAB, now)
    # As in a lab that shared its printers before there were displays; what cuts asks for proof.
    with lab.workshop.database.write() as session:
        session.add(Setting(key="rules.kind.fdm", value='{"presence_by": "word"}'))
    for values in MACHINES:
        services.machines.add(admin, parse_machine(values), now)
    return lab


PRINTER_ACTS = ("feed", "flow", "heat", "home", "jog", "off")
ROUTER_ACTS = ("feed", "home", "jog", "off", "rapid", "reset", "spindle")


def switch_on(lab: Lab) -> None:
    for slug, heat in (("ender", (24.3, 0.0)), ("prusa", (24.0, None)), ("router", None)):
        lab.workshop.live.put(
            slug,
            LiveState(
                phase="idle",
                connected=True,
                firmware="Marlin 2.1.2" if heat else "Grbl 1.1h",
                temperatures={"nozzle": heat, "bed": (22.0, 0.0)} if heat else {},
                position_mm=(1.0, 2.0, 3.0),
                controller="" if heat else "Idle",
                overrides={"feed": 100} if heat else {"feed": 100, "rapid": 50, "spindle": 90},
                acts=PRINTER_ACTS if heat else ROUTER_ACTS,
                told={} if heat else {"soft_limits": True, "homing": True, "travel_x_mm": 300.0},
            ),
        )


@pytest.fixture(scope="session")
def furnished(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Actor]]:
    """A database with people and machines, made once: hashing passwords takes its time."""
    folder = tmp_path_factory.mktemp("furnished")
    for lab in open_lab(migrated, folder):
        furnish(lab)
        people = lab.people
    return folder / "lab.db", people


def open_furnished(furnished: tuple[Path, dict[str, Actor]], folder: Path) -> Iterator[Lab]:
    file, people = furnished
    for lab in open_lab(file, folder):
        lab.people.update(people)
        switch_on(lab)
        yield lab


@pytest.fixture
def lab(furnished: tuple[Path, dict[str, Actor]], tmp_path: Path) -> Iterator[Lab]:
    """A shared lab in the morning: people, machines, no work yet."""
    yield from open_furnished(furnished, tmp_path)


def add_money(lab: Lab) -> None:
    """Switch money on: prices, groups, payments, work, a closed month."""
    services, ada, mia, now = lab.services, lab.people["ada"], lab.people["mia"], lab.now
    services.modules.choose(ada, set(Module), now)
    values = {"of": "machine:ender", "amount": "3.50", "per": "hour"}
    services.prices.set(ada, values, now)
    services.prices.set(
        ada, {"of": "kind:mill", "amount": "1", "per": "block", "block_min": "15"}, now
    )
    values = {"of": "material", "material": "birch", "amount": "12.5", "per": "m2"}
    services.prices.set(ada, {**values, "group": "students"}, now)
    services.prices.set(
        ada, {**values, "lot": "B7", "from": "2026-04-01", "until": "2026-05-01"}, now
    )
    services.prices.set(ada, values, now)
    terms = {"rates": "repair: 12\ncleaning: 8", "cap": "20", "shown": "kinds", "least": "2"}
    services.money_lab.decide(ada, terms, now)
    services.money.pay(ada, mia.person_id, "20", "R-1", "cash", now)
    for who in (mia, ada):
        services.money.take(who, who.person_id, "birch", "m2", "0.25", now)
    services.money.correct(ada, 2, "2", "A smaller piece", now)
    services.money.house(ada, EntryKind.COST, "100", "B-1", "rent", now)
    services.contributed.give(mia, "repair", 90, now.date(), "the hot end", now)
    services.money_lab.close(ada, "2026-01", now)
    lab.jobs["price"] = services.prices.list(now)[0].id


class Browser:
    """A person at a browser without JavaScript: follows forms as they are on the page."""

    def __init__(self, lab: Lab, app: FastAPI) -> None:
        self.lab = lab
        self.http = TestClient(app, follow_redirects=False, raise_server_exceptions=False)
        self.csrf = ""

    def sign_in(self, login: str, password: str = "") -> Browser:
        if password:
            data = {"login": login, "password": password}
            answer = self.http.post("/sign-in", data=data)
        else:
            person = self.lab.people[login].person_id
            token = self.lab.services.people.make_link(person, self.lab.now)
            answer = self.http.post(f"/sign-in/link/{token}")
        assert answer.status_code == 303, answer.text
        self.csrf = self.http.get("/api/v1/people/me").json()["csrf"]
        return self

    def stand_at(self, slug: str) -> Browser:
        """Read the code on the machine's display, and type it here."""
        services, now = self.lab.services, self.lab.now
        chief = self.lab.people["ada"]
        here = [one for one in services.devices.list(chief) if one.name == f"Display {slug}"]
        shown = services.devices.shown(
            here[0] if here else display_at(services, chief, slug, now), now
        )
        answer = self.post(f"/machines/{slug}/presence", {"code": shown.code})
        assert answer.status_code == 303, answer.text
        return self

    def get(self, path: str, **kwargs):
        return self.http.get(path, **kwargs)

    def post(self, path: str, data: dict[str, str] | None = None, **kwargs):
        return self.http.post(path, data={"csrf": self.csrf, **(data or {})}, **kwargs)

    def api(self, method: str, path: str, **kwargs):
        headers = {"X-CSRF-Token": self.csrf, **kwargs.pop("headers", {})}
        return self.http.request(method, f"/api/v1{path}", headers=headers, **kwargs)


def words(page: str) -> str:
    """Return the text of a page as a person reads it."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def read() -> Callable[[str], str]:
    return words


@pytest.fixture
def browse(lab: Lab) -> Iterator[Callable[..., Browser]]:
    """`browse("mia")` is Mia, signed in; `browse()` is nobody."""
    app = lab.app()
    opened: list[Browser] = []

    def open_browser(login: str = "") -> Browser:
        browser = Browser(lab, app)
        opened.append(browser)
        return browser.sign_in(login) if login else browser

    yield open_browser
    for browser in opened:
        browser.http.close()


def run_one_job(lab: Lab) -> None:
    """Leave the lab in the middle of a day: one job runs, one is held, one waits, one is booked."""
    import io

    services, mia, otto = lab.services, lab.people["mia"], lab.people["otto"]

    def submit(name: str, data: bytes, machine: str | None) -> str:
        return services.queue.submit(
            mia,
            name=name,
            data=io.BytesIO(data),
            kind="fdm",
            machine_slug=machine,
            title=None,
            recipe=None,
            now=lab.now,
        ).id

    lab.jobs["running"] = submit("square.gcode", PROGRAM, "ender")
    lab.jobs["held"] = submit("settings.gcode", FORBIDDEN, "prusa")
    lab.jobs["waiting"] = submit("second.gcode", PROGRAM + b"G4 P1\n", "ender")
    lab.jobs["by-hand"] = submit("third.gcode", PROGRAM + b"G4 P2\n", "old-printer")
    while services.preparation.prepare_next(lab.clock):
        pass
    services.dispatch.arm(otto, "ender", lab.now)
    services.dispatch.tick(lab.now)
    order = lab.gateway.orders[-1]
    facts = {"run": order.run, "at_us": int(lab.now.timestamp() * 1e6)}
    services.runs.apply("ender", {**facts, "seq": 1, "kind": "run_started"}, lab.now)
    lab.workshop.live.put(
        "ender",
        LiveState(
            phase="streaming",
            connected=True,
            firmware="Marlin 2.1.2",
            temperatures={"nozzle": (209.7, 210.0), "bed": (59.8, 60.0)},
            position_mm=(60.0, 60.0, 0.2),
            acked=9,
            sent=11,
            total=16,
            source_line=11,
            run=order.run,
        ),
    )
    lab.jobs["done"] = lab.jobs.pop("by-hand")
    for what in ("started", "finished"):
        services.queue.by_hand(mia, lab.jobs["done"], what, "old-printer", lab.now)
    lab.jobs["by-hand"] = submit("fourth.gcode", PROGRAM + b"G4 P3\n", "old-printer")
    services.preparation.prepare_next(lab.clock)
    start = lab.now.replace(minute=0) + timedelta(hours=3)
    services.bookings.book(mia, "prusa", start, start + timedelta(hours=2), lab.now, "hooks")
    services.bookings.book(
        otto, "prusa", start + timedelta(days=1), start + timedelta(days=1, hours=1), lab.now
    )


def add_odd_states(lab: Lab) -> None:
    """Put what is not the rule into the day: a prompt, an interruption, hands at a machine."""
    import io

    services, ada = lab.services, lab.people["ada"]
    mill = {"kind": "mill", "profile": "grbl-1.1", "envelope_mm": [300, 200, 60]}
    for values in (
        PRINTER | {"slug": "asking", "name": "Printer that asks", "port": "/dev/asking"},
        PRINTER | {"slug": "lost", "name": "Printer whose wire was lost", "port": "/dev/lost"},
        PRINTER | {"slug": "swapped", "name": "Printer of another board", "port": "/dev/swapped"},
        mill | {"slug": "used", "name": "Mill in use by hand", "port": "/dev/used"},
        mill | {"slug": "changing", "name": "Mill that changes tools", "port": "/dev/changing"},
    ):
        services.machines.add(ada, parse_machine(values), lab.now)

    def begin(slug: str) -> dict[str, object]:
        data = PROGRAM.replace(b"G92 E0\n", b"G92 E0\n" + b"; " + slug.encode() + b"\n")
        job = services.queue.submit(
            ada, name=f"{slug}.gcode", data=io.BytesIO(data), machine_slug=slug, now=lab.now
        )
        services.preparation.prepare_next(lab.clock)
        lab.workshop.live.put(slug, LiveState(phase="idle", connected=True))
        services.dispatch.arm(ada, slug, lab.now)
        (run,) = services.dispatch.tick(lab.now)
        lab.jobs[slug] = job.id
        return {"run": run, "at_us": int(lab.now.timestamp() * 1e6)}

    facts = begin("lost")
    extent = {"acked": 12, "sent": 14, "total": 16, "source_line": 14, "planner_blocks": 2}
    event = {"seq": 1, "sent_line": 16, "kind": "interrupted", "reason": "port-lost"}
    services.runs.apply("lost", {**facts, **event, **extent}, lab.now)
    hot = LiveState(
        phase="idle",
        connected=True,
        firmware="Marlin 2.1.2",
        temperatures={"nozzle": (209.7, 210.0), "bed": (59.8, 60.0)},
        acts=PRINTER_ACTS,
        heat_off_s=300.0,
    )
    lab.workshop.live.put("lost", hot)
    facts = begin("asking")
    for seq, kind in enumerate(("run_started", "prompted", "paused"), 1):
        said = {"text": "Insert filament", "choices": ["Purge", "Continue"]}
        services.runs.apply("asking", {**facts, **said, "seq": seq, "kind": kind}, lab.now)
    prompt = LivePrompt(7, "Insert filament, then say how to go on", ("Purge", "Continue"))
    lab.workshop.live.put(
        "asking",
        replace(
            hot,
            phase="paused",
            heat_off_s=None,
            prompt=prompt,
            notice="Layer 3 of 40",
            step="parked",
            run=str(facts["run"]),
        ),
    )
    lab.workshop.live.put("swapped", replace(hot, heat_off_s=None, differs=("serial", "usb")))
    router = replace(lab.workshop.live.get("router"), power=True)
    lab.workshop.live.put(
        "used", replace(router, controller="Jog", in_use="motion", acts=("jog-cancel",))
    )
    milled = io.BytesIO(b"G21 G90 G94\n(T3 - ball nose)\nT3\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n")
    lab.jobs["milling"] = services.queue.submit(
        ada, name="pocket.nc", data=milled, machine_slug="router", now=lab.now
    ).id
    services.preparation.prepare_next(lab.clock)
    lab.workshop.live.put("changing", replace(router, phase="paused", step="tool-change", tool=2))


def add_beams(lab: Lab) -> None:
    """Put a laser that burns, one that was used, and a lathe in use into the day."""
    services, ada, mia, now = lab.services, lab.people["ada"], lab.people["mia"], lab.now
    laser = {"kind": "laser", "profile": "grbl-1.1", "envelope_mm": [300, 200, 60]}
    plug = {"mains_switch": "plug", "mains_plug": "tasmota:192.168.1.9"}
    for values in (
        laser | {"slug": "cutter", "name": "Laser that burns", "port": "/dev/cutter"},
        {"slug": "glower", "name": "Laser without a cable", "kind": "laser", "control": "none"},
        {"slug": "lathe", "name": "Lathe", "kind": "lathe", "control": "none"} | plug,
        {"slug": "grinder", "name": "Grinder", "kind": "grinder", "control": "none"} | plug,
    ):
        services.machines.add(ada, parse_machine(values), now)
    watch = LiveWatch(300.0, 42.0, interlocks={"door": "good"})
    lab.workshop.live.put(
        "cutter",
        LiveState(phase="streaming", connected=True, laser=True, spindle_on=True, watch=watch),
    )
    said = LivePlug('{"POWER":"ON"}', round(now.timestamp() * 1e6), 340.0, 1234.5)
    on = LiveState(power=True, plugs={"mains": "on"}, plugs_said={"mains": said})
    lab.workshop.live.put("lathe", on)
    lab.workshop.live.put("grinder", replace(on, power=False, plugs={"mains": "off"}))
    stand_at(services, mia, "lathe", now)
    services.uses.start(mia, "lathe", now)
    stand_at(services, mia, "glower", now)
    services.uses.start(mia, "glower", now, "birch")
    services.uses.end(mia, "glower", now + timedelta(seconds=30))


def add_house_rules(lab: Lab) -> None:
    """What a lab decides over the years: rules, a training, a question to staff, a proposal."""
    services, ada, mia, now = lab.services, lab.people["ada"], lab.people["mia"], lab.now
    mill, saw = Scope.read("kind:mill"), Scope.read("machine:saw")
    services.house.set(ada, LAB, "opening", "Mo-Fr 09:00-21:00; Sa 10:00-16:00", "door", now)
    services.house.set(ada, LAB, "opening_covers", "start", "prints go on", now)
    services.house.set(ada, mill, "qualification_needed", True, "it bites", now)
    services.house.set(ada, saw, "approval_needed", True, "", now)
    start = now + timedelta(days=2)
    wish = TrainingWish("Router for beginners", start, timedelta(hours=2), 3, [mill])
    lab.jobs["training"] = services.trainings.create(ada, wish, now)
    services.trainings.sign_up(mia, lab.jobs["training"], now)
    later = start + timedelta(days=1)
    full = TrainingWish(
        "Saw", later, timedelta(hours=1), 1, [saw], ["saw"], minimum=1, weeks=2, note="Goggles"
    )
    lab.jobs["full"] = services.trainings.create(ada, full, now)
    services.trainings.sign_up(lab.people["otto"], lab.jobs["full"], now)
    services.trainings.wait(mia, lab.jobs["full"], now)
    services.visits.check_in(mia, now - timedelta(hours=1))
    lab.jobs["visit"] = services.visits.visitor_in(mia, "Jo Doe", now)
    services.visits.visitor_in(mia, "Kim", now, is_minor=True)
    for text in ("# Saw\n\n- goggles\n- no gloves", "# Saw\n\n- goggles\n- hood on"):
        services.instructions.write(
            lab.people["otto"], saw, Sort.RISKS, text, "the hood", now, must_accept=True
        )
        found = services.instructions.get(mia, saw, Sort.RISKS)
        if found.version == 1:
            services.instructions.accept(mia, saw, Sort.RISKS, found.sha256, now)
            services.instructions.accept(ada, saw, Sort.RISKS, found.sha256, now)
    lab.jobs["text-sha256"] = services.instructions.get(mia, saw, Sort.RISKS).sha256
    services.instructions.write(
        ada, LAB, Sort.RULES, "Clean up | who\n---|---\nbench | you", "", now, must_accept=False
    )
    services.qualifications.grant(ada, ada.person_id, kind="mill", days=365, now=now)
    services.bookings.book(mia, "saw", start, start + timedelta(hours=2), now)
    why = "A long print does not fit into three days."
    lab.jobs["proposal"] = services.proposals.propose(mia, LAB, "longest_min", 5760, why, now)
    services.proposals.comment(lab.people["otto"], lab.jobs["proposal"], "Two days more?", now)
    lab.jobs["mia"] = mia.person_id


def add_upkeep(lab: Lab) -> None:
    """Put faults, near misses, lists, counters and a contest into the day."""
    services, mia, otto = lab.services, lab.people["mia"], lab.people["otto"]
    services.faults.report(mia, "ender", Severity.LIMITS, "The fan rattles", lab.now)
    services.faults.report(otto, "saw", Severity.LIMITS, "The guard is loose", lab.now)
    services.faults.nearly(mia, "A sleeve was nearly caught", "saw", lab.now, unnamed=True)
    services.servicing.add(otto, "ender", "Oil the rods", lab.now, every_h=100.0)
    services.checklists.write(otto, None, Moment.CLOSING, "Windows\nLights", lab.now)
    (asked,) = services.checklists.list(otto, lab.now)
    services.checklists.answer(mia, asked.id, [0], "dark already", lab.now)
    lab.jobs["checklist"] = asked.id
    services.clearing.clear(
        otto, "old-printer", Outcome.FAILED, lab.now, cause="warped", shelf="B 3"
    )
    done = services.queue.get(lab.jobs["done"], lab.now, mia)
    services.contests.open(mia, f"attempt:{done.attempts[0].id}", "It was good", lab.now)


def add_loads(lab: Lab) -> None:
    """Say what is loaded, and what may run alone."""
    loading, mia, ada = lab.services.loading, lab.people["mia"], lab.people["ada"]
    loading.say_slot(mia, "ender", 0, lab.now, material="PLA", colour="sky blue", left_g=640)
    loading.say_slot(mia, "ender", 1, lab.now, material="PETG", lot="L-2026-014")
    loading.say_nozzle(mia, "ender", 0, 0.4, lab.now)
    loading.say_plate(ada, "ender", "textured", lab.now)

    terms = Terms(Unattended.OVERNIGHT, 6 * 3600.0, ("PLA", "PETG"))
    lab.services.terms.agree(ada, "ender", terms, lab.now)


def add_queue(lab: Lab) -> None:
    """Leave jobs in the queue that belong together, wait for each other and ask for something."""
    services, mia, now = lab.services, lab.people["mia"], lab.now
    lab.jobs["part"] = services.batches.copies(mia, lab.jobs["waiting"], 2, now)[0]
    while services.preparation.prepare_next(lab.clock):
        pass
    wish = AskWish([(0, "PETG", "")], 0.4, "textured", deadline=now + timedelta(days=1))
    services.asking.say(mia, lab.jobs["part"], wish, now)
    number = services.queue.get(lab.jobs["waiting"], now, mia).job.number
    services.batches.after(mia, lab.jobs["part"], [number])
    group = services.batches.view(lab.jobs["part"]).group
    assert group is not None
    lab.jobs["group"] = group.id
    services.foresight.tick(now)


def add_people(lab: Lab) -> None:
    """Leave an invitation open, somebody at the door, a badge with Mia, and terms for Gus."""
    services, otto, now = lab.services, lab.people["otto"], lab.now
    wish = InviteWish(Role.MEMBER, "Noa")
    lab.jobs["invite"] = services.joining.invite(otto, wish, now)
    services.joining.set_sign_up(lab.people["ada"], SignUp.ASKED)
    services.joining.apply("Ben Door", "ben", PASSWORD, now)
    services.badges.give(otto, lab.people["mia"].person_id, "04A32F91", now)
    gus = lab.people["gus"].person_id
    terms = TermsWish(
        ends_at=now + timedelta(days=30),
        sponsor="mia",
        machines=["ender", "saw"],
        is_minor=True,
        guardian="Ilse Roth",
        guardian_reach="next door",
        has_consent=True,
    )
    services.standings.set(otto, gus, terms, now)
    lab.jobs["gus"] = gus


@pytest.fixture(scope="session")
def day(
    furnished: tuple[Path, dict[str, Actor]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """One lab in the middle of its day, for all tests that only look."""
    for lab in open_furnished(furnished, tmp_path_factory.mktemp("day")):
        add_money(lab)
        add_loads(lab)
        run_one_job(lab)
        add_odd_states(lab)
        add_beams(lab)
        add_queue(lab)
        design = lab.services.designs
        source = design.sources()[0].name
        listed = design.browse(source)
        start = lab.now.replace(minute=0) + timedelta(hours=5)
        lab.jobs["booking"] = lab.services.bookings.book(
            lab.people["ada"], "router", start, start + timedelta(hours=1), lab.now
        ).id
        lab.jobs["design"] = design.fetch(lab.people["otto"], source, listed[0].id, lab.now).id
        add_house_rules(lab)
        add_upkeep(lab)
        add_people(lab)
        yield lab


PAGES = (
    "/",
    "/stop",
    "/me",
    "/me/sign-in",
    "/prove?next=/me",
    "/unclaimed",
    "/workstations",
    "/first-run",
    "/machines/ender",
    "/machines/prusa",
    "/machines/router",
    "/machines/old-printer",
    "/machines/saw",
    "/machines/cutter",
    "/machines/cutter/here",
    "/machines/glower",
    "/machines/lathe",
    "/machines/grinder",
    "/machines/asking",
    "/machines/lost",
    "/machines/swapped",
    "/machines/used",
    "/machines/changing",
    "/machines/router/cycle?job={milling}",
    "/machines/ender/edit",
    "/machines/ender/loaded",
    "/machines/router/loaded",
    "/machines/ender/terms",
    "/machines/router/terms",
    "/machines/new",
    "/machines/prusa/calendar",
    "/machines/prusa/book?start=2026-03-04T14:00:00Z&length=60",
    "/book",
    "/bookings",
    "/bookings/{booking}/move",
    "/bookings/{booking}/swap",
    "/book?view=day&date=2026-03-04",
    "/book?view=week",
    "/book?job={waiting}",
    "/machines/prusa/wait",
    "/notices",
    "/house",
    "/queue",
    "/queue/order",
    "/queue/groups/{group}",
    "/jobs/{part}",
    "/jobs/new",
    "/jobs/{running}",
    "/jobs/{held}",
    "/jobs/{waiting}",
    "/jobs/{by-hand}",
    "/jobs/{by-hand}/sheet?machine=old-printer",
    "/jobs/{done}",
    "/jobs/{asking}",
    "/jobs/{running}/toolpath",
    "/jobs/{milling}/toolpath",
    "/jobs/{lost}",
    "/jobs/{lost}/resume",
    "/designs",
    "/designs?source=example",
    "/designs/{design}",
    "/jobs/new?design={design}",
    "/rules",
    "/rules?scope=kind:mill",
    "/rules?scope=machine:saw",
    "/proposals",
    "/proposals/new?rule=longest_min",
    "/proposals/new?rule=opening&machine=ender",
    "/proposals/{proposal}",
    "/approvals",
    "/trainings",
    "/trainings/{training}",
    "/trainings/{full}",
    "/house/in",
    "/instructions",
    "/instructions?machine=saw",
    "/instructions/machine:saw/risks",
    "/instructions/machine:saw/risks?version=1",
    "/instructions/machine:saw/risks/edit",
    "/instructions/lab/rules",
    "/people/{mia}",
    "/people/{gus}",
    "/machines/router/qualified",
    "/people",
    "/devices",
    "/people?q=mia",
    "/privacy",
    "/people/{mia}/leave",
    "/modules",
    "/upkeep",
    "/import",
    "/day-sheet",
    "/machines/ender/fault",
    "/machines/old-printer/clear",
    "/machines/ender/history",
    "/machines/ender/qr",
    "/near-misses",
    "/contests",
    "/checklists",
    "/checklists/{checklist}",
    "/ledger",
    "/prices",
    "/money",
    "/money?person={mia}&since=2026-02",
    "/money/desk",
    "/money/books",
    "/money/terms",
    "/contests?about=charge:3",
    "/health",
    "/nowhere",
)


@pytest.fixture(scope="session")
def pages(day: Lab) -> list[str]:
    """The address of every page that a signed-in person can open."""
    return [path.format(**day.jobs) for path in PAGES]


@pytest.fixture(scope="session")
def ada(day: Lab) -> Iterator[Browser]:
    """The admin, looking around in the middle of the day."""
    browser = Browser(day, day.app()).sign_in("ada")
    yield browser
    browser.http.close()


@pytest.fixture(scope="session")
def pseudo(day: Lab) -> Iterator[Browser]:
    """The admin again, in the language that shows what is not translatable."""
    browser = Browser(day, day.app(locale="pseudo")).sign_in("ada")
    yield browser
    browser.http.close()
