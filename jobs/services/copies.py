"""Copies of a job's mesh: repaired, in another unit, turned. A person asks; the original stays."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import InputKind, JobState, StepName
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.renewing import prepare_again
from jobs.services.sniff import sniff
from jobs.services.workers import Task, run_worker
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, JobStep

_SCALES: Final = {"inch": 25.4, "centimetre": 10.0, "metre": 1000.0, "micrometre": 0.001}
_CHANGES: Final = (
    "merged_vertices", "removed_collapsed", "removed_duplicates", "flipped_faces",
    "filled_holes", "volume_before_mm3", "volume_after_mm3",
)  # fmt: skip
_LONGEST_NAME: Final = 200
OFFERS_COPIES: Final = (JobState.HELD, JobState.WAITING, JobState.FAILED)


class Copy(StrEnum):
    """What can be made of a mesh, or that the original is wanted again."""

    REPAIRED = "repaired"
    UNIT = "unit"
    TURNED = "turned"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a copy comes from, and what was changed.

    :param changes: numbers by name, units in the names.
    """

    sha256: str
    name: str
    size_bytes: int
    copy: str
    by: str
    at: str
    changes: Mapping[str, int | float]


class Copies:
    """Puts a copy in the place of a job's mesh, and back; each time it is prepared anew."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def use(self, actor: Actor, job_id: str, copy: Copy, now: datetime) -> None:
        """Make the job of a copy that its inspection offered, or of the original again.

        :raises InvalidError: `copy.not-offered`, or `copy.failed` with the reason.
        :raises RefusedError: the job is past that.
        """
        with self._workshop.database.read() as session:
            job = _open_job(session, actor, job_id)
            sha256, name = job.input_sha256, job.input_name
            wish = {} if copy is Copy.ORIGINAL else _offered(job.report or {}, copy)
            origin = origin_of(session.get(JobStep, (job_id, StepName.FETCH.value)))
        if copy is Copy.ORIGINAL:
            if origin is None:
                raise InvalidError("copy.not-offered", field="copy")
            self._put(
                actor, job_id, sha256, origin.sha256, origin.name, origin.size_bytes, None, now
            )
            return
        made, size, changes = self._make(sha256, wish)
        first = origin or Origin(sha256, name, self._size(sha256), "", "", "", {})
        after = Origin(
            first.sha256,
            first.name,
            first.size_bytes,
            ", ".join(word for word in (first.copy, copy.value) if word),
            actor.name,
            now.astimezone(UTC).isoformat(timespec="seconds"),
            changes,
        )
        called = f"{PurePosixPath(name).stem[: _LONGEST_NAME - 20]}-{copy.value}.stl"
        self._put(actor, job_id, sha256, made, called, size, after, now)

    def _make(
        self, sha256: str, wish: Mapping[str, object]
    ) -> tuple[str, int, dict[str, int | float]]:
        """Have a worker write the copy; return its hash, its size and what was changed."""
        path = self._workshop.library.path(sha256)
        sniffed = sniff(path)
        with tempfile.TemporaryDirectory(dir=self._workshop.work_dir) as folder:
            done = run_worker(
                Task.COPY,
                wish,
                {f"input{sniffed.suffix if sniffed else '.stl'}": path},
                outputs=Path(folder),
            )
            repair = done.result.get("repair")
            if "copy.stl" not in done.outputs or not isinstance(repair, Mapping):
                raise InvalidError("copy.failed", field="copy", reason=str(done.failure or "none"))
            with done.outputs["copy.stl"].open("rb") as file:
                stored = self._workshop.library.put_stream(file, 1 << 40)
        numbers = {key: repair[key] for key in _CHANGES if isinstance(repair.get(key), int | float)}
        scale = repair.get("scale")
        if isinstance(scale, int | float) and scale != 1.0:
            numbers["scale"] = scale
        return stored.sha256, stored.size_bytes, numbers

    def _put(
        self,
        actor: Actor,
        job_id: str,
        before: str,
        sha256: str,
        name: str,
        size_bytes: int,
        origin: Origin | None,
        now: datetime,
    ) -> None:
        with self._workshop.database.write() as session:
            job = _open_job(session, actor, job_id)
            if job.input_sha256 != before:
                raise _wrong_state(job)  # somebody else chose meanwhile
            job.input_sha256, job.input_name, job.input_bytes = sha256, name, size_bytes
            step = session.get_one(JobStep, (job_id, StepName.FETCH.value))
            step.detail = {} if origin is None else _written(origin)
            prepare_again(session, job, now)
        self._workshop.live.touch()

    def _size(self, sha256: str) -> int:
        return self._workshop.library.path(sha256).stat().st_size


def origin_of(step: JobStep | None) -> Origin | None:
    """Return where a job's mesh comes from if it is a copy."""
    detail = step.detail if step is not None else {}
    if not detail or "original_sha256" not in detail:
        return None
    return origin_from(detail)


