"""Ways to prove who one is: PIN, second step, keys, an OpenID provider's word, shared computers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from jobs.domain.credentials import Happened, Scope, Way, is_plain_pin
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services import passwords
from jobs.services.outside import Outside, OutsideWord, Provider
from jobs.services.passwords import Cost, cost_for
from jobs.services.people import People
from jobs.services.pins import Pins
from jobs.services.queue import Queue
from jobs.services.second_step import WINDOW_S, SecondSteps, code_at, reset_by_console
from jobs.services.signing_in import PROOF_HOLDS, came_by_link, is_proved
from jobs.services.workshop import Workshop
from jobs.services.workstations import KEPT, Workstations, drop_unclaimed
from jobs.store.signing import CredentialEvent, OutsideIdentity, RecoveryCode, SecondStep
from jobs.store.tables import Person, SignIn

PASSWORD = "correct horse"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PIN = "482913"


@pytest.fixture
def people(workshop: Workshop) -> People:
    return People(workshop)


@pytest.fixture
def pins(workshop: Workshop) -> Pins:
    return Pins(workshop)


@pytest.fixture
def steps(workshop: Workshop) -> SecondSteps:
    return SecondSteps(workshop)


@pytest.fixture
def mia(workshop: Workshop, add_person: Callable[..., Actor]) -> Actor:
    return add_person(workshop, "mia")


def code_of(act: Callable[..., object], *args: object, **kwargs: object) -> str:
    with pytest.raises(InvalidError) as wrong:
        act(*args, **kwargs)
    return wrong.value.code


def told(workshop: Workshop, person_id: str) -> list[str]:
    with workshop.database.read() as session:
        return [
            row.what
            for row in session.scalars(select(CredentialEvent).order_by(CredentialEvent.at))
            if row.person_id == person_id
        ]


# What a hash costs


@pytest.mark.parametrize("memory_mib", [256, 900, 1900, 4000, 24000])
@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_a_hash_never_costs_a_guesser_less_than_owasp_wants(memory_mib: int, cores: int) -> None:
    """Each pair of memory and passes is in the sheet, and all of a moment stay in 40 MiB."""
    cost = cost_for(memory_mib, cores)
    assert (cost.memory_kib, cost.passes) in {(19456, 2), (12288, 3), (9216, 4), (7168, 5)}
    assert 1 <= cost.lanes <= max(1, cores // 2)
    assert cost.lanes * cost.memory_kib <= 40 * 1024


def test_a_hash_of_another_cost_is_made_anew_when_its_person_signs_in(
    workshop: Workshop, people: People, mia: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with workshop.database.write() as session:
        session.get_one(Person, mia.person_id).password_hash = old
    people.sign_in("mia", PASSWORD, now)
    with workshop.database.read() as session:
        kept = session.get_one(Person, mia.person_id).password_hash or ""
    cost: Cost = passwords.cost()
    assert f"m={cost.memory_kib},t={cost.passes},p=1" in kept
    people.sign_in("mia", PASSWORD, now)


# PIN


@given(st.text("0123456789", min_size=6, max_size=12))
def test_no_pattern_that_is_refused_makes_a_drawn_pin_guessable(pin: str) -> None:
    """Refusing is total: it ends for any digits, and never refuses most of them."""
    assert isinstance(is_plain_pin(pin), bool)


def test_enough_pins_are_left_for_ten_tries_a_day_to_be_one_in_ten_thousand() -> None:
    left = sum(not is_plain_pin(f"{number:06d}") for number in range(0, 10**6, 7)) * 7
    assert left > 850_000
    assert 10 / left < 1 / 10_000


def test_a_pin_is_proved_and_a_wrong_one_gets_one_answer(
    pins: Pins, mia: Actor, add_person: Callable[..., Actor], workshop: Workshop, now: datetime
) -> None:
    pins.set(mia.person_id, PIN, now, by_id=mia.person_id)
    pins.prove(mia.person_id, PIN, now, device="tablet")
    other = add_person(workshop, "otto")
    for who in (mia.person_id, other.person_id, "nobody at all"):
        assert code_of(pins.prove, who, "918274", now, device="tablet") == "pin.wrong"


def test_guessing_a_pin_all_day_tries_at_most_ten(
    pins: Pins, mia: Actor, workshop: Workshop, now: datetime
) -> None:
    """One in 10,000 a day is the most that is asked; from ever new devices, and with the person
    using their PIN in between, which gives a guesser nothing."""
    pins.set(mia.person_id, PIN, now, by_id=None)
    tried = 0
    for number in range(96):
        at = now + number * 15 * MINUTE
        if number == 5:
            pins.prove(mia.person_id, PIN, at, device="own")
        guess = f"91827{number % 10}"
        code = code_of(pins.prove, mia.person_id, guess, at, device=f"d{number}")
        tried += code == "pin.wrong"
    assert tried == 10
    later = now + 2 * DAY
    pins.prove(mia.person_id, PIN, later, device="own")


def test_a_locked_pin_locks_nothing_else_and_a_new_one_works_at_once(
    pins: Pins, people: People, mia: Actor, now: datetime
) -> None:
    pins.set(mia.person_id, PIN, now, by_id=None)
    for number in range(3):
        code_of(pins.prove, mia.person_id, "918274", now, device=f"d{number}")
    assert code_of(pins.prove, mia.person_id, PIN, now, device="own") == "pin.too-many"
    people.redeem(people.make_link(mia.person_id, now), now)
    pins.set(mia.person_id, "572984", now, by_id=mia.person_id)
    pins.prove(mia.person_id, "572984", now, device="own")


def test_one_device_that_goes_through_people_is_slowed(
    pins: Pins, workshop: Workshop, add_person: Callable[..., Actor], now: datetime
) -> None:
    crowd = [add_person(workshop, f"p{number}") for number in range(12)]
    codes = [code_of(pins.prove, one.person_id, "918274", now, device="tablet") for one in crowd]
    assert codes == ["pin.wrong"] * 10 + ["pin.too-many"] * 2


def test_a_drawn_pin_is_shown_once_and_is_no_pattern(
    pins: Pins, mia: Actor, workshop: Workshop, now: datetime
) -> None:
    pin = pins.draw(mia.person_id, now, by_id=mia.person_id)
    assert len(pin) == 6
    assert not is_plain_pin(pin)
    pins.prove(mia.person_id, pin, now, device="x")
    pins.remove(mia.person_id, now, by_id=mia.person_id)
    assert code_of(pins.prove, mia.person_id, pin, now, device="x") == "pin.wrong"
    assert told(workshop, mia.person_id) == [Happened.PIN_SET, Happened.PIN_GONE]


# Second step


def codes_of(secret_text: str, now: datetime, windows: int = 0) -> str:
    import base64

    secret = base64.b32decode(secret_text)
    return code_at(secret, int(now.timestamp()) // WINDOW_S + windows)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """Source: RFC 6238 appendix B, SHA-1."""
    assert code_at(b"12345678901234567890", at // 30, 8) == code


def test_a_code_works_once_within_a_window_of_where_we_are(
    steps: SecondSteps, mia: Actor, now: datetime
) -> None:
    secret = steps.begin(mia.person_id)
    assert not steps.is_on(mia.person_id)  # until a first code has shown that the app has it
    first = codes_of(secret, now)
    assert len(steps.confirm(mia.person_id, first, now)) == 10
    assert steps.is_on(mia.person_id)
    assert code_of(steps.prove, mia.person_id, first, now) == "second-step.wrong"
    steps.prove(mia.person_id, codes_of(secret, now, 1), now)  # a phone half a minute ahead
    before = codes_of(secret, now)
    assert code_of(steps.prove, mia.person_id, before, now) == "second-step.wrong"
    later = now + DAY
    for off in (-2, 2):
        wrong = codes_of(secret, later, off)
        assert code_of(steps.prove, mia.person_id, wrong, later) == "second-step.wrong"
    steps.prove(mia.person_id, codes_of(secret, later), later)


def test_guessing_codes_ends_after_twenty_a_day(
    steps: SecondSteps, mia: Actor, now: datetime
) -> None:
    secret = steps.begin(mia.person_id)
    steps.confirm(mia.person_id, codes_of(secret, now), now)
    tried = 0
    for number in range(140):
        at = now + DAY + number * 10 * MINUTE
        wrong = f"{(int(codes_of(secret, at)) + 500_000) % 10**6:06d}"
        tried += code_of(steps.prove, mia.person_id, wrong, at) == "second-step.wrong"
    assert tried == 20


def test_a_recovery_code_works_once_and_only_for_its_person(
    workshop: Workshop,
    steps: SecondSteps,
    mia: Actor,
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    other = add_person(workshop, "otto").person_id
    secret = steps.begin(mia.person_id)
    codes = steps.confirm(mia.person_id, codes_of(secret, now), now)
    steps.confirm(other, codes_of(steps.begin(other), now), now)
    assert code_of(steps.prove, other, codes[0], now) == "second-step.wrong"
    steps.prove(mia.person_id, codes[0].lower(), now)
    assert code_of(steps.prove, mia.person_id, codes[0], now) == "second-step.wrong"
    assert steps.view(mia.person_id).codes == 9
    fresh = steps.new_codes(mia.person_id, now)
    later = now + MINUTE * 10
    assert code_of(steps.prove, mia.person_id, codes[1], later) == "second-step.wrong"
    steps.prove(mia.person_id, fresh[0], later)
    with workshop.database.read() as session:
        kept = {row.code_sha256 for row in session.scalars(select(RecoveryCode))}
    assert not any(code in one for code in codes for one in kept)


def test_the_database_alone_has_no_secret_of_an_app(
    workshop: Workshop, steps: SecondSteps, mia: Actor
) -> None:
    import base64

    secret = base64.b32decode(steps.begin(mia.person_id))
    with workshop.database.read() as session:
        sealed = session.get_one(SecondStep, mia.person_id).sealed
    assert secret not in sealed
    assert secret.hex().encode() not in sealed


def test_the_console_lets_an_admin_in_without_a_code_and_it_is_written_down(
    workshop: Workshop, steps: SecondSteps, people: People, now: datetime
) -> None:
    ana = people.create("ana", "Ana", Role.ADMIN, password=PASSWORD, actor=None, now=now)
    steps.confirm(ana.id, codes_of(steps.begin(ana.id), now), now)
    reset_by_console(workshop, ana.id, now)
    assert not steps.is_on(ana.id)
    assert told(workshop, ana.id)[-2:] == [Happened.STEP_OFF, Happened.CONSOLE_RESET]
    event = people.credential_events(ana.id)[0]
    assert (event.by_name, event.by_self) == ("", False)


# Sign-ins


def test_a_proof_holds_ten_minutes_and_gives_another_token(
    people: People, mia: Actor, now: datetime
) -> None:
    token, view = people.redeem(people.make_link(mia.person_id, now), now, "Firefox, Linux")
    assert (view.way, view.device, came_by_link(view, now)) == (Way.LINK, "Firefox, Linux", True)
    later = now + PROOF_HOLDS
    found = people.signed_in(token, later)
    assert found is not None
    assert not is_proved(found, later)
    renewed = people.renew_sign_in(token, later)
    assert people.signed_in(token, later) is None
    again = people.signed_in(renewed, later)
    assert again is not None
    assert is_proved(again, later)
    assert again.csrf == view.csrf  # forms that are open elsewhere stay good
    with pytest.raises(InvalidError, match="ended"):
        people.renew_sign_in(token, later)


def test_one_sign_in_is_ended_by_its_person_only_and_all_others_at_once(
    workshop: Workshop,
    people: People,
    mia: Actor,
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    other = add_person(workshop, "otto")
    people.sign_out_everywhere(mia.person_id)
    tokens = [
        people.redeem(people.make_link(mia.person_id, now), now + n * MINUTE)[0] for n in range(3)
    ]
    names = [one.id for one in people.sign_ins(mia.person_id, now + 5 * MINUTE)]
    assert len(set(names)) == 3
    with pytest.raises(NotFoundError):
        people.end_sign_in(other.person_id, names[0])
    people.end_sign_in(mia.person_id, names[0])
    assert [people.signed_in(token, now) is None for token in tokens] == [False, False, True]
    assert people.end_other_sign_ins(mia.person_id, tokens[0], now) == 1
    assert people.signed_in(tokens[1], now) is None
    assert people.signed_in(tokens[0], now) is not None


def test_another_role_wants_a_new_proof(people: People, now: datetime) -> None:
    ana = people.create("ana", "Ana", Role.ADMIN, password=PASSWORD, actor=None, now=now)
    chief = people.actor_of(ana)
    bo = people.create("bo", "Bo", Role.MEMBER, password=PASSWORD, actor=chief, now=now)
    token, _ = people.sign_in("bo", PASSWORD, now)
    people.set_role(chief, bo.id, Role.OPERATOR, now)
    view = people.signed_in(token, now)
    assert view is not None
    assert view.person.role is Role.OPERATOR
    assert not is_proved(view, now)


# Keys


def test_a_key_has_its_scopes_its_end_and_says_when_it_was_used(
    people: People, mia: Actor, now: datetime
) -> None:
    for wrong in ({"scopes": []}, {"days": 0}, {"days": 9999}):
        with pytest.raises(InvalidError, match="api-key"):
            people.make_api_key(mia, "lamp", now, **wrong)
    _, secret = people.make_api_key(mia, "lamp", now, [Scope.READ], days=1)
    holder = people.api_actor(secret, now + MINUTE)
    assert holder is not None
    assert (holder.actor, holder.scopes) == (replace(mia, seat=""), {Scope.READ})
    (key,) = people.api_keys(mia)
    assert (key.used_at, key.expires_at) == (now + MINUTE, now + DAY)
    people.api_actor(secret, now + 5 * MINUTE, touch=False)
    assert people.api_keys(mia)[0].used_at == now + MINUTE
    assert people.api_actor(secret, now + DAY) is None


# An OpenID provider's word

PROVIDER = Provider(
    issuer="https://id.example",
    client_id="fab",
    client_secret="s",
    name="Example",
    roles={"staff": Role.ADMIN, "crew": Role.OPERATOR, "all": Role.MEMBER},
    highest=Role.OPERATOR,
    otherwise=None,
    sign_up=True,
)


@pytest.fixture
def outside(workshop: Workshop, people: People) -> Outside:
    return Outside(workshop, people)


def test_a_newcomer_is_made_once_and_found_by_subject_alone(
    workshop: Workshop, people: People, outside: Outside, now: datetime
) -> None:
    word = OutsideWord("s-1", "Mia M.", "Mia@example.org", ("all",))
    first = outside.enter(PROVIDER, word, now)
    renamed = OutsideWord("s-1", "Other", "other", ("all",))
    assert outside.enter(PROVIDER, renamed, now) == first
    assert people.get(first).login == "mia"
    # Who calls themselves by another's name there is not that other here.
    second = outside.enter(PROVIDER, OutsideWord("s-2", "Mia M.", "mia", ("all",)), now)
    assert second != first
    assert people.get(second).login == "mia-2"


def test_somebody_who_is_here_is_never_taken_over_by_a_name(
    people: People, outside: Outside, mia: Actor, now: datetime
) -> None:
    word = OutsideWord("evil", "Mia", "mia", ("all",))
    assert outside.enter(PROVIDER, word, now) != mia.person_id
    closed = Provider("https://id.example", "fab", "s", "Example")
    with pytest.raises(InvalidError, match=r"outside\.unknown"):
        outside.enter(closed, OutsideWord("s-9", "Mia", "mia"), now)


def test_groups_give_roles_up_to_what_the_lab_allows_and_admins_stay(
    workshop: Workshop, people: People, outside: Outside, now: datetime
) -> None:
    ana = people.create("ana", "Ana", Role.ADMIN, password=PASSWORD, actor=None, now=now)
    bo = outside.enter(PROVIDER, OutsideWord("b", "Bo", "bo", ("all", "staff")), now)
    assert people.get(bo).role is Role.OPERATOR  # never admin
    outside.enter(PROVIDER, OutsideWord("b", "Bo", "bo", ("all",)), now)
    assert people.get(bo).role is Role.MEMBER
    with pytest.raises(InvalidError, match="no-group"):
        outside.enter(PROVIDER, OutsideWord("b", "Bo", "bo", ("else",)), now)
    outside.link(ana.id, PROVIDER, OutsideWord("a", "Ana", "ana"), now)
    outside.enter(PROVIDER, OutsideWord("a", "Ana", "ana", ("all",)), now)
    assert people.get(ana.id).role is Role.ADMIN
    assert Happened.ROLE_BY_OUTSIDE in told(workshop, bo)


def test_a_subject_belongs_to_one_person_and_nobody_loses_their_only_way(
    workshop: Workshop,
    people: People,
    outside: Outside,
    mia: Actor,
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    word = OutsideWord("s", "Mia", "mia", ("all",))
    outside.link(mia.person_id, PROVIDER, word, now)
    other = add_person(workshop, "otto")
    with pytest.raises(InvalidError, match="taken"):
        outside.link(other.person_id, PROVIDER, word, now)
    with pytest.raises(InvalidError, match="only-way"):
        outside.unlink(mia.person_id, now)
    people.set_password(mia.person_id, PASSWORD, now)
    outside.unlink(mia.person_id, now)
    with workshop.database.read() as session:
        assert session.scalars(select(OutsideIdentity)).all() == []


def test_who_is_locked_out_does_not_come_in_by_another_house(
    workshop: Workshop, people: People, outside: Outside, now: datetime
) -> None:
    chief = people.actor_of(
        people.create("ana", "Ana", Role.ADMIN, password=PASSWORD, actor=None, now=now)
    )
    bo = outside.enter(PROVIDER, OutsideWord("b", "Bo", "bo", ("all",)), now)
    people.disable(chief, bo, now)
    with pytest.raises(InvalidError, match="locked"):
        outside.enter(PROVIDER, OutsideWord("b", "Bo", "bo", ("all",)), now)
    with workshop.database.read() as session:
        assert session.scalars(select(SignIn)).all() == []


# Shared computers


@pytest.fixture
def stations(workshop: Workshop) -> Workstations:
    return Workstations(workshop, Queue(workshop))


def program(note: str = "") -> io.BytesIO:
    return io.BytesIO(f"G21\nG28\nM84\n; {note}\n".encode())


def test_what_a_shared_computer_sends_is_nobodys_until_one_member_claims_it(
    workshop: Workshop,
    stations: Workstations,
    mia: Actor,
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
    now: datetime,
) -> None:
    add_machine(workshop, "ender")
    otto, gus = add_person(workshop, "otto", Role.OPERATOR), add_person(workshop, "gus", Role.GUEST)
    with pytest.raises(NotAllowedError):
        stations.make(mia, "Corner", now)
    station, key = stations.make(otto, "Corner", now)
    assert stations.known(key, now) == station
    assert stations.known(key + "x", now) is None
    upload = stations.bring(station, "../../etc/cube\x00.gcode", program(), "ender", now)
    (shown,) = stations.unclaimed(mia, now)
    assert (shown.name, shown.workstation) == ("cube .gcode", "Corner")
    assert stations.unclaimed(gus, now) == []
    with pytest.raises(NotAllowedError):
        stations.claim(gus, upload, now)
    job = stations.claim(mia, upload, now)
    assert job.mine
    with pytest.raises(NotFoundError):
        stations.claim(otto, upload, now)
    assert list((workshop.work_dir / "unclaimed").iterdir()) == []
    stations.revoke(otto, station, now)
    assert stations.known(key, now) is None


def test_of_many_who_claim_at_once_one_gets_it(
    workshop: Workshop, stations: Workstations, add_person: Callable[..., Actor], now: datetime
) -> None:
    import threading

    otto = add_person(workshop, "otto", Role.OPERATOR)
    crowd = [add_person(workshop, f"m{number}") for number in range(6)]
    station, _ = stations.make(otto, "Corner", now)
    upload = stations.bring(station, "a.gcode", program(), "", now)
    gate, got = threading.Barrier(6), []

    def claim(actor: Actor) -> None:
        gate.wait(20)
        try:
            got.append(stations.claim(actor, upload, now))
        except NotFoundError:
            got.append(None)

    threads = [threading.Thread(target=claim, args=(one,)) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert len(got) == 6
    assert sum(one is not None for one in got) == 1


def test_a_file_that_is_nothing_stays_to_be_thrown_away_and_old_ones_go(
    workshop: Workshop,
    stations: Workstations,
    mia: Actor,
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    otto = add_person(workshop, "otto", Role.OPERATOR)
    station, _ = stations.make(otto, "Corner", now)
    bad = stations.bring(station, "a.exe", io.BytesIO(b"MZ\x00\x01" * 9), "", now)
    with pytest.raises(InvalidError, match="not-understood"):
        stations.claim(mia, bad, now)
    assert [one.id for one in stations.unclaimed(mia, now)] == [bad]
    stations.throw_away(mia, bad, now)
    old = stations.bring(station, "b.gcode", program(), "", now)
    with pytest.raises(NotFoundError):
        stations.claim(mia, old, now + KEPT)
    with workshop.database.write() as session:
        assert drop_unclaimed(session, workshop, now + KEPT, 100) == 1
    assert list((workshop.work_dir / "unclaimed").iterdir()) == []
    with pytest.raises(InvalidError, match="empty"):
        stations.bring(station, "c.gcode", io.BytesIO(b""), "", now)
    assert list((workshop.work_dir / "unclaimed").iterdir()) == []
