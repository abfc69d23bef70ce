"""Rules: each "no" is a value with a reason, and all reasons come at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from jobs.domain.machine import Control, MachineState


class Reason(StrEnum):
    """Stable codes of every "no"; the catalogue has one sentence each (`reason.<code>`)."""

    # booking
    TAKEN = "taken"  # start, end
    IN_THE_PAST = "in-the-past"
    TOO_SHORT = "too-short"  # minutes
    TOO_LONG = "too-long"  # length_min
    TOO_FAR_AHEAD = "too-far-ahead"  # days
    ROLE_TOO_LOW = "role-too-low"  # needed
    BOOKING_HIDDEN = "booking-hidden"
    MACHINE_RETIRED = "machine-retired"
    NOT_YOURS = "not-yours"
    ALREADY_ENDED = "already-ended"
    OUT_OF_SERVICE = "out-of-service"  # until
    NOT_QUALIFIED = "not-qualified"
    QUALIFICATION_ENDS = "qualification-ends"  # at
    NOT_ACCEPTED = "not-accepted"  # sort, of
    TEXT_CHANGED = "text-changed"
    DAY_QUOTA = "day-quota"  # day, used_min, quota_min
    WEEK_QUOTA = "week-quota"  # day, used_min, quota_min
    TOO_MANY_BOOKINGS = "too-many-bookings"  # count
    TOO_CLOSE = "too-close"  # length_min
    SET_UP = "set-up"  # length_min
    CLOSED_THEN = "closed-then"  # hours
    HOLIDAY = "holiday"  # name, day
    NEEDS_OTHERS = "needs-others"  # count, here
    CREDITS_SHORT = "credits-short"  # needed, balance
    NEEDS_APPROVAL = "needs-approval"  # hours
    STAY_ENDS = "stay-ends"  # at
    MACHINE_NOT_NAMED = "machine-not-named"
    NO_CONSENT = "no-consent"
    NEEDS_SUPERVISOR = "needs-supervisor"
    NO_FREE_SEAT = "no-free-seat"
    TRAINING_NOT_HELD = "training-not-held"
    TRAINING_CONFLICT = "training-conflict"  # machine, from, to
    OFFER_OVER = "offer-over"
    WAITS_ALREADY = "waits-already"
    WAITS_TOO_OFTEN = "waits-too-often"  # count
    NOT_BEGUN = "not-begun"
    BEGUN = "begun"
    SWAP_CHANGED = "swap-changed"
    OWN_SWAP = "own-swap"
    SKIPPED_TIME = "skipped-time"
    # queue and dispatch
    NOT_ARMED = "not-armed"
    MACHINE_BUSY = "machine-busy"  # state
    MACHINE_OFFLINE = "machine-offline"
    MATERIAL_HALOGENATED = "material-halogenated"  # material
    MATERIAL_NOT_LISTED = "material-not-listed"  # material, listed
    MATERIAL_UNSAID = "material-unsaid"  # listed
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
    FIRE_WATCH = "fire-watch"  # at
    NO_BEAM = "no-beam"
    NO_VIGIL = "no-vigil"
    INTERLOCK_OPEN = "interlock-open"  # inputs
    USED_BY_ANOTHER = "used-by-another"
    NO_USE = "no-use"
    NO_ACTOR = "no-actor"
    OFFSETS_UNKNOWN = "offsets-unknown"  # code
    OUTSIDE_NOW = "outside-now"  # axis, at_mm, low_mm, high_mm
    IN_KEEP_OUT = "in-keep-out"  # number, line
    WAY_UNKNOWN = "way-unknown"
    CHECKLIST_FIRST = "checklist-first"
    BEFORE_USE = "before-use"  # machine
    RESUME_CHANGED = "resume-changed"
    WRONG_STATE = "wrong-state"  # state, wanted
    NO_SUCH_CONTROL = "no-such-control"  # control
    NO_CAPABLE_MACHINE = "no-capable-machine"
    RESERVED_FOR_ANOTHER = "reserved-for-another"
    IN_USE_BY_HAND = "in-use-by-hand"  # why
    LOOK_FIRST = "look-first"
    NOT_PRESENT = "not-present"  # machine
    KEY_NOT_PRESENT = "key-not-present"
    OTHER_BOARD = "other-board"
    UNPROTECTED_HEAT = "unprotected-heat"
    SUPPLY_LOW = "supply-low"
    # contests
    CONTEST_LATE = "contest-late"  # days
    CONTESTED = "contested"
    INVOLVED = "involved"
    CHECKLIST_CHANGED = "checklist-changed"
    OTHER_MATERIAL = "other-material"  # slot, has, wants
    OTHER_COLOUR = "other-colour"  # slot, has_colour, wants_colour
    NOT_ENOUGH_LEFT = "not-enough-left"  # slot, left_g, wants_g
    LOADED_DOUBTED = "loaded-doubted"  # slot
    OTHER_NOZZLE = "other-nozzle"  # tool, has_mm, wants_mm
    OTHER_PLATE = "other-plate"  # has, wants
    TOO_SMALL = "too-small"  # has, wants: sizes
    AFTER_ANOTHER = "after-another"  # number
    PLANNED = "planned"  # machine, at
    UNATTENDED_NEVER = "unattended-never"
    MUST_END_BEFORE_CLOSING = "must-end-before-closing"  # at


class WayKind(StrEnum):
    """What a person can do so that a reason falls away (`way.<kind>` in the catalogue)."""

    LATER = "later"  # start, end
    EARLIER = "earlier"  # start, end
    SHORTER = "shorter"  # start, end
    LONGER = "longer"  # start, end
    ASK_AGAIN = "ask-again"  # at: from when the same wish passes
    OTHER_MACHINE = "other-machine"  # start, end, ref: its slug, name
    TRAINING = "training"  # at, ref: its id, name, count: free seats
    GIVE_BACK = "give-back"  # ref: id of an own booking, start, end
    COME_TOGETHER = "come-together"  # count: people who must be here
    LOAD = "load"  # name: of the material
    SAY_LOADED = "say-loaded"
    MAP_SLOTS = "map-slots"
    CHECKLIST = "checklist"  # ref: its id, name: of the machine
    ACCEPT = "accept"  # ref: of its page, name: what it is for
    TOP_UP = "top-up"  # count: minor units that are missing, name: the same as an amount
    ASK_STAFF = "ask-staff"
    PROLONG = "prolong"
    NAME_MACHINE = "name-machine"
    CONSENT = "consent"
    SUPERVISOR = "supervisor"
    TYPE_CODE = "type-code"  # ref: slug, name: of the machine
    USE_KIOSK = "use-kiosk"  # name: of the device
    SET_UP_DISPLAY = "set-up-display"  # name: of the machine


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a "yes".

    :param clears: whether no other reason stands in this way.
    """

    kind: WayKind
    start: datetime | None = None
    end: datetime | None = None
    at: datetime | None = None
    ref: str = ""
    name: str = ""
    count: int = 0
    clears: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, the values of its sentence, and what would make it pass.

    :param passes_at: the first later start, or the first moment to ask again, at which this
        reason is gone; None where time alone changes nothing.
    :param overridable: staff may let it pass, with a reason that is kept.
    """

    reason: Reason
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    passes_at: datetime | None = None
    overridable: bool = False
    ways: tuple[Way, ...] = ()


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