def origin_from(detail: Mapping[str, object]) -> Origin:
    """Read what `_written` wrote."""
    numbers = {
        key: value
        for key in (*_CHANGES, "scale")
        if isinstance(value := detail.get(key), int | float)
    }
    size = detail.get("original_bytes")
    return Origin(
        str(detail.get("original_sha256")),
        str(detail.get("original_name")),
        size if isinstance(size, int) else 0,
        str(detail.get("copy")),
        str(detail.get("by")),
        str(detail.get("at")),
        numbers,
    )


def _written(origin: Origin) -> dict[str, str | int | float]:
    return {
        "original_sha256": origin.sha256,
        "original_name": origin.name,
        "original_bytes": origin.size_bytes,
        "copy": origin.copy,
        "by": origin.by,
        "at": origin.at,
        **origin.changes,
    }


def offers_of(report: Mapping[str, object]) -> list[tuple[Copy, dict[str, str | int | float]]]:
    """Return the copies that an inspection offers, each with the numbers of its sentence."""
    offers: list[tuple[Copy, dict[str, str | int | float]]] = []
    repair = report.get("repair")
    if isinstance(repair, Mapping):
        numbers = {
            key: value for key in _CHANGES if isinstance(value := repair.get(key), int | float)
        }
        offers.append((Copy.REPAIRED, all_changes(numbers)))
    guesses = report.get("units_guesses")
    if isinstance(guesses, list) and guesses:
        guess = guesses[0]
        offers.append((Copy.UNIT, {"unit": str(guess["unit"]), "size_mm": float(guess["size_mm"])}))
    fits = [fit for fit in _fits(report) if fit.get("wanted")]
    if fits and not any(fit.get("as_is") for fit in fits):
        for fit in fits:
            if fit.get("fits"):
                up, turn = str(fit["up"]).upper(), float(str(fit["turn_deg"]))
                named = str(fit["name"])
                offers.append((Copy.TURNED, {"machine": named, "up": up, "turn_deg": turn}))
                break
    return offers


def _fits(report: Mapping[str, object]) -> list[Mapping[str, object]]:
    fits = report.get("fits")
    return [fit for fit in fits if isinstance(fit, Mapping)] if isinstance(fits, list) else []


def all_changes(numbers: Mapping[str, object]) -> dict[str, str | int | float]:
    """Return every number that a sentence about a repair names."""
    kept = {
        key: round(value, 1) if isinstance(value := numbers.get(key), int | float) else 0
        for key in _CHANGES
    }
    return {**kept, "removed": kept["removed_collapsed"] + kept["removed_duplicates"]}


def _offered(report: Mapping[str, object], copy: Copy) -> dict[str, object]:
    """Return what a worker is asked for.

    :raises InvalidError: the inspection did not offer it.
    """
    for offer, numbers in offers_of(report):
        if offer is copy:
            match copy:
                case Copy.UNIT:
                    return {"scale": _SCALES[str(numbers["unit"])]}
                case Copy.TURNED:
                    return {"up": str(numbers["up"]).lower(), "turn_deg": numbers["turn_deg"]}
                case _:
                    return {}
    raise InvalidError("copy.not-offered", field="copy")


def _open_job(session: Session, actor: Actor, job_id: str) -> Job:
    job = session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise NotFoundError("job.unknown")
    if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("job.not-yours")
    if job.input_kind != InputKind.MESH:
        raise InvalidError("copy.not-offered", field="copy")
    if job.state not in OFFERS_COPIES:
        raise _wrong_state(job)
    return job


def _wrong_state(job: Job) -> RefusedError:
    fields = {"state": job.state, "wanted": JobState.WAITING.value}
    return RefusedError([Refusal(Reason.WRONG_STATE, fields)])
