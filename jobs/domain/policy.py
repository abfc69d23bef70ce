"""Rules: each "no" is a value with a reason, and all reasons come at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Role, is_at_least


class Reason(StrEnum):
    """Stable codes of every "no"; the catalogue has one sentence each (`reason.<code>`)."""

    # booking
    TAKEN = "taken"  # start, end
    IN_THE_PAST = "in-the-past"
    TOO_SHORT = "too-short"  # minutes
    TOO_LONG = "too-long"  # hours
    TOO_FAR_AHEAD = "too-far-ahead"  # days
    ROLE_TOO_LOW = "role-too-low"  # needed
    BOOKING_HIDDEN = "booking-hidden"
    MACHINE_RETIRED = "machine-retired"
    NOT_YOURS = "not-yours"
    ALREADY_ENDED = "already-ended"
    # queue and dispatch
    NOT_ARMED = "not-armed"
    MACHINE_BUSY = "machine-busy"  # state
    MACHINE_OFFLINE = "machine-offline"
    BLOCKED_BY_PREFLIGHT = "blocked-by-preflight"
    NOT_PREPARED = "not-prepared"
    NEEDS_PERSON = "needs-person"  # count
    FINDINGS_CHANGED = "findings-changed"
    NOTHING_TO_WAIVE = "nothing-to-waive"
    NO_ROOM_BEFORE = "no-room-before"  # at
    PERSON_MUST_START = "person-must-start"
    NOT_CONFIRMED = "not-confirmed"  # item
    NOT_HOMED = "not-homed"
    LASER_MODE = "laser-mode"  # wanted: on, off
    OFFSETS_UNKNOWN = "offsets-unknown"  # code
    OUTSIDE_NOW = "outside-now"  # axis, at_mm, low_mm, high_mm
    IN_KEEP_OUT = "in-keep-out"  # number, line
    WAY_UNKNOWN = "way-unknown"
    CHECKLIST_FIRST = "checklist-first"
    RESUME_CHANGED = "resume-changed"
    WRONG_STATE = "wrong-state"  # state, wanted
    NO_SUCH_CONTROL = "no-such-control"  # control
    NO_CAPABLE_MACHINE = "no-capable-machine"
    RESERVED_FOR_ANOTHER = "reserved-for-another"
    IN_USE_BY_HAND = "in-use-by-hand"  # why
    LOOK_FIRST = "look-first"
    OTHER_BOARD = "other-board"
    UNPROTECTED_HEAT = "unprotected-heat"
    SUPPLY_LOW = "supply-low"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, the values of its sentence, and when it would pass, where that is known."""

    reason: Reason
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    passes_at: datetime | None = None
    overridable: bool = False


@dataclass(frozen=True, slots=True)
class BookingRules:
    """What the lab allows of bookings; generous by default."""

    shortest: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=72)
    horizon: timedelta = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """Everything the booking rules look at."""

    start: datetime
    end: datetime
    now: datetime
    role: Role
    machine_retired: bool = False
    booking_hidden: bool = False
    taken_until: datetime | None = None  # end of what lies in the way, if anything


def booking_refusals(
    facts: BookingFacts,
    rules: BookingRules = BookingRules(),
) -> Iterator[Refusal]:
    """Every reason not to book. None: book."""
    length = facts.end - facts.start
    if facts.booking_hidden:
        yield Refusal(Reason.BOOKING_HIDDEN)
    if facts.machine_retired:
        yield Refusal(Reason.MACHINE_RETIRED)
    if not is_at_least(facts.role, Role.MEMBER):
        yield Refusal(Reason.ROLE_TOO_LOW, {"needed": Role.MEMBER.value}, overridable=True)
    if facts.start < facts.now - timedelta(minutes=5):
        yield Refusal(Reason.IN_THE_PAST)
    if length < rules.shortest:
        yield Refusal(Reason.TOO_SHORT, {"minutes": int(rules.shortest.total_seconds() // 60)})
    if length > rules.longest:
        hours = int(rules.longest.total_seconds() // 3600)
        yield Refusal(Reason.TOO_LONG, {"hours": hours}, overridable=True)
    if facts.start > facts.now + rules.horizon:
        yield Refusal(
            Reason.TOO_FAR_AHEAD,
            {"days": rules.horizon.days},
            passes_at=facts.start - rules.horizon,
            overridable=True,
        )
    if facts.taken_until is not None:
        yield Refusal(Reason.TAKEN, passes_at=facts.taken_until)


@dataclass(frozen=True, slots=True)
class StartFacts:
    """Everything that decides whether a job may start on a machine now."""

    control: Control
    state: MachineState
    is_armed: bool
    is_prepared: bool
    is_blocked: bool
    must_be_started_by_person: bool
    started_by_person: bool
    ends_at: datetime  # now plus the promise
    next_claim_at: datetime | None = None  # of somebody else
    in_use: str = ""  # by hand: heat, motion or boot
    has_other_board: bool = False
    lacks_heat_guard: bool = False  # its firmware says that it has no thermal protection
    supply_is_low: bool = False  # of the node's own computer
    unwaived: int = 0  # findings that need a person's word and have none


def start_refusals(facts: StartFacts) -> Iterator[Refusal]:
    """Every reason not to start. None: go."""
    if facts.control is not Control.SERIAL:
        yield Refusal(Reason.NO_SUCH_CONTROL, {"control": facts.control.value})
    if not facts.is_prepared:
        yield Refusal(Reason.NOT_PREPARED)
    if facts.is_blocked:
        yield Refusal(Reason.BLOCKED_BY_PREFLIGHT)
    elif facts.unwaived:
        yield Refusal(Reason.NEEDS_PERSON, {"count": facts.unwaived})
    if facts.has_other_board:
        yield Refusal(Reason.OTHER_BOARD)
    elif facts.in_use:
        yield Refusal(Reason.IN_USE_BY_HAND, {"why": facts.in_use})
    elif facts.state is MachineState.OFFLINE:
        yield Refusal(Reason.MACHINE_OFFLINE)
    elif facts.state not in (MachineState.IDLE, MachineState.RESERVED, MachineState.TO_CHECK):
        yield Refusal(Reason.MACHINE_BUSY, {"state": facts.state.value})
    if not facts.is_armed:
        yield Refusal(Reason.NOT_ARMED)
    if facts.must_be_started_by_person and not facts.started_by_person:
        yield Refusal(Reason.PERSON_MUST_START)
    elif facts.lacks_heat_guard and not facts.started_by_person:
        yield Refusal(Reason.UNPROTECTED_HEAT)
    if facts.supply_is_low:
        yield Refusal(Reason.SUPPLY_LOW)
    if facts.next_claim_at is not None and facts.ends_at > facts.next_claim_at:
        yield Refusal(Reason.NO_ROOM_BEFORE, {"at": facts.next_claim_at.isoformat()})
