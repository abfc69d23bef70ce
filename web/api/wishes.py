"""What API requests may say, and the form of every "no"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from jobs.domain.notices import Way
from jobs.domain.people import Role
from jobs.services.approvals import Plea

ShortText = Annotated[str, StringConstraints(max_length=200)]
# Farther away an instant is a mistake, and sums on it overflow.
Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]


class ReasonsOut(BaseModel):
    """Every reason there is; none: it would pass."""

    reasons: list[dict[str, object]]


class WishIn(BaseModel):
    """What a request may say, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class PlanIn(WishIn):
    """On which machine and when a job is to start."""

    machine: ShortText
    start: Instant


class LetStartIn(WishIn):
    """On which machine a job may start all the same, and why."""

    machine: ShortText
    reason: Annotated[str, StringConstraints(max_length=500)]


class StartIn(WishIn):
    """Which job a person starts at the machine."""

    job_id: ShortText
    confirmed: list[ShortText] = []  # of the start checklist: `items` of start-check
    is_clear: bool = False  # the asker has looked: an arming for this start alone


class ProbeIn(WishIn):
    """The port whose board is asked who it is."""

    port: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class KeepHeatIn(WishIn):
    """For how long heat may stay on without a job."""

    minutes: Annotated[int, Field(ge=1, le=120)] = 30


class TraceIn(WishIn):
    """Whose outline, and whether a person has said that the way is free."""

    job_id: ShortText
    way_is_free: bool = False


class AnswerIn(WishIn):
    """Which prompt was read, by its number, and which of its choices, from 0."""

    prompt: int
    choice: Annotated[int, Field(ge=0, le=99)] = 0


class ResumeIn(WishIn):
    """Where to go on with an interrupted job; `layer` above 0 goes before `line`.

    `height_mm` is where the nozzle stands now; without it, where the program last had it.
    """

    line: Annotated[int, Field(ge=0)] = 0
    layer: Annotated[int, Field(ge=0)] = 0
    height_mm: Annotated[float, Field(ge=0, le=10_000)] | None = None


class ResumeConfirmIn(ResumeIn):
    """The same, and the hash of the plan that was read."""

    stream_sha256: ShortText


class PowerIn(WishIn):
    """Whether the heartbeat is to hold the machine's relay."""

    on: bool


class _PleaIn(WishIn):
    """What is said where a rule is against it.

    With `ask` staff decide, and the time is held until then; an operator's own `why` lets it pass.
    """

    ask: bool = False
    why: Annotated[str, StringConstraints(max_length=500)] = ""

    def plea(self) -> Plea:
        """Return it as the services take it."""
        return Plea(self.ask, self.why)


class BookIn(_PleaIn):
    """An interval on a machine."""

    machine: ShortText
    start: Instant
    end: Instant
    note: ShortText = ""
    for_person: ShortText = ""


class MoveIn(_PleaIn):
    """A booking's new interval."""

    start: Instant
    end: Instant


class AddressIn(WishIn):
    """Where to be told things: an e-mail address, or a topic of the lab's ntfy server."""

    way: Way
    target: Annotated[str, StringConstraints(max_length=254)]


class FindingIn(WishIn):
    """One finding, by its code and line."""

    code: ShortText
    line: int | None = None


class WaiveIn(WishIn):
    """Findings that may stand, and why; `preflight` is the examination that was read."""

    preflight: ShortText
    reason: Annotated[str, StringConstraints(max_length=500)]
    findings: Annotated[list[FindingIn], Field(max_length=100)]


class RetryIn(WishIn):
    """Why it went wrong: a word of the lab's list of causes, or one's own."""

    cause: ShortText


class CopyIn(WishIn):
    """Which copy of the mesh takes its place; `original` goes back."""

    # `copy` is a method of every model.
    copy_of_mesh: Literal["repaired", "unit", "turned", "original"] = Field(alias="copy")


class ByHandIn(WishIn):
    """At which machine it was done."""

    machine: ShortText | None = None


class FetchIn(WishIn):
    """A design in a commons."""

    source: ShortText
    ref: Annotated[str, StringConstraints(max_length=500)]


class JobFromDesignIn(WishIn):
    """A part of a design to make."""

    design: ShortText
    part: Annotated[str, StringConstraints(max_length=500)] | None = None
    machine: ShortText | None = None
    recipe: ShortText | None = None
    purpose: Literal["own", "internal", "client", "sale"] = "own"


class PersonIn(WishIn):
    """A new person; the answer carries the link that lets them in."""

    login: ShortText
    name: ShortText
    role: Role = Role.MEMBER
