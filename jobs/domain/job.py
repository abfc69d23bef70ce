"""Jobs, attempts and steps: their states and the legal ways between them."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """A job is a wish to make something once."""

    PREPARING = "preparing"
    WAITING = "waiting"
    HELD = "held"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """An attempt is one run of a job on one machine."""

    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


JOB_STEPS: dict[JobState, frozenset[JobState]] = {
    JobState.PREPARING: frozenset(
        {JobState.WAITING, JobState.HELD, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.WAITING: frozenset(
        {JobState.HELD, JobState.RUNNING, JobState.PREPARING, JobState.CANCELLED}
    ),
    JobState.HELD: frozenset({JobState.WAITING, JobState.PREPARING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.DONE, JobState.FAILED, JobState.HELD, JobState.CANCELLED, JobState.WAITING}
    ),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.PREPARING}),  # try again
    JobState.CANCELLED: frozenset(),
}

ATTEMPT_STEPS: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.PREPARING: frozenset(
        {
            AttemptState.RUNNING,
            AttemptState.FAILED,
            AttemptState.CANCELLED,
            AttemptState.INTERRUPTED,
        }
    ),
    AttemptState.RUNNING: frozenset(
        {
            AttemptState.PAUSED,
            AttemptState.FINISHED,
            AttemptState.FAILED,
            AttemptState.CANCELLED,
            AttemptState.INTERRUPTED,
        }
    ),
    AttemptState.PAUSED: frozenset(
        {
            AttemptState.RUNNING,
            AttemptState.FAILED,
            AttemptState.CANCELLED,
            AttemptState.INTERRUPTED,
            AttemptState.FINISHED,
        }
    ),
    AttemptState.FINISHED: frozenset(),
    AttemptState.FAILED: frozenset(),
    AttemptState.CANCELLED: frozenset(),
    AttemptState.INTERRUPTED: frozenset(),
}


def may_become(now: JobState, then: JobState) -> bool:
    """Return whether a job may step from *now* to *then*.

    >>> may_become(JobState.WAITING, JobState.RUNNING), may_become(JobState.DONE, JobState.RUNNING)
    (True, False)
    """
    return then in JOB_STEPS[now]


def may_attempt_become(now: AttemptState, then: AttemptState) -> bool:
    """Return whether an attempt may step from *now* to *then*."""
    return then in ATTEMPT_STEPS[now]


class StepName(StrEnum):
    """The way of a job through the house, in order."""

    FETCH = "fetch"
    CHECK = "check"
    SLICE = "slice"
    PREFLIGHT = "preflight"
    QUEUE = "queue"
    DISPATCH = "dispatch"
    STREAM = "stream"
    RECORD = "record"
    ANNOUNCE = "announce"


class StepState(StrEnum):
    """How far one step is; a skipped step was not needed for this input."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class InputKind(StrEnum):
    """What a person brought."""

    PROGRAM = "program"  # G-code
    MESH = "mesh"  # STL, 3MF, OBJ, STEP


class HoldReason(StrEnum):
    """Why a job is held; only a person releases it, or a machine that comes."""

    BY_PERSON = "by-person"
    FINDINGS = "findings"  # preflight blocks it
    INTERRUPTED = "interrupted"  # its attempt was; it never resumes by itself
    NO_MACHINE = "no-machine"  # passes when there is one
    HOST_REFUSED = "host-refused"
    SLICER_MISSING = "slicer-missing"
