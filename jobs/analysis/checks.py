"""Checks: every reason not to run a program on a machine, all at once.

Each check is one class, fed piece by piece (see `target.Check`); `make_checks` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.beam import Beam
from jobs.analysis.extruding import Cold, Pushes
from jobs.analysis.heat import HeatLeftOn, Temperatures
from jobs.analysis.keepout import KeepOuts
from jobs.analysis.language import Commands, LongLines, Malformed
from jobs.analysis.limiting import Limits
from jobs.analysis.odd import Odd
from jobs.analysis.piece import Piece
from jobs.analysis.places import AXES
from jobs.analysis.target import Check, Tally, Target, block, note, person
from jobs.analysis.zeros import OFFSETS, Zero
from jobs.domain.preflight import Finding, FindingCode, Severity

# Rounding of the file's own decimals, and of arcs [mm].
_SLACK = 0.01
_MOST_FINDINGS = 100
_ORDER = (Severity.BLOCK, Severity.PERSON, Severity.NOTE)


def make_checks(target: Target, guessed: Callable[[], str]) -> list[Check]:
    """Return every check of a program for a machine.

    :param guessed: tells at the end which dialect the whole program seems to be written in.
    """
    odd = Odd(target.rules)
    return [
        WrongKind(target, guessed), Commands(target, odd), Malformed(target, odd),
        LongLines(target), *(Envelope(target, axis) for axis in range(3)),
        Temperatures(target, odd), Cold(target, odd), HeatLeftOn(target, odd), Pushes(target),
        Limits(target, odd), Spindle(target), Beam(target), SpindleLeftOn(target), Units(target),
        Feedrate(target), KeepOuts(target),
    ]  # fmt: skip


def findings_of(checks: Iterable[Check], others: Iterable[Finding] = ()) -> list[Finding]:
    """Return every finding, the gravest first and then by line, at most a hundred.

    :param others: that no check has made.
    """
    found = [*others, *(finding for check in checks for finding in check.finish())]
    found.sort(key=_rank)
    if len(found) <= _MOST_FINDINGS:
        return found
    # What is not shown can be let stand by nobody.
    left = len(found) - _MOST_FINDINGS + 1
    return [block(FindingCode.TOO_MANY_FINDINGS, count=left), *found[: _MOST_FINDINGS - 1]]


def _rank(finding: Finding) -> tuple[int, int, str, str]:
    command = str(finding.fields.get("command", ""))
    return _ORDER.index(finding.severity), finding.line or 0, finding.code.value, command


class WrongKind:
    """A program for another firmware, or for another kind of machine."""

    def __init__(self, target: Target, guessed: Callable[[], str]) -> None:
        self._target, self._guessed = target, guessed
        self._extrudes = self._cuts = False

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        self._extrudes = self._extrudes or bool((piece.moves.extruded > 0.0).any())
        self._cuts = self._cuts or bool(piece.moves.cutting().any())

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        wanted, guessed, kind = self._target.dialect, self._guessed(), self._target.kind
        if "unknown" not in (wanted, guessed) and wanted != guessed:
            yield block(FindingCode.WRONG_DIALECT, found=guessed, wanted=wanted)
            return
        if kind == "fdm" and self._cuts and not self._extrudes:
            yield block(FindingCode.WRONG_KIND, found="mill", wanted="fdm")
        if kind in ("mill", "laser") and self._extrudes:
            yield block(FindingCode.WRONG_KIND, found="fdm", wanted=kind)


class Envelope:
    """Places on one axis that the machine cannot reach.

    A printer's coordinates are the machine's own. On a mill a person sets the work zero: it is
    a point the tool stood at, so the program and its zero together must fit into the machine;
    each work offset has a zero of its own.
    """

    def __init__(self, target: Target, axis: int) -> None:
        self._axis = axis
        self._size = size = target.machine.envelope_mm[axis]
        low = target.machine.origin_mm[axis]
        self._fdm = target.kind == "fdm"
        self._places = _Beyond(low, low + size)
        # A work zero itself is within reach, so a mill's range begins with it.
        self._ranges = [_Range() for _ in OFFSETS]
        self._zero = Zero(axis)
        self._machine = _Beyond(-size, size)

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        place = moves.end[:, self._axis]
        if self._fdm:
            self._places.add(piece, moves.line, place)
            return
        offset = self._zero.feed(piece)
        for own in [offset] if isinstance(offset, int) else np.unique(offset).tolist():
            from_it = place if isinstance(offset, int) else np.where(offset == own, place, np.nan)
            self._ranges[own].add(piece, moves.line, from_it, self._size)
        lines = piece.blocks.commands.lines("G", 530)
        if len(lines):
            asked = piece.blocks.length(AXES[self._axis])[lines]
            self._machine.add(piece, lines, asked)

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding for machine coordinates and one for all others."""
        axis = AXES[self._axis]
        yield from self._places.findings(axis)
        yield from self._machine.findings(axis)
        wide = [one for one in self._ranges if one.line is not None]
        if not wide:
            return
        span = min(wide, key=lambda one: one.line or 0)
        # The side that reaches further from the work zero is the one that does not fit.
        above = span.high > -span.low
        yield block(
            FindingCode.OUTSIDE_ENVELOPE,
            span.line,
            axis=axis,
            at_mm=round(span.high if above else span.low, 3),
            low_mm=round(span.low if above else span.high - self._size, 3),
            high_mm=round(span.low + self._size if above else span.high, 3),
            count=sum(one.count for one in wide),
        )


