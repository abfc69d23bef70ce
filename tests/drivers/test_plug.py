"""What is asked of a plug, and what its answers mean; plugs are real servers of this process."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import HostError
from drivers.plug import Ask, Maker, Told, is_plug, parse_plug, path_of, read_answer
from drivers.plug_http import MAX_ANSWER_BYTES, PATIENCE_S, STEP_S, Question
from drivers.plug_login import Login, read_challenge
from drivers.plug_switch import HOLD_S, PlugSwitch, PlugWord
from tests.drivers.plugs import MAKERS, ShellyGen2, Tasmota

_MOMENT = 0.002  # for a server of this process to answer [s]


class Clock:
    """Time that passes while a question is under way, and is skipped between two."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def until(self, switch, done, patience=60.0):
        """Let time pass until *done*."""
        end = self.now + patience
        while not done():
            assert self.now < end, (switch.word, switch.trouble)
            if self.now >= switch.deadline():
                switch.tick(self.now)
            if switch.deadline() - self.now < 2 * STEP_S:
                time.sleep(_MOMENT)
                self.now += STEP_S
            else:
                self.now = min(switch.deadline(), end)

    def drive(self, switch, seconds):
        """Let time pass."""
        with contextlib.suppress(AssertionError):
            self.until(switch, lambda: False, seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=sorted(MAKERS))
def plug(request, clock):
    with MAKERS[request.param](clock) as server:
        yield server


@pytest.fixture
def switch_of():
    """Return what makes the switch of a server; each is let go of at the end."""
    made = []

    def make(server, login=None, *, holds=True):
        made.append(PlugSwitch(parse_plug(server.address), login, holds=holds))
        return made[-1]

    yield make
    for switch in made:
        switch.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shelly-gen1:plug.local", "form"),
        ("shelly-gen1:8.8.8.8", "outside"),
        ("tasmota:169.254.169.254", "outside"),
        ("tasmota:[2001:db8::1]", "outside"),
        ("tasmota:10.0.0.300", "address"),
        ("tasmota:10.0.0.3:70000", "port"),
        ("tasmota:10.0.0.3/0", "relay"),
        ("shelly-gen2:10.0.0.3/16", "relay"),
        ("hue:10.0.0.3", "maker"),
        ("tasmota:10.0.0.3/1?x", "form"),
        ("tasmota:10.0.0.3@8.8.8.8", "form"),
        ("", "form"),
    ],
)
def test_an_address_that_is_not_of_this_house_is_refused_with_what_is_wrong(text, reason):
    with pytest.raises(HostError, match=r"host\.bad_plug") as caught:
        parse_plug(text)
    assert caught.value.fields["reason"] == reason


@given(
    st.sampled_from(list(Maker)),
    st.sampled_from(["10.1.2.3", "192.168.0.9", "172.31.0.1", "fd00::5", "127.0.0.1"]),
    st.integers(1, 65535),
    st.integers(1, 15),
)
def test_what_was_read_is_written_again(maker, host, port, relay):
    shown = f"[{host}]" if ":" in host else host
    where = "saw" if maker.endswith("-mqtt") else f"{shown}:{port}"
    plug = parse_plug(f"{maker}:{where}/{relay}")
    assert parse_plug(str(plug)) == plug
    assert is_plug(str(plug))
    assert all(path_of(plug, ask, 10).isascii() for ask in Ask)


@given(st.sampled_from(list(Maker)), st.sampled_from(list(Ask)), st.binary(max_size=200))
def test_any_answer_is_read_or_refused(maker, ask, body):
    plug = parse_plug(f"{maker}:{'saw' if maker.endswith('-mqtt') else '10.0.0.1'}")
    with contextlib.suppress(HostError):
        assert isinstance(read_answer(plug, ask, body), Told)


def test_a_plug_comes_on_when_asked_and_stays_on_while_it_is_renewed(plug, clock, switch_of):
    switch = switch_of(plug)
    clock.drive(switch, 0.3)
    assert (switch.word, plug.history) == (PlugWord.OFF, [])
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    assert plug.history == [True]
    clock.drive(switch, 60.0)
    assert (switch.is_on, plug.is_on) == (True, True)
    renewals = [path for path in plug.asked if "timer=" in path or "toggle" in path or "Pu" in path]
    assert len(renewals) >= 18


