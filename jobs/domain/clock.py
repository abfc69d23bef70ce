"""May the node believe its own clock? Decided from what the computer says, beat by beat.

A wrong clock expires what has not run out and takes bookings from people who are on time; until
one source vouches for it, nothing may run out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

JUMP: Final = timedelta(seconds=60)  # beside the steady count: less is the drift of a cheap crystal
GAP: Final = timedelta(minutes=3)  # between two sound beats: then the node was down
BEAT_S: Final = 30.0  # between two beats
STALE: Final = timedelta(minutes=5)  # after the last beat: a jump may lie between
_BACK: Final = timedelta(seconds=5)  # that a clock may be steered back between two beats


class Source(StrEnum):
    """Who vouches for the clock; the pages have a sentence each (`clock.<word>`)."""

    NETWORK = "network"  # NTP, in this run of the computer
    HARDWARE = "hardware"  # a clock with a battery, not before the newest instant known
    PERSON = "person"  # somebody's word, until the computer restarts or the clock jumps
    SETTING = "setting"  # node.toml
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the computer says of its clock at one instant.

    :param steady: since the computer started, asleep or not; no setting of the clock moves it.
    :param boot: names this run of the computer.
    :param is_synchronised: the kernel or the time service says that NTP has set it.
    :param has_hardware_clock: there is a clock that runs without power.
    :param is_vouched: node.toml says that the clock is right.
    """

    now: datetime
    steady: timedelta
    boot: str
    is_synchronised: bool = False
    has_hardware_clock: bool = False
    is_vouched: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """What is kept of the newest beat.

    :param sound_at: the newest instant at which the clock was trusted; None before the first.
    """

    at: datetime
    steady: timedelta
    boot: str
    source: Source
    sound_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one reading means.

    :param jump: how far the clock went beside the steady count; None if it did not jump.
    :param down_from: since when nobody vouched for any instant, if that was long.
    """

    beat: Beat
    jump: timedelta | None = None
    down_from: datetime | None = None


def judge(before: Beat | None, reading: Reading, *, word: bool = False) -> Judged:
    """Return who vouches for the clock now, and what happened since the beat before.

    :param word: a person says at this moment that the clock is right.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 4, tzinfo=UTC)
    >>> first = judge(None, Reading(at, timedelta(), "a", has_hardware_clock=True)).beat
    >>> first.source
    <Source.HARDWARE: 'hardware'>
    >>> later = Reading(at + timedelta(days=9), timedelta(seconds=30), "a", has_hardware_clock=True)
    >>> judge(first, later).beat.source
    <Source.NONE: 'none'>
    """
    is_same_boot = before is not None and before.boot == reading.boot
    jump: timedelta | None = None
    if before is not None and is_same_boot:
        jump = (reading.now - before.at) - (reading.steady - before.steady)
        jump = jump if abs(jump) > JUMP else None
    source = _source(before, reading, jump, word=word, is_same_boot=is_same_boot)
    sound_at = before.sound_at if before else None
    down_from: datetime | None = None
    if source is not Source.NONE:
        if sound_at is not None and reading.now - sound_at > GAP:
            down_from = sound_at
        sound_at = reading.now
    beat = Beat(reading.now, reading.steady, reading.boot, source, sound_at)
    return Judged(beat, jump, down_from)


def _source(
    before: Beat | None,
    reading: Reading,
    jump: timedelta | None,
    *,
    word: bool,
    is_same_boot: bool,
) -> Source:
    if reading.is_vouched:
        return Source.SETTING
    if reading.is_synchronised:
        return Source.NETWORK
    if word:
        return Source.PERSON
    if before is not None and is_same_boot:
        # Right once, it stays right while it runs steadily; lost once, only a word mends it.
        return Source.NONE if jump is not None else _carried(before.source)
    is_late_enough = before is None or before.sound_at is None or reading.now >= before.sound_at
    if reading.has_hardware_clock and is_late_enough:
        return Source.HARDWARE
    return Source.NONE


def _carried(source: Source) -> Source:
    """Return who still vouches while the clock runs on; a setting that was taken back does not."""
    return Source.NONE if source is Source.SETTING else source


def is_sound(beat: Beat | None, now: datetime) -> bool:
    """Return whether *now* may be believed. Without any beat its caller brings the time itself."""
    if beat is None:
        return True
    if beat.source is Source.NONE:
        return False
    return beat.at - _BACK <= now <= beat.at + STALE
