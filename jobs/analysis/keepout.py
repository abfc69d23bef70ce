"""Keep-out boxes: every move's way through the machine, G53 included, against what stands in it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, previous, track
from jobs.analysis.blocks import CLOCKWISE, COUNTER, Blocks
from jobs.analysis.piece import Piece, Reader
from jobs.analysis.places import AXES
from jobs.analysis.reading import Program
from jobs.analysis.target import Tally, Target, block
from jobs.domain.machine import MachineLimits
from jobs.domain.placing import SLACK, Box, keep_outs
from jobs.domain.preflight import Finding, FindingCode

_SYSTEMS = (*range(540, 600, 10), 591, 592, 593)  # G54 … G59.3
_HOMES = (280, 300)  # Grbl's way to a stored place
_STORES = (281, 301)
_KNOWN_SYSTEMS = 9


def crossing(start: Floats, end: Floats, box: Box) -> Bools:
    """Return which straight moves go through *box*; touching it is not.

    :param start, end: shape (n, 3) [mm]; NaN: anywhere on that axis, for nobody knows.

    >>> start, end = np.zeros((2, 3)), np.array([[9.0, 0, 0], [9.0, 9, 0]])
    >>> crossing(start, end, Box((4.0, 3.0, -1.0), (6.0, 7.0, 1.0)))
    array([False,  True])
    """
    # By slabs: on each axis the move is between the planes for a share of its way.
    enters, leaves = np.zeros(len(start)), np.ones(len(start))
    outside = np.zeros(len(start), np.bool_)
    for axis in range(3):
        low, high = box.low[axis] + SLACK, box.high[axis] - SLACK
        begin, way = start[:, axis], end[:, axis] - start[:, axis]
        known = ~np.isnan(way)
        still = known & (way == 0.0)
        outside |= still & ((begin <= low) | (begin >= high))
        goes = known & ~still
        divisor = np.where(goes, way, 1.0)
        one, other = (low - begin) / divisor, (high - begin) / divisor
        enters = np.where(goes, np.maximum(enters, np.minimum(one, other)), enters)
        leaves = np.where(goes, np.minimum(leaves, np.maximum(one, other)), leaves)
    inside: Bools = ~outside & (enters < leaves)
    return inside


class KeepOuts:
    """A printer's moves against the machine's boxes: its coordinates are the machine's own."""

    def __init__(self, target: Target) -> None:
        is_fdm = target.kind == "fdm"
        self._boxes = keep_outs(target.machine.keep_out_mm) if is_fdm else []
        self._tallies = [Tally() for _ in self._boxes]

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        for box, tally in zip(self._boxes, self._tallies, strict=True):
            tally.add(piece, moves.line[crossing(moves.start, moves.end, box)])

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding for each box."""
        for number, tally in enumerate(self._tallies, 1):
            if tally.count:
                code, count = FindingCode.IN_KEEP_OUT, tally.count
                yield block(code, tally.line, number=number, count=count)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a controller told at one moment, in machine coordinates [mm]; NaN: nobody knows.

    :param zeros: of G54 to G59.3, G92 and tool length counted in, shape (9, 3).
    :param before: of the system in force until the program names one, shape (3,).
    :param stored: where G28 and G30 lead, by their codes 280 and 300, shapes (3,).
    :param at: where the machine stands, shape (3,).
    """

    zeros: Floats
    before: Floats
    stored: Mapping[int, Floats]
    at: Floats


