"""An engine's memory as plain JSON, so that a transcript that begins in mid-conversation replays.

Only plain values travel, and they are put into an engine that was made in the ordinary way:
nothing in a file can make an object of a class of its choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum

from drivers.beside import Beside
from drivers.engine.base import StreamEngine
from drivers.engine.prompting import Prompting
from drivers.flow import CharacterCounting, Line, NumberedWindow, Part, Sent
from drivers.quality import LinkQuality

# Not memory of the conversation, or lines of a program, which may be somebody else's.
_OWN = frozenset(
    {"_profile", "_program", "_dialect", "_events", "_ahead", "_made", "_ready", "_stretch"}
)
_PLAIN = (bool, int, float, str, type(None))
_INSIDE = (Beside, CharacterCounting, NumberedWindow, LinkQuality, Prompting)


def dump(engine: StreamEngine) -> dict[str, object]:
    """Return what *engine* remembers, between two programs; what is not plain is left out."""
    return _attributes(engine)


def restore(engine: StreamEngine, state: Mapping[str, object]) -> None:
    """Have a new *engine* remember what `dump` wrote; keys it does not have are left aside."""
    _put(engine, state)


def _attributes(thing: object) -> dict[str, object]:
    found = {}
    for name, value in vars(thing).items():
        if name not in _OWN and (written := _write(value)) is not NotImplemented:
            found[name] = written
    return found


def _write(value: object) -> object:
    match value:
        case Enum():
            return {"name": value.name}
        case bool() | int() | float() | str() | None:
            return value
        case bytes() | bytearray():
            return {"bytes": value.decode("latin-1")}
        case Line():
            # A line of a program that is over may be somebody else's.
            text = "" if value.part is Part.PROGRAM else value.text.decode("latin-1")
            return {"line": [text, value.part.name, value.place, value.alone]}
        case Sent():
            return {"sent": [value.number, value.size, _write(value.line)]}
        case list() | tuple() | deque() | set() | frozenset():
            items = [_write(item) for item in value]
            return NotImplemented if NotImplemented in items else {"items": items}
        case dict():
            pairs = {str(key): _write(item) for key, item in value.items()}
            return NotImplemented if NotImplemented in pairs.values() else {"pairs": pairs}
    return {"inside": _attributes(value)} if isinstance(value, _INSIDE) else NotImplemented


def _put(thing: object, state: Mapping[str, object]) -> None:
    mine = vars(thing)
    for name, written in state.items():
        if name not in mine or name in _OWN:
            continue
        if isinstance(written, dict) and isinstance(inside := written.get("inside"), dict):
            _put(mine[name], inside)
        else:
            mine[name] = _read(written, mine[name])


def _read(written: object, like: object) -> object:
    """Return the value, of the kind that *like* is."""
    if isinstance(written, _PLAIN) or not isinstance(written, dict):
        return written
    match written:
        case {"name": str(name)} if isinstance(like, Enum):
            return type(like)[name]
        case {"bytes": str(text)}:
            data = text.encode("latin-1")
            return bytearray(data) if isinstance(like, bytearray) else data
        case {"line": [str(text), str(part), int(place), bool(alone)]}:
            return Line(text.encode("latin-1"), Part[part], place, alone)
        case {"sent": [int(number), int(size), dict(of)]} if isinstance(
            line := _read(of, None), Line
        ):
            return Sent(number, size, line)
        case {"items": list(items)}:
            read = [_read(item, None) for item in items]
            if isinstance(like, deque | set | frozenset):
                return type(like)(_frozen(item) for item in read)
            return read if isinstance(like, list) else tuple(read)
        case {"pairs": dict(pairs)}:
            return {key: _read(item, None) for key, item in pairs.items()}
    return like


def _frozen(item: object) -> object:
    return tuple(item) if isinstance(item, list) else item
