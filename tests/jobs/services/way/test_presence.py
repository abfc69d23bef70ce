"""Who may have a machine move, heat or start: each action against each way not to be there."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from drivers.acts import Act, Order
from jobs.domain.care import Outcome, Severity
from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError, UnavailableError
from jobs.domain.machine import Control
from jobs.domain.people import LabMode, Role
from jobs.domain.policy import Reason, WayKind
from jobs.domain.presence import MOST_WRONG_A_DAY, How
from jobs.domain.rules.values import Scope
from jobs.services.at_kiosk import DeviceKind
from jobs.services.workshop import LiveOffsets
from jobs.store.persons import Standing
from jobs.store.presence import MachineSecret, Presence, PresenceTry
from jobs.store.tables import Setting, SignIn
from tests.there import display_at, seated

FRESH = timedelta(minutes=10)
OFFSETS = LiveOffsets(
    {"G54": (-250.0, -350.0, -60.0), "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)},
    ("G1", "G54", "G21"),
    {"X": (-300.0, 0.0), "Y": (-400.0, 0.0), "Z": (-80.0, 0.0)},
    True,
    True,
)


def hand(act: Act, slug: str = "router", **more):
    order = Order(act, **more)
    return lambda services, actor, job, now: services.hand.act(actor, slug, order, now)


def arm(slug):
    return lambda services, actor, job, now: services.dispatch.arm(actor, slug, now)


ACTIONS = {
    "arm": arm("router"),
    "arm a printer": arm("ender"),
    "clear": lambda s, a, job, now: s.clearing.clear(a, "router", Outcome.GOOD, now),
    "start": lambda s, a, job, now: s.dispatch.start(a, job, "router", now, checked=True),
    "cycle start": lambda s, a, job, now: s.cycle.start(a, "router", job, (), now),
    "trace": lambda s, a, job, now: s.cycle.trace(a, "router", job, now, confirmed=True),
    "keep heat": lambda s, a, job, now: s.dispatch.keep_heat(a, "ender", 5, now),
    "power": lambda s, a, job, now: s.dispatch.power(a, "router", now, on=True),
    "free": lambda s, a, job, now: s.attendance.free(a, "router", now),
    "jog": hand(Act.JOG, axes={"X": 1.0}, feedrate=10.0),
    "home": hand(Act.HOME),
    "zero": hand(Act.ZERO),
    "unlock": hand(Act.UNLOCK),
    "reset": hand(Act.RESET),
    "cycle resume": hand(Act.RESUME),
    "spindle": hand(Act.SPINDLE, percent=90),
    "spindle toggle": hand(Act.SPINDLE_TOGGLE),
    "feed": hand(Act.FEED, percent=110),
    "heat": hand(Act.HEAT, "ender", heater="bed", target=60.0),
    "beam": lambda s, a, job, now: s.cycle.start(a, "laser", job, (), now),
    "by hand": lambda s, a, job, now: s.queue.by_hand(a, job, "started", "old-laser", now),
}
SLUGS = {"arm a printer": "ender", "keep heat": "ender", "heat": "ender", "beam": "laser"}
SLUGS |= {"by hand": "old-laser"}


@dataclass
class There:
    """A shared lab with a printer, a mill, a laser and a mill worked by hand."""

    house: object
    member: object
    other: object
    jobs: dict[str, str]

    def reasons(self, action: str, actor=None) -> list[Reason]:
        services, slug = self.house.services, SLUGS.get(action, "router")
        job = self.jobs.get(slug, "")
        try:
            ACTIONS[action](services, actor or self.member, job, self.house.now)
        except RefusedError as error:
            return [one.reason for one in error.refusals]
        except UnavailableError:
            return []
        return []


@pytest.fixture
def lab(house, member, other, printer, mill, add_machine, add_waiting, gateway):
    gateway.told = OFFSETS
    with house.workshop.database.write() as session:
        session.add(Setting(key="lab.mode", value=LabMode.SHARED_LAB.value))
    laser = add_machine(house.workshop, "laser", kind="laser")
    house.workshop.live.put("laser", house.workshop.live.get("router"))
    old = add_machine(house.workshop, "old-laser", kind="laser", control=Control.BY_HAND)
    slugs = {"router": mill, "laser": laser, "old-laser": old, "ender": printer}
    return There(
        house, member, other, {slug: add_waiting(member, one) for slug, one in slugs.items()}
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_is_done_only_by_somebody_who_is_there_now(lab, action):
    house, member, slug = lab.house, lab.member, SLUGS.get(action, "router")
    elsewhere = "ender" if slug != "ender" else "router"
    assert Reason.NOT_PRESENT in lab.reasons(action), "nobody has come"
    house.at(member, elsewhere)
    assert Reason.NOT_PRESENT in lab.reasons(action), "at another machine"
    house.later(seconds=40)
    house.at(member, slug)
    key = replace(member, seat="")
    assert Reason.KEY_NOT_PRESENT in lab.reasons(action, key), "a program with a key"
    browser = seated(house.workshop, member, house.now, "another")
    assert Reason.NOT_PRESENT in lab.reasons(action, browser), "another browser of theirs"
    assert not {Reason.NOT_PRESENT, Reason.KEY_NOT_PRESENT} & set(lab.reasons(action)), "right"


@pytest.mark.parametrize("action", ["arm", "jog", "heat", "by hand"])
def test_presence_ends_by_time_by_the_next_person_by_leaving_and_by_signing_out(lab, action):
    house, member, slug = lab.house, lab.member, SLUGS.get(action, "router")
    gone = lambda: Reason.NOT_PRESENT in lab.reasons(action)  # noqa: E731 - said six times
    house.at(member, slug)
    house.later(seconds=FRESH.total_seconds() - 1)
    assert house.services.proving.view(member, slug, house.now).until is not None
    house.later(seconds=1)
    assert gone(), "stale"
    house.at(member, slug)
    house.at(lab.other, slug)
    assert gone(), "another came"
    house.later(seconds=40)
    house.at(member, slug)
    house.services.proving.leave(lab.other, slug, house.now)
    assert house.services.proving.view(member, slug, house.now).how is How.CODE
    house.services.proving.leave(member, slug, house.now)
    assert gone(), "left"
    house.later(seconds=40)
    house.at(member, slug)
    with house.workshop.database.write() as session:
        session.delete(session.get(SignIn, member.seat))
    assert gone(), "signed out"


def test_what_only_makes_safer_asks_for_nothing(lab):
    house, services = lab.house, lab.house.services
    key = replace(lab.member, seat="")
    for act in (Act.HOLD, Act.OFF, Act.JOG_CANCEL, Act.QUICK_STOP):
        services.hand.act(key, "router", Order(act), house.now)
    services.dispatch.disarm(key, "router", house.now)
    services.dispatch.power(key, "router", house.now, on=False)
    assert services.dispatch.stop(None, "router") is None
    assert services.dispatch.stop_all(key) == {"ender": None, "router": None, "laser": None}


def test_a_run_is_gone_on_with_at_the_machine_and_held_from_anywhere(lab, gateway):
    house, member = lab.house, lab.member
    house.at(member, "ender")
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1
    house.later(minutes=11)
    dispatch = house.services.dispatch
    goes_on = [
        lambda: dispatch.resume(member, "ender", house.now),
        lambda: dispatch.answer(member, "ender", 1, 0, house.now),
        lambda: house.services.hand.act(member, "ender", Order(Act.RESUME), house.now),
        lambda: house.services.hand.act(member, "ender", Order(Act.FLOW, percent=120), house.now),
    ]
    for one in goes_on:
        with pytest.raises(RefusedError) as error:
            one()
        assert [each.reason for each in error.value.refusals] == [Reason.NOT_PRESENT]
    key = replace(member, seat="")
    dispatch.pause(key, "ender", house.now)
    house.services.hand.act(key, "ender", Order(Act.HOLD), house.now)
    house.at(member, "ender")
    for one in goes_on:
        one()
    dispatch.cancel(key, "ender", house.now)
    assert ("cancel", "ender") in gateway.calls


def test_the_refusal_says_the_way(lab, admin):
    house, member = lab.house, lab.member
    (refusal,) = house.services.proving.refusals(member, "router", house.now)
    assert [one.kind for one in refusal.ways] == [WayKind.SET_UP_DISPLAY]
    display_at(house.services, admin, "router", house.now)
    kiosk, code = house.services.devices.make(
        admin, DeviceKind.KIOSK, "Tablet", ["router", "ender"], house.now
    )
    house.services.devices.pair(code, house.now)
    (refusal,) = house.services.proving.refusals(member, "router", house.now)
    assert [(one.kind, one.name) for one in refusal.ways] == [
        (WayKind.TYPE_CODE, "Router"),
        (WayKind.USE_KIOSK, "Tablet"),
    ]
    house.services.house.set(
        admin, Scope.read("machine:router"), "presence_by", "badge", "", house.now
    )
    (refusal,) = house.services.proving.refusals(member, "router", house.now)
    assert [one.kind for one in refusal.ways] == [WayKind.USE_KIOSK]
    house.services.devices.revoke(admin, kiosk.id, house.now)
    (refusal,) = house.services.proving.refusals(member, "router", house.now)
    assert [one.kind for one in refusal.ways] == [WayKind.SET_UP_DISPLAY]
    house.at(member, "router")
    assert house.services.proving.refusals(member, "router", house.now), "no code will do there"


def test_a_word_will_do_for_printers_alone_and_never_a_keys(lab, admin):
    house = lab.house
    for kind in ("fdm", "mill", "laser"):
        scope = Scope.read(f"kind:{kind}")
        house.services.house.set(admin, scope, "presence_by", "word", "", house.now)
    assert lab.reasons("arm a printer") == []
    assert lab.reasons("arm a printer", replace(lab.member, seat="")) == [Reason.KEY_NOT_PRESENT]
    assert lab.reasons("arm") == [Reason.NOT_PRESENT]


def test_one_person_alone_is_asked_at_what_cuts_and_at_printers_where_they_want_it(lab, admin):
    house = lab.house
    house.services.lab.set_mode(admin, LabMode.ONLY_ME, house.now)
    assert lab.reasons("arm a printer", replace(lab.member, seat="")) == []
    assert lab.reasons("arm") == [Reason.NOT_PRESENT]
    house.services.devices.set_settings(admin, 45, alone_asks=True)
    assert lab.reasons("arm a printer") == [Reason.NOT_PRESENT]
    house.services.devices.set_settings(admin, 45, alone_asks=False)
    assert lab.reasons("arm a printer") == []


def test_a_machine_that_is_locked_for_repair_moves_only_for_staff_who_are_there(lab, operator):
    house, member = lab.house, lab.member
    house.services.faults.report(member, "router", Severity.DANGER, "It smokes", house.now)
    house.at(member, "router")
    for action in ("jog", "home", "power", "arm", "feed"):
        assert Reason.MACHINE_BUSY in lab.reasons(action), action
    house.later(seconds=40)
    assert Reason.MACHINE_BUSY in lab.reasons("jog", operator), "not from afar"
    house.at(operator, "router")
    assert lab.reasons("jog", operator) == []
    assert house.services.dispatch.stop(None, "router") is None


# Guessing


def test_a_number_opens_once_in_its_window_and_only_its_own_machine(lab, admin):
    house, member = lab.house, lab.member
    services, now = house.services, house.now
    router = display_at(services, admin, "router", now)
    ender = display_at(services, admin, "ender", now)
    shown = services.devices.shown(router, now).code
    assert services.devices.shown(ender, now).code != shown
    with pytest.raises(InvalidError, match=r"presence\.code"):
        services.proving.by_code(member, "ender", shown, now)
    services.proving.by_code(member, "router", f" {shown[:3]} {shown[3:]} ", now)
    with pytest.raises(InvalidError) as error:
        services.proving.by_code(member, "router", shown, now)
    assert error.value.code == "presence.code-used"
    services.proving.by_code(lab.other, "router", shown, now)
    late = now + timedelta(seconds=61)
    with pytest.raises(InvalidError, match=r"presence\.code"):
        services.proving.by_code(replace(lab.other), "router", shown, late)
    with pytest.raises(RefusedError):
        services.proving.by_code(replace(member, seat=""), "router", shown, now)


def test_where_no_display_stands_no_number_is_right(lab, admin):
    house = lab.house
    device = display_at(house.services, admin, "router", house.now)
    shown = house.services.devices.shown(device, house.now).code
    house.services.devices.revoke(admin, device.id, house.now)
    assert house.rows(MachineSecret) == []
    with pytest.raises(InvalidError, match=r"presence\.code"):
        house.services.proving.by_code(lab.member, "router", shown, house.now)
    again = display_at(house.services, admin, "router", house.now)
    assert house.services.devices.shown(again, house.now).code != shown, "a new secret"


def test_guessing_is_bounded_for_one_person_and_for_all_together(lab, admin, add_person):
    house = lab.house
    services = house.services
    device = display_at(services, admin, "router", house.now)
    crowd = [add_person(house.workshop, f"p{number}") for number in range(6)]
    said = []

    def guess(person) -> str:
        shown = services.devices.shown(device, house.now).code
        wrong = str((int(shown) + 1) % 10**6).zfill(6)
        with pytest.raises(InvalidError) as error:
            services.proving.by_code(person, "router", wrong, house.now)
        return error.value.code

    said = [guess(crowd[0]) for _ in range(7)]
    assert said == ["presence.code"] * 5 + ["presence.too-many"] * 2
    shown = services.devices.shown(device, house.now).code
    with pytest.raises(InvalidError, match="too-many"):
        services.proving.by_code(crowd[0], "router", shown, house.now)
    for person in crowd:
        for _ in range(14):
            house.later(minutes=3)
            guess(person)
    assert len(house.rows(PresenceTry)) == MOST_WRONG_A_DAY
    assert guess(crowd[5]) == "presence.too-many-day"
    house.later(hours=25)
    house.at(crowd[0], "router")
    assert guess(crowd[0]) == "presence.code"
    assert len(house.rows(PresenceTry)) == 1, "yesterday is forgotten"


def test_at_most_one_person_is_at_a_machine_whatever_happens(lab, admin, add_person):
    """Against a plain model: who came last, until they go, sign out, or ten minutes are over."""
    house, dice = lab.house, random.Random(2611)
    services = house.services
    people = [add_person(house.workshop, f"p{number}") for number in range(3)]
    devices = {slug: display_at(services, admin, slug, house.now) for slug in ("ender", "router")}
    here: dict[str, tuple[int, object]] = {}
    used: set[tuple[int, str, str]] = set()
    out: set[int] = set()
    for _ in range(120):
        house.later(seconds=dice.choice((5, 31, 200, 400)))
        who, slug = dice.randrange(3), dice.choice(("ender", "router"))
        match dice.choice(("come", "come", "come", "leave", "out")):
            case "come":
                shown = services.devices.shown(devices[slug], house.now).code
                if (who, slug, shown) in used:
                    continue
                services.proving.by_code(people[who], slug, shown, house.now)
                used.add((who, slug, shown))
                here[slug] = (who, house.now + FRESH)
            case "leave":
                services.proving.leave(people[who], slug, house.now)
                if here.get(slug, (None,))[0] == who and who not in out:
                    del here[slug]
            case "out" if len(out) < 1:
                with house.workshop.database.write() as session:
                    session.delete(session.get(SignIn, people[who].seat))
                out.add(who)
        for number, person in enumerate(people):
            for at in devices:
                until = services.proving.view(person, at, house.now).until
                last, ends = here.get(at, (None, house.now))
                is_here = last == number and ends > house.now and number not in out
                assert (until is not None) == is_here, (number, at)
    with house.workshop.database.read() as session:
        query = select(func.count()).select_from(Presence).where(Presence.ended_at.is_(None))
        assert session.scalar(query) <= 2


# Devices


def test_devices_are_made_by_a_signed_in_admin_and_paired_once(lab, admin, operator):
    house = lab.house
    devices, now = house.services.devices, house.now
    with pytest.raises(NotAllowedError):
        devices.make(operator, DeviceKind.DISPLAY, "X", ["router"], now)
    with pytest.raises(NotAllowedError, match=r"device\.by-key"):
        devices.make(replace(admin, seat=""), DeviceKind.DISPLAY, "X", ["router"], now)
    for slugs in ([], ["router", "ender"], ["nowhere"]):
        with pytest.raises(InvalidError, match=r"device\.machines"):
            devices.make(admin, DeviceKind.DISPLAY, "X", slugs, now)
    made, code = devices.make(admin, DeviceKind.DISPLAY, "  By   the router ", ["router"], now)
    assert (made.name, made.machines) == ("By the router", (("router", "Router"),))
    with pytest.raises(InvalidError, match=r"device\.pair-code"):
        devices.pair(code, now + timedelta(minutes=30))
    _, token = devices.pair(code.lower(), now)
    with pytest.raises(InvalidError, match=r"device\.pair-code"):
        devices.pair(code, now)
    assert devices.known(token, now).id == made.id
    _, again = devices.pair_again(admin, made.id, now)
    assert devices.known(token, now) is None, "the old screen shows nothing any more"
    _, token = devices.pair(again, now)
    devices.revoke(admin, made.id, now)
    devices.revoke(admin, made.id, now)
    assert devices.known(token, now) is None
    assert devices.list(admin)[0].revoked_at == now


def test_only_a_machines_display_shows_its_number(lab, admin):
    house = lab.house
    devices = house.services.devices
    for kind, slugs in ((DeviceKind.WALL, []), (DeviceKind.KIOSK, ["router"])):
        made, code = devices.make(admin, kind, kind.value, slugs, house.now)
        assert devices.shown(devices.pair(code, house.now)[0], house.now) is None
        assert made.kind is kind


def test_a_screen_tells_a_name_only_where_its_person_shows_it(lab, admin):
    house, member = lab.house, lab.member
    wall, code = house.services.devices.make(admin, DeviceKind.WALL, "Wall", [], house.now)
    wall, _ = house.services.devices.pair(code, house.now)
    start = house.now + timedelta(hours=2)
    for shows, hours in ((False, 0), (True, 2)):
        at = start + timedelta(hours=hours)
        house.services.bookings.book(
            member, "ender", at, at + timedelta(hours=1), house.now, shows_name=shows
        )
    names = [one.name for one in house.services.devices.coming(wall, house.now)["ender"]]
    assert names == ["", "Mia"]
    with house.workshop.database.write() as session:
        session.merge(Standing(person_id=member.person_id, is_minor=True))
    names = [one.name for one in house.services.devices.coming(wall, house.now)["ender"]]
    assert names == ["", ""], "minors never"


def test_roles_make_no_difference(lab, admin, operator):
    for actor in (operator, admin):
        assert actor.role in (Role.OPERATOR, Role.ADMIN)
        assert lab.reasons("jog", actor) == [Reason.NOT_PRESENT]
