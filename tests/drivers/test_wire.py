"""Messages survive any slicing, and no peer can make a host hold more than its bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import WireError
from drivers.wire import (
    FROZEN,
    MAX_MESSAGE_BYTES,
    Do,
    Framer,
    Hello,
    HostEvent,
    decode,
    encode,
    object_of,
    text_of,
    whole_of,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
MESSAGES = st.lists(st.dictionaries(st.text(max_size=8), PLAIN, max_size=4), max_size=5)


@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_messages_come_out_as_they_went_in_however_the_socket_cuts_them(messages, cuts):
    data = b"".join(encode(message) for message in messages)
    framer = Framer()
    got, at, turn = [], 0, 0
    while at < len(data):  # bounded: every cut takes at least one byte
        size = cuts[turn % len(cuts)]
        got += framer.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert got == messages
    assert framer.broken is None


@given(noise=st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_messages_or_a_refusal_never_anything_else(noise):
    framer = Framer()
    for data in noise:
        if framer.broken is not None:
            with pytest.raises(WireError):
                framer.feed(data)
        else:
            assert all(isinstance(message, dict) for message in framer.feed(data))


def test_a_line_without_end_is_refused_at_the_bound():
    framer = Framer()
    held = 0
    for _ in range(10):
        framer.feed(b"x" * 10_000)
        held += 10_000
        if framer.broken is not None:
            break
    assert framer.broken is not None
    assert framer.broken.code == "wire.too_long"
    assert held <= MAX_MESSAGE_BYTES + 10_000


def test_a_stop_before_garbage_still_counts():
    framer = Framer()
    assert framer.feed(b'{"id":1,"do":"stop"}\n\xff\xfe garbage\n') == [{"id": 1, "do": "stop"}]
    assert framer.broken is not None


def test_a_message_too_long_to_be_read_is_not_sent():
    with pytest.raises(WireError, match=r"wire\.too_long"):
        encode({"text": "x" * MAX_MESSAGE_BYTES})


@pytest.mark.parametrize("line", [b"[" * 60_000, b"[]", b"1", b"nonsense", b"1" * 9000, b"\xff"])
def test_a_line_that_is_no_object_is_refused(line):
    with pytest.raises(WireError):
        decode(line)


@given(
    event=st.builds(
        HostEvent,
        run=st.text(max_size=10),
        seq=st.integers(0, 10**6),
        at_us=st.integers(0, 2**60),
        kind=st.text(max_size=10),
        fields=st.dictionaries(
            st.text(max_size=5).filter(lambda key: key not in ("run", "seq", "at_us", "kind")),
            st.integers() | st.text(max_size=5),
        ),
    )
)
def test_an_event_is_the_same_after_its_journey(event):
    assert HostEvent.from_json(event.to_json()) == event


def test_a_greeting_of_another_age_is_read_as_long_as_it_has_the_four_words():
    future = {"protocol": 9, "software": "x", "machine": "m", "run": "", "colour": "green"}
    assert Hello.from_json(future) == Hello(9, "x", "m")
    with pytest.raises(WireError, match="protocol"):
        Hello.from_json({**future, "protocol": "9"})


def test_values_of_the_wrong_type_are_named():
    with pytest.raises(WireError, match="key=by"):
        text_of({"by": 3}, "by")
    with pytest.raises(WireError, match="key=seq"):
        whole_of({"seq": True}, "seq")
    with pytest.raises(WireError, match="key=state"):
        object_of({"state": []}, "state")


def test_the_frozen_words_are_these_for_ever():
    """Taking one out breaks every host that runs an earlier release."""
    assert {str(word) for word in FROZEN} >= {"hello", "state", "events", "stop", "ack"}
    assert Do("stop") is Do.STOP