class Way(Reader):
    """A mill's way in machine coordinates with the offsets of one moment, held against it.

    :param reach: where the machine can go; asked of moves in machine coordinates, for all others
        are judged by their bounds.
    """

    def __init__(self, moment: Moment, reach: Box, boxes: Sequence[Box]) -> None:
        self._moment, self._reach, self._boxes = moment, reach, boxes
        self._stored = dict(moment.stored)
        self._at = moment.at.copy()
        self._is_named = False
        self._hits = [Tally() for _ in boxes]
        self._beyond: dict[str, tuple[int, float]] = {}

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        start, end, line, is_machine = self._follow(piece)
        for box, tally in zip(self._boxes, self._hits, strict=True):
            tally.add(piece, line[crossing(start, end, box)])
        for axis, letter in enumerate(AXES):
            place = np.where(is_machine, end[:, axis], np.nan)
            low, high = self._reach.low[axis] - SLACK, self._reach.high[axis] + SLACK
            out = np.flatnonzero((place < low) | (place > high))
            if len(out) and letter not in self._beyond:
                self._beyond[letter] = piece.source(line[out[0]]), float(place[out[0]])

    def told(self) -> dict[str, object]:
        """Return what was found: boxes by number, axes, each with its first stream line from 1."""
        return {
            "keep_outs": [
                {"number": number, "line": tally.line, "count": tally.count}
                for number, tally in enumerate(self._hits, 1)
                if tally.count
            ],
            "outside": [
                {"axis": axis, "line": line, "at_mm": round(at, 3)}
                for axis, (line, at) in self._beyond.items()
            ],
        }

    def _follow(self, piece: Piece) -> tuple[Floats, Floats, Ints, Bools]:
        """Return start, end, line and whether it is in machine coordinates, of each move."""
        moves, blocks = piece.moves, piece.blocks
        lines = moves.line
        ways_home = blocks.commands.lines("G", *_HOMES)
        at = np.searchsorted(lines, ways_home, side="right")
        zeros = self._zeros(blocks, lines, moves.work)
        relative = blocks.relative[lines] & ~moves.machine
        curved = np.isin(blocks.motion[lines], (CLOCKWISE, COUNTER))
        stored = self._places_stored(blocks, ways_home)
        end = np.empty((len(lines) + len(ways_home), 3))
        start = np.empty_like(end)
        for axis, letter in enumerate(AXES):
            named = blocks.has(letter)
            given = blocks.length(letter)[lines]
            way = moves.end[:, axis] - moves.start[:, axis]
            moved = (named[lines] | (way != 0.0)) & ~np.isnan(moves.end[:, axis])
            set_at = moved & ~relative & ~moves.machine
            set_to = moves.end[:, axis] + zeros[:, axis]
            own = moves.machine & named[lines]
            set_at, set_to = set_at | own, np.where(own, given, set_to)
            # After G53 the place in the program is not known, but a step still is one.
            step = np.where(np.isnan(way), np.where(curved, np.nan, given), way)
            lost = relative & named[lines] & np.isnan(step)
            set_at, set_to = set_at | lost, np.where(lost, np.nan, set_to)
            step = np.where(relative & ~lost, np.nan_to_num(step), 0.0)
            goes_home = named[ways_home] | ~_names_any(blocks)[ways_home]
            end[:, axis] = track(
                np.insert(set_at, at, goes_home),
                np.insert(set_to, at, stored[:, axis]),
                np.insert(step, at, 0.0),
                float(self._at[axis]),
            )
            start[:, axis] = previous(end[:, axis], float(self._at[axis]))
        if len(end):
            self._at = end[-1].copy()
        is_machine = np.insert(moves.machine, at, np.ones(len(at), np.bool_))
        return start, end, np.insert(lines, at, ways_home), is_machine

    def _zeros(self, blocks: Blocks, lines: Ints, work: Ints) -> Floats:
        zeros = self._moment.zeros[np.clip(work, 0, _KNOWN_SYSTEMS - 1)]
        if not self._is_named:
            named = blocks.commands.lines("G", *_SYSTEMS)
            self._is_named = len(named) > 0
            first = named[0] if len(named) else blocks.n
            zeros = np.where((lines < first)[:, None], self._moment.before, zeros)
        return zeros

    def _places_stored(self, blocks: Blocks, ways_home: Ints) -> Floats:
        if len(blocks.commands.lines("G", *_STORES)):
            self._stored = {}  # wherever it stood then
        unknown = np.full(3, np.nan)
        is_second = np.isin(ways_home, blocks.commands.lines("G", 300))
        first, second = (self._stored.get(code, unknown) for code in _HOMES)
        return np.where(is_second[:, None], second, first)


def _names_any(blocks: Blocks) -> Bools:
    named: Bools = blocks.has("X") | blocks.has("Y") | blocks.has("Z")
    return named


def judge_way(
    stream: Path,
    index: Path,
    machine: MachineLimits,
    dialect: str,
    moment: Moment,
    reach: Box,
) -> dict[str, object]:
    """Follow a stream through the machine, and return what stands in its way as JSON values.

    :param index: line of the upload of each stream line, by which what is found is named.
    """
    way = Way(moment, reach, keep_outs(machine.keep_out_mm))
    Program(io.BytesIO(stream.read_bytes()), machine, dialect).read([way])
    found = way.told()
    source = np.frombuffer(index.read_bytes(), "<u4")
    for one in (*_items(found, "keep_outs"), *_items(found, "outside")):
        # Lines that a resumed program got in front are of no upload: 0.
        one["line"] = int(source[min(int(str(one["line"])), len(source)) - 1])
    return found


def _items(found: Mapping[str, object], key: str) -> list[dict[str, object]]:
    value = found[key]
    assert isinstance(value, list)
    return value
