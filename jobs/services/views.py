"""What services hand to pages and the API: frozen values, instants in UTC, units in names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.credentials import Way
from jobs.domain.job import AttemptState, HoldReason, InputKind, JobState, StepName, StepState
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.people import Role
from jobs.domain.policy import Refusal
from jobs.domain.preflight import Finding, Verdict
from jobs.domain.priority import Part
from jobs.domain.switching import UNSAID, Switching
from jobs.services.live import NO_WATCH, LivePlug, LivePrompt, LiveWatch, Temperature


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person without secrets."""

    id: str
    login: str
    name: str
    role: Role
    simulated: bool
    has_password: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class SignInView:
    """A valid sign-in: who, and the token that forms must carry.

    :param seat: what it is kept as.
    :param id: names it on pages; no secret.
    :param proved_at: when the person last proved who they are.
    """

    person: PersonView
    csrf: str
    expires_at: datetime
    seat: str
    id: str
    way: Way
    device: str
    created_at: datetime
    seen_at: datetime
    proved_at: datetime | None


@dataclass(frozen=True, slots=True)
class ArmingView:
    """Who said that the machine is clear, and until when that holds."""

    person_name: str
    at: datetime
    expires_at: datetime
    simulated: bool


@dataclass(frozen=True, slots=True)
class RunView:
    """What a machine is making now.

    :param progress: fraction 0-1 by planned seconds, not by bytes.
    :param remaining_s: with an even chance of being enough; nine runs in ten keep the P90.
    :param rests_on_runs: finished runs on this machine that both rest on.
    """

    job_id: str
    job_number: int
    job_title: str
    attempt_id: str
    state: AttemptState
    progress: float
    remaining_s: float | None
    remaining_p90_s: float | None
    rests_on_runs: int
    ends_at: datetime | None
    line: int  # of the uploaded file
    acked: int
    total: int
    resends: int
    mine: bool


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine as its card shows it."""

    id: str
    slug: str
    name: str
    kind: str
    control: Control
    profile: str | None
    port: str | None
    baud: int | None
    limits: MachineLimits
    state: MachineState
    phase: str
    firmware: str
    message: str
    prompt: LivePrompt | None
    notice: str
    step: str  # of a pause
    tool: int  # that a tool change waits for, 0 outside one
    back_mm: Mapping[str, float]  # to be jogged by axis before it goes on with that tool
    temperatures: Mapping[str, Temperature]
    position_mm: tuple[float, ...] | None
    spindle_on: bool
    run: RunView | None
    armed: ArmingView | None
    to_check: bool
    stopped: bool
    heat_off_s: float | None  # until heat that nobody uses is switched off; None: nothing to do
    heat_kept_by: str
    power: bool | None  # all that heartbeat and plugs hold is on; None: there is none
    plugs: Mapping[str, str]  # how the plug of each part stands, `drivers.plug_switch.PlugWord`
    in_use: str  # why somebody seems to use it by hand; "" if nobody
    differs: Sequence[str]  # what is not as learned of its own board
    identity: Mapping[str, str]
    next_taken: Interval | None  # the next reservation or run from now on
    free_now_until: datetime | None  # None: taken now; far future: open-ended
    stop_note: str
    simulated: bool
    retired: bool
    controller: str = ""
    overrides: Mapping[str, int] = field(default_factory=dict)  # percent
    acts: tuple[str, ...] = ()  # legal in its state; who may is another question
    homed: bool = False
    laser: bool | None = None
    told: Mapping[str, bool | float] = field(default_factory=dict)  # of its settings
    switching: Switching = UNSAID
    watch: LiveWatch = NO_WATCH
    plugs_said: Mapping[str, LivePlug] = field(default_factory=dict)
    power_off_s: float | None = None
    is_used: bool = False  # a person has opened a use of it
    watched_until: datetime | None = None  # for fire; None: nobody has to


@dataclass(frozen=True, slots=True)
class PortView:
    """A serial port of the node's computer, told without opening it.

    :param profiles: a guess by its USB chip.
    :param holder: the program that has it open, as far as can be seen.
    :param machine: slug of our machine that it belongs to, "" for none.
    """

    port: str
    device: str
    usb: str
    serial_number: str
    usb_position: str
    description: str
    profiles: Sequence[str]
    machine: str
    holder: str = ""
    holder_pid: int | None = None


@dataclass(frozen=True, slots=True)
class ProbeView:
    """What the board at a port has said of itself.

    :param state: `asking`, `done` or `failed`.
    :param profile: the one that fits best, "" if none does.
    :param code: of what went wrong, with its fields.
    """

    port: str
    state: str
    profile: str = ""
    baud: int | None = None
    dialect: str = ""
    firmware: str = ""
    uuid: str = ""
    machine_type: str = ""
    text: Sequence[str] = ()
    code: str = ""
    fields: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineEventView:
    """One line of a machine's book; `kind` is a word of `Happening`."""

    at: datetime
    kind: str
    person_name: str
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AllocationView:
    """One entry of a calendar. `label` is only what this viewer may see."""

    id: str
    machine_slug: str
    kind: AllocationKind
    state: AllocationState
    interval: Interval
    mine: bool
    label: str
    job_id: str | None
    displaced_reason: str | None = None
    asked_until: datetime | None = None  # staff have to answer first, until then
    series_id: str | None = None  # told to its own person
    checked_in: bool = False
    missed: bool = False  # nobody came
    shows_name: bool = False


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One local day of one machine: what is taken and what is free, cut to the day."""

    date: str  # YYYY-MM-DD in the lab's zone
    day: Interval
    allocations: Sequence[AllocationView]
    free: Sequence[Interval]
    set_up: Sequence[Interval] = ()  # kept free beside others' time, for whoever looks


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a job's way."""

    name: StepName
    state: StepState
    started_at: datetime | None
    ended_at: datetime | None
    detail: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class WaiverView:
    """A person's written word that one finding may stand."""

    code: str
    line: int | None
    text: str
    fields: Mapping[str, object]
    reason: str
    by: str
    at: datetime
    program_sha256: str
    limits_sha256: str

    @property
    def key(self) -> tuple[str, int | None]:
        """Return what it names of a finding."""
        return self.code, self.line


