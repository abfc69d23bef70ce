"""The values preparation works with, and how they become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from jobs.domain.job import InputKind
from jobs.domain.preflight import Finding, FindingCode, Severity, Verdict, verdict
from jobs.domain.slots import slots_to_json
from jobs.kinds import KINDS
from jobs.services.costing import keep_costs
from jobs.services.targets import Target
from jobs.services.workers import WorkerResult
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Preflight


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the job outside any transaction."""

    job_id: str
    path: Path
    suffix: str
    is_mesh: bool
    recipe: str | None


@dataclass(frozen=True, slots=True)
class Program:
    """G-code to be examined, or why there is none; *sliced* says what made it."""

    path: Path | None
    findings: tuple[Finding, ...] = ()
    sliced: Mapping[str, object] = field(default_factory=dict)
    density_g_cm3: float | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found for one machine, and the finished files by their hashes."""

    report: Mapping[str, object]
    findings: tuple[Finding, ...]
    program_sha256: str
    stream_sha256: str | None = None
    index_sha256: str | None = None
    planned_sha256: str | None = None
    stream_lines: int = 0
    planned_ms: int = 0
    filament_um: int = 0
    mass_mg: int = 0

    @property
    def verdict(self) -> Verdict:
        """May it run there? Not without a stream, whatever was found."""
        return verdict(self.findings) if self.stream_sha256 else Verdict.BLOCK


def may_run(examined: Examined) -> bool:
    """Tell whether the program may run on such a machine."""
    return examined.verdict is not Verdict.BLOCK


def split(answer: WorkerResult) -> tuple[dict[str, object], list[Finding]]:
    """Return a worker's report and findings; a worker that died is a finding too."""
    died = answer.finding()
    if died is not None:
        return {}, [died]
    result = dict(answer.result)
    stored = result.pop("findings", [])
    report = result.get("report", result)
    findings = [
        Finding.from_json(one)
        for one in (stored if isinstance(stored, Sequence) else [])
        if isinstance(one, Mapping)
    ]
    return dict(report) if isinstance(report, Mapping) else {}, findings


def kind_of(report: Mapping[str, object], is_mesh: bool) -> str:
    """Return the first kind of machine that takes what was inspected; "" if none does."""
    for kind in KINDS.values():
        if kind.meshes if is_mesh else report.get("dialect") in kind.programs:
            return kind.name
    return ""


def write_preflights(
    session: Session,
    workshop: Workshop,
    job: Job,
    found: Sequence[tuple[Target, Examined]],
    now: datetime,
) -> None:
    """Write what was found for each machine; what was found before is kept, but not current."""
    session.execute(
        update(Preflight)
        .where(Preflight.job_id == job.id, Preflight.superseded_at.is_(None))
        .values(superseded_at=now)
    )
    for target, examined in found:
        session.add(
            Preflight(
                id=workshop.new_id(),
                job_id=job.id,
                machine_id=target.machine_id,
                verdict=examined.verdict.value,
                findings=[finding.to_json() for finding in examined.findings],
                report=_with_slots(examined.report, target),
                limits_sha256=target.limits.sha256(),
                target_sha256=target.sha256(),
                program_sha256=examined.program_sha256,
                stream_sha256=examined.stream_sha256,
                index_sha256=examined.index_sha256,
                planned_sha256=examined.planned_sha256,
                stream_lines=examined.stream_lines,
                planned_ms=examined.planned_ms,
                filament_um=examined.filament_um,
                mass_mg=examined.mass_mg,
                made_at=now,
            )
        )
    session.flush()
    keep_costs(session, workshop, job, now)


def _with_slots(report: Mapping[str, object], target: Target) -> dict[str, object]:
    """Return a report with the slots that tools draw from, where some draw from others."""
    slots = slots_to_json(dict(target.slots))
    return {**report, "slots": slots} if slots else dict(report)


def slicer_failed(reason: str) -> Finding:
    """Return the finding that no program came of a mesh."""
    return Finding(FindingCode.SLICER_FAILED, Severity.BLOCK, fields={"reason": reason})


def is_about_licence(stored: Mapping[str, object]) -> bool:
    """Tell a finding that came in with the job from one that inspection made."""
    return stored.get("code") in (FindingCode.LICENCE_FORBIDS, FindingCode.LICENCE_UNCLEAR)


def is_mesh(job: Job) -> bool:
    """Tell whether a job's input must be sliced."""
    return job.input_kind == InputKind.MESH