class _Beyond:
    """Places outside two limits: how many, the first line, and the furthest."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self._tally = Tally()
        self._by = self._worst = 0.0

    def add(self, piece: Piece, line: Ints, place: Floats) -> None:
        by = np.maximum(self._low - place, place - self._high)
        out = np.flatnonzero(by > _SLACK)
        if len(out) == 0:
            return
        self._tally.add(piece, line[out])
        furthest = out[np.argmax(by[out])]
        if by[furthest] > self._by:
            self._by, self._worst = float(by[furthest]), float(place[furthest])

    def findings(self, axis: str) -> Iterator[Finding]:
        if self._tally.count:
            yield block(
                FindingCode.OUTSIDE_ENVELOPE,
                self._tally.line,
                axis=axis,
                at_mm=round(self._worst, 3),
                low_mm=round(self._low, 3),
                high_mm=round(self._high, 3),
                count=self._tally.count,
            )


class _Range:
    """From where to where places go, and where they first went too far apart."""

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.line: int | None = None
        self.count = 0

    def add(self, piece: Piece, line: Ints, place: Floats, size: float) -> None:
        known = np.flatnonzero(~np.isnan(place))
        if len(known) == 0:
            return
        at = place[known]
        low = np.minimum.accumulate(np.minimum(at, self.low))
        high = np.maximum.accumulate(np.maximum(at, self.high))
        wide = high - low > size + _SLACK
        # What lies outside the range that fitted last is what does not fit.
        out = wide & ((at <= low) | (at >= high))
        self.low, self.high = float(low[-1]), float(high[-1])
        if out.any():
            first = known[np.argmax(out)]
            self.line = self.line or piece.source(line[first])
            self.count += int(np.count_nonzero(out))


class _Most:
    """The largest of the values above a limit, how many, and the first line."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.value = 0.0

    def add(self, piece: Piece, lines: Ints, asked: Floats, limit: float) -> None:
        high = np.flatnonzero(asked > limit)
        if len(high):
            self.tally.add(piece, lines[high])
            self.value = max(self.value, float(asked[high].max()))


class Spindle:
    """Faster than the spindle turns."""

    def __init__(self, target: Target) -> None:
        self._limit = target.machine.spindle_max_rpm
        # A router with a switch of its own has no speed to exceed; CAM programs name one anyhow.
        self._applies = target.kind not in ("fdm", "laser") and self._limit > 0.0
        self._most = _Most()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if self._applies:
            speed = piece.blocks.column("S")
            self._most.add(piece, np.arange(len(speed)), speed, self._limit)

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        tally = self._most.tally
        if tally.count:
            yield block(
                FindingCode.SPINDLE_TOO_FAST,
                tally.line,
                asked_rpm=self._most.value,
                limit_rpm=self._limit,
                count=tally.count,
            )


class SpindleLeftOn:
    """Spindle or laser still on when the program ends."""

    def __init__(self, target: Target) -> None:
        # A beam that is left on burns one spot.
        self._finding = block if target.kind == "laser" else person
        self._line: int | None = None
        self._on = False

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        lines = piece.blocks.commands.lines("M", 30, 40)
        if len(lines):
            self._line = piece.source(lines[-1])
        if len(piece):
            self._on = bool(piece.blocks.spindle[-1])

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._on:
            yield self._finding(FindingCode.SPINDLE_LEFT_ON, self._line)


class Units:
    """A Grbl program that moves before it says inch or millimetre."""

    def __init__(self, target: Target) -> None:
        self._decided = target.dialect != "grbl"
        self._line: int | None = None

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if self._decided:
            return
        said = piece.blocks.commands.lines("G", 200, 210)
        moved = piece.moves.line
        if len(moved) and not (len(said) and said[0] <= moved[0]):
            self._line = piece.source(moved[0])
        self._decided = bool(len(moved) or len(said))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._line is not None:
            yield person(FindingCode.UNITS_MISSING, self._line)


class Feedrate:
    """Moves at a feedrate before any was given."""

    def __init__(self, target: Target) -> None:
        # Grbl stops with error 22; Marlin has a feedrate of its own.
        self._finding = block if target.dialect == "grbl" else note
        self._tally = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        without: Bools = ~moves.rapid & (moves.feedrate <= 0.0)
        self._tally.add(piece, moves.line[without])

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._tally.count:
            yield self._finding(FindingCode.NO_FEEDRATE, self._tally.line, count=self._tally.count)