def test_a_plug_that_nobody_renews_goes_off_by_itself(plug, clock, switch_of):
    switch = switch_of(plug)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    clock.now += HOLD_S + 0.5  # as long as a host stalls
    assert not plug.is_on
    clock.until(switch, lambda: switch.word is PlugWord.OFF)
    assert switch.take_loss() is not None
    clock.drive(switch, 60.0)
    assert plug.history == [True, False]


def test_switching_off_is_confirmed_by_the_plug_and_looked_at_again(plug, clock, switch_of):
    switch = switch_of(plug, holds=False)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    switch.off()
    assert switch.word is PlugWord.TURNING_OFF
    clock.until(switch, lambda: switch.word is PlugWord.OFF)
    assert not switch.is_at_rest
    plug.press(on=True)  # as an old request that arrives late
    clock.until(switch, lambda: switch.is_at_rest)
    assert plug.history == [True, False, True, False]


def test_a_plug_that_is_off_is_never_turned_on_by_a_renewal(plug, clock, switch_of):
    switch = switch_of(plug)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    plug.press(on=False)
    clock.until(switch, lambda: switch.take_loss() is not None)
    clock.drive(switch, 60.0)
    assert plug.history == [True, False]
    assert switch.word is PlugWord.OFF


@pytest.mark.parametrize("name", ["shelly-gen2", "tasmota"])
def test_a_hand_that_is_faster_than_the_renewal_wins(name, clock, switch_of):
    """Switched off between the question and the renewal: Tasmota stays off, Gen2 goes off again."""
    with MAKERS[name](clock) as plug:
        switch = switch_of(plug)
        switch.on()
        clock.until(switch, lambda: switch.is_on)

        def press(path):
            if "toggle_after" in path or "PulseTime" in path:
                plug.before = lambda path: None
                plug.press(on=False)

        plug.before = press
        clock.until(switch, lambda: switch.take_loss() is not None)
        clock.until(switch, lambda: switch.word is PlugWord.OFF)
        assert not plug.is_on
        blip = [True, False] if name == "shelly-gen2" else []
        assert plug.history == [True, False, *blip]


@pytest.mark.parametrize(
    ("name", "habit"),
    [
        *(("shelly-gen1", one) for one in ("on", "last", "switch")),
        *(("shelly-gen2", one) for one in ("on", "restore_last", "match_input")),
        *(("tasmota", one) for one in (1, 2, 3, 4, 5)),
    ],
)
def test_a_plug_that_would_come_on_by_itself_is_not_switched_on(name, habit, clock, switch_of):
    with MAKERS[name](clock) as plug:
        plug.habit = habit
        switch = switch_of(plug)
        switch.on()
        lost = []
        clock.until(switch, lambda: lost.append(switch.take_loss()) or lost[-1] is not None)
        assert (lost[-1].code, str(habit) in str(lost[-1].fields["reason"])) == (
            "host.plug_habit",
            True,
        )
        assert plug.history == []


def test_a_plug_that_is_out_of_reach_counts_as_lost_when_its_time_is_over(plug, clock, switch_of):
    switch = switch_of(plug)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    plug.close()
    begun = clock.now
    clock.until(switch, lambda: switch.take_loss() is not None)
    assert HOLD_S - 4.0 <= clock.now - begun <= HOLD_S
    assert not plug.is_on or clock.now - begun < HOLD_S
    assert switch.word in (PlugWord.NOT_OFF, PlugWord.TURNING_OFF)


def test_switching_off_goes_on_until_the_plug_is_in_reach(plug, clock, switch_of):
    switch = switch_of(plug, holds=False)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    plug.answer = (503, b"busy")
    switch.off()
    clock.until(switch, lambda: switch.word is PlugWord.NOT_OFF)
    assert plug.is_on
    plug.answer = None
    clock.until(switch, lambda: switch.word is PlugWord.OFF)
    assert plug.history == [True, False]


