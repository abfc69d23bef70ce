"""The messages between a node and a machine host: newline-delimited JSON, bounded.

A request carries `id` and `do`; its answer carries the same number as `re`, and `ok`. A host
pushes `hello` first, and then `event` and `state` to whoever asked for them. Unknown keys are
ignored by both sides, so that either may learn a word before the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.errors import WireError

PROTOCOL = 1
MAX_MESSAGE_BYTES = 64 * 1024
CHUNK_BYTES = 32 * 1024  # of a program in one message; base64 makes it 43 KiB


class Do(StrEnum):
    """What a node may ask of a host; after each word what it carries."""

    HELLO = "hello"  # protocol, software, machine "", run ""
    LOAD_BEGIN = "load_begin"  # program (SHA-256), stream_bytes, index_bytes; answers loaded
    LOAD_CHUNK = "load_chunk"  # program, part (stream or index), data (base64)
    LOAD_END = "load_end"  # program
    START = "start"  # run, program, preflight {id, … verdict, waivers}, arming, seal
    PAUSE = "pause"  # by
    RESUME = "resume"  # by
    CANCEL = "cancel"  # by
    OFFSETS = "offsets"  # have an idle controller tell its work offsets; the state has them then
    ANSWER = "answer"  # prompt (its number), choice (0 for the first), by
    STOP = "stop"  # by
    COMMAND = "command"  # line
    KEEP_HEAT = "keep_heat"  # by, seconds: have heat on without a run for a while
    ACT = "act"  # order (see drivers.acts), by
    RECONNECT = "reconnect"  # close the port and open it again
    IDENTIFY = "identify"  # beep or show a text
    OWN_BOARD = "own_board"  # by: the board that is there is the machine's own from now on
    POWER = "power"  # on, by: begin or end the heartbeat that holds the machine's relay
    PRESENT = "present"  # by: a person is at the machine while its beam burns
    POWER_REST = "power_rest"  # by, seconds, below_c: the mains go off once it has cooled
    RELEASE = "release"  # by: nobody uses it by hand
    STATE = "state"  # answers state
    EVENTS = "events"  # run, after: facts of that run up to this one are known already
    ACK = "ack"  # run, seq
    RETIRE = "retire"  # exit, if no run is open


# These words mean the same in every protocol, past and future: whatever its age, a node can
# watch a host, stop its machine, take over its records and let it go when it is idle.
FROZEN = frozenset({Do.HELLO, Do.STATE, Do.EVENTS, Do.STOP, Do.ACK, Do.RETIRE})


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of either side.

    :param run: the open run, "" if there is none; a node says "".
    """

    protocol: int
    software: str
    machine: str
    run: str = ""

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "protocol": self.protocol,
            "software": self.software,
            "machine": self.machine,
            "run": self.run,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Hello:
        """Read what `to_json` wrote, by this protocol or another.

        :raises WireError: if a value is missing or of another type.
        """
        return cls(
            whole_of(values, "protocol"),
            text_of(values, "software"),
            text_of(values, "machine"),
            text_of(values, "run"),
        )


@dataclass(frozen=True, slots=True)
class HostEvent:
    """Something that happened at a machine, told once.

    :param run: the run it belongs to, "" outside any.
    :param seq: 1, 2, 3 … within the run for a *fact*, which is kept until it is acknowledged;
        0 for what is only told to those who listen now.
    :param at_us: wall time [µs since 1970, UTC].
    """

    run: str
    seq: int
    at_us: int
    kind: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values, the fields beside the identity."""
        return {
            **self.fields,
            "run": self.run,
            "seq": self.seq,
            "at_us": self.at_us,
            "kind": self.kind,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> HostEvent:
        """Read what `to_json` wrote.

        :raises WireError: if the identity is incomplete.
        """
        identity = ("run", "seq", "at_us", "kind")
        return cls(
            text_of(values, "run"),
            whole_of(values, "seq"),
            whole_of(values, "at_us"),
            text_of(values, "kind"),
            {key: value for key, value in values.items() if key not in identity},
        )


def encode(message: Mapping[str, object]) -> bytes:
    r"""Return a message as one line.

    :raises WireError: if it is longer than `MAX_MESSAGE_BYTES`.

    >>> encode({"id": 1, "do": "stop"})
    b'{"id":1,"do":"stop"}\n'
    """
    line = json.dumps(message, separators=(",", ":")).encode()
    _check_length(line)
    return line + b"\n"


def decode(line: bytes) -> dict[str, object]:
    """Read one line.

    :raises WireError: if it is too long or not a JSON object.
    """
    _check_length(line)
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError("wire.not_json", reason=type(error).__name__) from error
    if not isinstance(message, dict):
        raise WireError("wire.not_an_object", found=type(message).__name__)
    return message


class Framer:
    """Cut a stream of bytes into messages, however the socket sliced it.

    The first bad line ends the conversation, but what came whole before it still counts:
    a *stop* must not be lost because garbage followed it.
    """

    def __init__(self) -> None:
        self._partial = bytearray()
        self.broken: WireError | None = None  # why nothing more will be read

    def feed(self, data: bytes) -> list[dict[str, object]]:
        """Return the messages that are whole now.

        :raises WireError: if an earlier line was bad; look at `broken` to know at once.
        """
        if self.broken is not None:
            raise self.broken
        *lines, rest = (bytes(self._partial) + data).split(b"\n")
        self._partial = bytearray(rest)
        messages: list[dict[str, object]] = []
        try:
            for line in lines:
                if line.strip():
                    messages.append(decode(line))
            _check_length(rest)
        except WireError as error:
            self.broken = error
            self._partial.clear()
        return messages


def _check_length(line: bytes) -> None:
    if len(line) >= MAX_MESSAGE_BYTES:
        raise WireError("wire.too_long", bytes=len(line), limit_bytes=MAX_MESSAGE_BYTES)


def text_of(message: Mapping[str, object], key: str) -> str:
    """Return a text of a message.

    :raises WireError: if it is missing or no text.
    """
    value = message.get(key)
    if not isinstance(value, str):
        raise WireError("wire.bad_value", key=key, wanted="text")
    return value


def whole_of(message: Mapping[str, object], key: str) -> int:
    """Return a whole number of a message.

    :raises WireError: if it is missing or no whole number.
    """
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WireError("wire.bad_value", key=key, wanted="whole number")
    return value


def object_of(message: Mapping[str, object], key: str) -> dict[str, object]:
    """Return an object of a message.

    :raises WireError: if it is missing or no object.
    """
    value = message.get(key)
    if not isinstance(value, dict):
        raise WireError("wire.bad_value", key=key, wanted="object")
    return value
