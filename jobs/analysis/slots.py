"""A stream whose tools draw from other slots: every number of a tool in it, and no other byte.

What names a tool is read from the family's rules. Whatever else has a `T` is not guessed at: the
program then keeps its own slots, and the finding says which line stands in the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from jobs.analysis.stream import Stream
from jobs.analysis.target import block, person
from jobs.domain.preflight import Finding, FindingCode
from jobs.domain.rulebook import ToolWords
from jobs.domain.slots import permutation

_TOOL = re.compile(rb"T(-?[0-9]+)((?:[A-SU-Z]-?[0-9.]*)*)")
_COMMAND = re.compile(rb"([GM])0*([0-9]+(?:\.[0-9]+)?)(?![0-9.])(.*)", re.DOTALL)
_WORDS = re.compile(rb"(?: ?[A-Z]-?[0-9.]*)*")
_DRAWS = re.compile(rb"(?m)^[^\nET]*G0*[0-3](?![0-9.])[^\nE]*E")
_CHOOSES = re.compile(rb"(?m)^T[0-9]")
# Texts for people, in which a letter is a letter.
_TEXTS = (b"M117", b"M118", b"M0", b"M1")
_HEATS = (b"M104", b"M109")
_FANS = (b"M106", b"M107")


class Renumbering:
    """Writes a stream anew, run by run, and keeps what speaks against it.

    :param slots: tool → slot; completed to a permutation, so that no two tools meet.
    :param words: which words of which commands name a tool.
    """

    def __init__(self, slots: Mapping[int, int], words: ToolWords) -> None:
        self._to = permutation(slots)
        self._moves_first = self._to[0] != 0
        self._tools = {key.encode(): word.encode() for key, word in words.tools.items()}
        self._others = frozenset(one.encode() for one in words.others)
        self._fixed = [
            (command.encode(), word.encode())
            for command, _, word in (one.partition(" ") for one in words.fixed)
        ]
        heads = {*self._tools, *(one for one, _ in self._fixed), *_HEATS, *_FANS}
        self._looked_for = re.compile(
            rb"(?m)^(?:[^\nT]*T|(?:%s)(?![0-9]))[^\n]*" % b"|".join(map(re.escape, sorted(heads)))
        )
        self._named = False  # a tool has been chosen
        self._why: Finding | None = None
        self._heat: dict[bytes, Finding] = {}
        self._fan: Finding | None = None

    def apply(self, run: Stream) -> Stream:
        """Return a run with other numbers; its lines are as many, and in the same places."""
        self._look_for_draw(run)
        parts: list[bytes] = []
        done, line, counted = 0, 0, 0
        for found in self._looked_for.finditer(run.data):
            line += run.data.count(b"\n", counted, found.start())
            counted = found.start()
            new = self._line(found[0], int(run.source_line[line]))
            if new != found[0]:
                parts += (run.data[done : found.start()], new)
                done = found.end()
        return replace(run, data=b"".join([*parts, run.data[done:]])) if parts else run

    def finish(self) -> Iterator[Finding]:
        """Return why the program cannot draw from other slots, or what a person has to know."""
        if self._why is not None:
            yield self._why
        elif self._fan is not None and b"T" in self._heat:
            yield self._fan
        elif b"" in self._heat:
            yield self._heat[b""]

    def _look_for_draw(self, run: Stream) -> None:
        """Find what draws before a tool is named: from where, the program leaves to the machine."""
        if self._named or not self._moves_first:
            return
        drawn, chosen = _DRAWS.search(run.data), _CHOOSES.search(run.data)
        if drawn is None or (chosen is not None and chosen.start() < drawn.start()):
            return
        source = int(run.source_line[run.data.count(b"\n", 0, drawn.start())])
        self._refused(b"", source, drawn[0], FindingCode.SLOTS_UNNAMED)

    def _line(self, text: bytes, source: int) -> bytes:
        if text.startswith(b"T"):
            return self._chosen(text, source)
        command = _COMMAND.fullmatch(text)
        if command is None:
            return self._refused(text, source, text) if b"T" in text else text
        name = command[1] + command[2]
        if name in _TEXTS:
            return text
        rest = command[3]
        if any(one == name and (not word or word in rest) for one, word in self._fixed):
            return self._refused(text, source, name)
        self._note(name, rest, source)
        word = self._tools.get(name)
        if word is None or word not in rest:
            is_tool = b"T" in rest and name not in self._others
            return self._refused(text, source, name) if is_tool else text
        if not _WORDS.fullmatch(rest):
            return self._refused(text, source, name)
        head = text[: command.start(3)]
        return head + re.sub(
            rb"%s(-?[0-9.]*)" % word, lambda one: word + self._number(one[1], source, name), rest
        )

    def _chosen(self, text: bytes, source: int) -> bytes:
        found = _TOOL.fullmatch(text)
        if found is None:
            return self._refused(text, source, text)
        self._named = True
        return b"T" + self._number(found[1], source, b"T" + found[1]) + found[2]

    def _number(self, text: bytes, source: int, name: bytes) -> bytes:
        """Return another number for a tool's; -1, which is none, stays."""
        if text.startswith(b"-"):
            return text
        if not text.isdigit() or int(text) >= len(self._to):
            self._refused(text, source, name)
            return text
        return b"%d" % self._to[int(text)]

    def _note(self, name: bytes, rest: bytes, source: int) -> None:
        if name in _HEATS:
            key = b"T" if b"T" in rest else b""
            is_early = not self._named and self._moves_first
            if key or is_early:
                said = person(FindingCode.SLOTS_HEAT, source, command=_shown(name))
                self._heat.setdefault(key, said)
        elif name in _FANS and b"P" in rest and self._fan is None:
            # Whose fan it is is told by its number, which may or may not be the tool's.
            self._fan = block(FindingCode.SLOTS_FIXED, source, command=_shown(name + b" P"))

    def _refused(
        self,
        text: bytes,
        source: int,
        name: bytes,
        code: FindingCode = FindingCode.SLOTS_FIXED,
    ) -> bytes:
        if self._why is None:
            self._why = block(code, source, command=_shown(name))
        return text


def _shown(name: bytes) -> str:
    return name[:24].decode("ascii", "replace")