def test_a_plug_that_wants_a_password_says_so(plug, clock, switch_of):
    plug.answer = (401, b"")
    switch = switch_of(plug)
    switch.on()
    clock.until(switch, lambda: switch.trouble is not None)
    assert switch.trouble.code == "host.plug_locked"


LOGIN = Login("admin", "j:ö ker")


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_plug_with_a_password_is_switched_and_renewed(plug, clock, switch_of, algorithm, forgets):
    plug.password, plug.algorithm, plug.forgets = LOGIN.password, algorithm, forgets
    switch = switch_of(plug, LOGIN)
    switch.on()
    clock.until(switch, lambda: switch.is_on)
    clock.drive(switch, 60.0)
    assert switch.is_on
    assert plug.is_on
    switch.off()
    clock.until(switch, lambda: switch.word is PlugWord.OFF)
    assert plug.history == [True, False]
    if not forgets:
        # One challenge serves all questions of a Gen2; the others are told with each.
        assert plug.refused == (1 if plug.spec == "shelly-gen2" else 0)


def test_a_wrong_password_is_said_and_not_tried_for_ever(plug, clock, switch_of):
    plug.password = "another"
    switch = switch_of(plug, LOGIN)
    switch.on()
    clock.until(switch, lambda: switch.trouble is not None)
    assert switch.trouble.code == "host.plug_locked"
    assert plug.refused <= 2
    assert plug.history == []


def test_the_password_stands_in_no_path_and_no_sentence(plug, clock, switch_of):
    plug.password = LOGIN.password
    for answer in (None, (500, b"x"), (200, b"[]")):
        plug.answer = answer
        switch = switch_of(plug, LOGIN)
        switch.on()
        clock.drive(switch, 10.0)
        said = [repr(LOGIN), str(switch.trouble), repr(switch.trouble), str(switch.take_loss())]
        assert not any(LOGIN.password in text for text in (*said, *plug.asked))
    assert plug.asked


@given(value=st.text(max_size=300))
def test_whatever_a_plug_asks_is_a_challenge_that_can_be_answered_or_none(value):
    asked = read_challenge(f"Digest {value}")
    if asked is not None:
        header = LOGIN.digest(asked, "/x", 1, "c")
        assert header.isascii()
        assert "\r" not in header
        assert "\n" not in header
        assert LOGIN.password not in header


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_may_come_in_pieces(chunked):
    with Tasmota() as plug:
        plug.chunked = chunked
        asking = Question(parse_plug(plug.address), "/cm?cmnd=Power1", 0.0)
        for _ in range(5000):
            if (body := asking.step(0.1)) is not None:
                break
            time.sleep(0.001)
        assert body == b'{"POWER": "OFF"}'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, b"x" * (MAX_ANSWER_BYTES + 1)), "host.plug_answer"),
        ((302, b""), "host.plug_answer"),
        ((200, b"[1]"), "host.plug_answer"),
        ((200, b'{"output":"yes"}'), "host.plug_answer"),
        ((200, b"[" * 10_000), "host.plug_answer"),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_nothing_is_followed(answer, code, clock, switch_of):
    with ShellyGen2(clock) as plug:
        plug.answer = answer
        switch = switch_of(plug)
        clock.until(switch, lambda: switch.trouble is not None)
        assert switch.trouble.code == code
        assert switch.word is PlugWord.UNKNOWN
        assert len(plug.asked) == 1


def test_no_question_waits(plug, clock, switch_of):
    """Deaf or gone, a plug costs its owner no more than a moment at a time."""
    plug.is_deaf = True
    switch = switch_of(plug)
    longest = 0.0
    while clock.now < PATIENCE_S + 1.0 and switch.trouble is None:
        before = time.thread_time()
        switch.tick(clock.now)
        longest = max(longest, time.thread_time() - before)
        time.sleep(_MOMENT)
        clock.now += STEP_S
    assert switch.trouble.code == "host.plug_silent"
    assert longest < 0.05