@dataclass(frozen=True, slots=True)
class PromiseView:
    """How long a run will take: with an even chance, and kept by nine runs in ten.

    :param runs: finished runs on that machine that it rests on.
    """

    p50_s: float
    p90_s: float
    runs: int


@dataclass(frozen=True, slots=True)
class PreflightView:
    """What was found for one machine."""

    machine_slug: str
    machine_name: str
    verdict: Verdict
    findings: Sequence[Finding]
    planned_s: float
    promise: PromiseView | None
    mass_g: float
    filament_mm: float
    stream_lines: int
    report: Mapping[str, object]
    id: str = ""
    program_sha256: str = ""
    open_findings: Sequence[Finding] = ()  # those that need a person's word and have none
    waivers: Sequence[WaiverView] = ()


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One run of the job, past or present."""

    id: str
    machine_slug: str
    machine_name: str
    state: AttemptState
    started_at: datetime
    ended_at: datetime | None
    acked: int
    sent: int
    total: int
    line: int
    resends: int
    machine_s: float
    armed_by: str | None
    reason: str | None
    record_id: str | None
    detail: Mapping[str, str | int | float] = field(default_factory=dict)  # numbers of the reason
    promise: PromiseView | None = None  # as it was made at the start
    talk: Sequence[TalkView] = field(default=())


@dataclass(frozen=True, slots=True)
class TalkView:
    """What was asked and said during a run; the texts are a machine's and not to be trusted.

    :param kind: `prompted`, `replied`, `paused` or `resumed`.
    """

    kind: str
    at: datetime
    text: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True)
class DesignView:
    """A design from the commons that is in the library."""

    id: str
    title: str
    version: str
    licence: str
    licensor: str
    source: str
    description: str
    printable: Sequence[str]
    problems: Sequence[Mapping[str, str]]
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class ForeseenView:
    """When a waiting job is expected to start and end, with an even chance and nine times in ten.

    :param machine_slug: where, if all goes as the queue stands.
    :param moves: how often its owner was told that it moved.
    """

    machine_slug: str
    start_p50: datetime
    start_p90: datetime
    end_p50: datetime
    end_p90: datetime
    made_at: datetime
    moves: int


@dataclass(frozen=True, slots=True)
class PlaceView:
    """A waiting job's place in the queue: the sum of its parts [points].

    :param machine_slug: the machine that speaks best for it now.
    """

    points: float
    parts: Sequence[Part]
    machine_slug: str


@dataclass(frozen=True, slots=True)
class GroupPart:
    """To which group a job belongs, and how far that is."""

    id: str
    title: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job in a list."""

    id: str
    number: int
    title: str
    owner_id: str
    owner_name: str
    kind: str
    machine_slug: str | None  # wished for
    state: JobState
    hold_reason: HoldReason | None
    input_kind: InputKind
    input_name: str
    created_at: datetime
    queued_at: datetime | None
    ended_at: datetime | None
    planned_s: float | None
    promise: PromiseView | None  # none where nobody can tell
    mass_g: float | None
    position: int | None  # in the queue, from 1
    run: RunView | None
    mine: bool
    may: frozenset[
        str
    ]  # of: hold, release, cancel, retry, started, finished, failed, pause, resume
    simulated: bool
    place: PlaceView | None = None  # of one that waits and that some machine may take
    foreseen: ForeseenView | None = None
    group: GroupPart | None = None
    made_ready: bool = False  # its kind of machine is started by a person who stands there


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job's page."""

    job: JobView
    steps: Sequence[StepView]
    findings: Sequence[Finding]  # on the input
    preflights: Sequence[PreflightView]
    attempts: Sequence[AttemptView]
    design: DesignView | None
    recipe: str | None
    report: Mapping[str, object]
    waits_for: Sequence[tuple[str, Sequence[Refusal]]] = field(default=())  # (slug, refusals)
    records: Sequence[RecordView] = field(default=())


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture that a slicer put into a program, checked and written anew.

    :param format: `png` or `jpg`.
    """

    path: Path
    format: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class CarriedProgram:
    """The file that a person carries to a machine without a host.

    :param path: where it lies; named by its hash, never to be written.
    :param name: what to call it on a card.
    """

    path: Path
    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RecordView:
    """One link of the ledger, as people read it."""

    seq: int
    id: str
    digest: str
    made_at: datetime
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LedgerVerdict:
    """What verifying the chain gave; `bad_seq` is the first broken link.

    :param since: the record up to which an earlier look had verified it, of which this one makes
        use; 0: all of it was verified now.
    :param since_at: when that was.
    """

    ok: bool
    records: int
    head: str
    bad_seq: int | None = None
    problem: str | None = None  # code: hash, prev, signature, sequence, body
    since: int = 0
    since_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HealthView:
    """How the node is: facts for /healthz and the health page."""

    ok: bool
    database: str
    broker: str  # connected, away, none
    outbox_waiting: int
    slicer: str | None
    sandbox_namespaces: bool
    hosts: Mapping[str, str]  # slug → phase
    version: str
    supply: str = "ok"  # low: its voltage is too low now; was-low: it was since the start
