"""Jobs in JSON: their steps, findings, runs and what they wait for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from jobs.domain.job import AttemptState, HoldReason, InputKind, JobState, StepName, StepState
from jobs.domain.preflight import Finding, Severity, Verdict
from jobs.services.resuming import ResumeOffer, ResumePlan
from jobs.services.views import (
    AttemptView,
    ForeseenView,
    JobDetail,
    JobView,
    PlaceView,
    PreflightView,
    StepView,
    WaiverView,
)
from web.api.lab_json import DesignOut, RecordOut
from web.api.machines_json import PromiseOut, RunOut
from web.context import Web
from web.errors import reason_json
from web.rendering import utc

Scalar = str | int | float


class FindingOut(BaseModel):
    """One finding; `line` counts in the uploaded file from 1."""

    code: str
    severity: Severity
    line: int | None
    text: str
    detail: str
    fields: dict[str, Scalar]

    @classmethod
    def of(cls, web: Web, finding: Finding) -> FindingOut:
        """Return the JSON form with its sentence."""
        return cls(
            code=finding.code.value,
            severity=finding.severity,
            line=finding.line,
            text=finding.text,
            detail=web.renderer.sentences.finding(finding),
            fields=dict(finding.fields),
        )


class JobOut(BaseModel):
    """A job in a list.

    Of one that waits, `place` is its priority with its parts [points], and `foreseen` when it is
    expected: each time with an even chance (`p50`) and kept nine times in ten (`p90`).
    """

    id: str
    number: int
    title: str
    owner_name: str
    kind: str
    machine_slug: str | None
    state: JobState
    hold_reason: HoldReason | None
    input_kind: InputKind
    input_name: str
    created_at: datetime
    queued_at: datetime | None
    ended_at: datetime | None
    planned_s: float | None
    promise: PromiseOut | None
    mass_g: float | None
    position: int | None
    mine: bool
    may: list[str]
    simulated: bool
    run: RunOut | None
    place: dict[str, Any] | None = None
    foreseen: dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    made_ready: bool = False

    @classmethod
    def of(cls, job: JobView) -> JobOut:
        """Return the JSON form."""
        return cls(
            place=_place(job.place) if job.place else None,
            foreseen=_foreseen(job.foreseen) if job.foreseen else None,
            group=asdict(job.group) if job.group else None,
            made_ready=job.made_ready,
            id=job.id,
            number=job.number,
            title=job.title,
            owner_name=job.owner_name,
            kind=job.kind,
            machine_slug=job.machine_slug,
            state=job.state,
            hold_reason=job.hold_reason,
            input_kind=job.input_kind,
            input_name=job.input_name,
            created_at=job.created_at,
            queued_at=job.queued_at,
            ended_at=job.ended_at,
            planned_s=job.planned_s,
            promise=PromiseOut.model_validate(job.promise) if job.promise else None,
            mass_g=job.mass_g,
            position=job.position,
            mine=job.mine,
            simulated=job.simulated,
            may=sorted(job.may),
            run=RunOut.of(job.run) if job.run else None,
        )


def _place(place: PlaceView) -> dict[str, Any]:
    parts = [
        {"part": one.name.value, "points": one.points, "fields": dict(one.fields)}
        for one in place.parts
    ]
    return {"points": place.points, "machine": place.machine_slug, "parts": parts}


def _foreseen(one: ForeseenView) -> dict[str, Any]:
    times = ("start_p50", "start_p90", "end_p50", "end_p90", "made_at")
    return {
        "machine": one.machine_slug,
        **{name: utc(getattr(one, name)) for name in times},
        "moves": one.moves,
    }


class StepOut(BaseModel):
    """One step of a job's way."""

    name: StepName
    state: StepState
    started_at: datetime | None
    ended_at: datetime | None
    detail: dict[str, Scalar]

    @classmethod
    def of(cls, step: StepView) -> StepOut:
        """Return the JSON form."""
        return cls(
            name=step.name,
            state=step.state,
            started_at=step.started_at,
            ended_at=step.ended_at,
            detail=dict(step.detail),
        )


class ResumeOfferOut(BaseModel):
    """Where an interrupted job may be gone on with; all before `line` was surely made."""

    machine: str
    machine_name: str
    line: int
    sent_line: int
    layers_mm: list[float]
    asks_height: bool

    @classmethod
    def of(cls, offer: ResumeOffer) -> ResumeOfferOut:
        """Return the JSON form."""
        return cls(
            machine=offer.machine_slug,
            machine_name=offer.machine_name,
            line=offer.line,
            sent_line=offer.sent_line,
            layers_mm=list(offer.layers),
            asks_height=offer.asks_height,
        )


class ResumeOut(BaseModel):
    """What would be sent to go on with an interrupted job; `homing` only if it is locked."""

    stream_sha256: str
    machine: str
    homing: list[str]
    preamble: list[str]
    following: list[str]
    from_line: int
    rest_lines: int
    tool: int
    planned_s: float
    promise: PromiseOut | None
    verdict: Verdict
    findings: list[FindingOut]

    @classmethod
    def of(cls, web: Web, plan: ResumePlan) -> ResumeOut:
        """Return the JSON form."""
        return cls(
            stream_sha256=plan.stream_sha256,
            machine=plan.offer.machine_slug,
            homing=list(plan.homing),
            preamble=list(plan.preamble),
            following=list(plan.following),
            from_line=plan.from_line,
            rest_lines=plan.rest_lines,
            tool=plan.tool,
            planned_s=plan.planned_s,
            promise=PromiseOut.model_validate(plan.promise) if plan.promise else None,
            verdict=plan.verdict,
            findings=[FindingOut.of(web, one) for one in plan.findings],
        )


class WaiverOut(BaseModel):
    """A person's written word that one finding may stand."""

    code: str
    line: int | None
    text: str
    fields: dict[str, Scalar]
    reason: str
    by: str
    at: datetime
    program_sha256: str
    limits_sha256: str

    @classmethod
    def of(cls, one: WaiverView) -> WaiverOut:
        """Return the JSON form."""
        return cls(
            code=one.code,
            line=one.line,
            text=one.text,
            fields={k: v for k, v in one.fields.items() if isinstance(v, str | int | float)},
            reason=one.reason,
            by=one.by,
            at=one.at,
            program_sha256=one.program_sha256,
            limits_sha256=one.limits_sha256,
        )


class ThumbnailOut(BaseModel):
    """A picture that the slicer put in; its bytes are at `/jobs/{job_id}/thumbnails/{number}`."""

    number: int
    width_px: int
    height_px: int
    format: str
    bytes: int

    @classmethod
    def all_of(cls, told: object) -> list[ThumbnailOut]:
        """Return the JSON form of what a report tells."""
        rows = told if isinstance(told, list) else []
        return [cls.model_validate({**row, "number": at}) for at, row in enumerate(rows, 1)]


class PreflightOut(BaseModel):
    """What was found for one machine; `open` of it need a person's word and have none."""

    id: str
    machine: str
    program_sha256: str
    verdict: Verdict
    findings: list[FindingOut]
    planned_s: float
    promise: PromiseOut | None
    mass_g: float
    filament_mm: float
    stream_lines: int
    open: int
    waivers: list[WaiverOut]
    slicer: dict[str, object] | None
    thumbnails: list[ThumbnailOut]

    @classmethod
    def of(cls, web: Web, one: PreflightView) -> PreflightOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            program_sha256=one.program_sha256,
            open=len(one.open_findings),
            waivers=[WaiverOut.of(each) for each in one.waivers],
            machine=one.machine_slug,
            verdict=one.verdict,
            findings=[FindingOut.of(web, finding) for finding in one.findings],
            planned_s=one.planned_s,
            promise=PromiseOut.model_validate(one.promise) if one.promise else None,
            mass_g=one.mass_g,
            filament_mm=one.filament_mm,
            stream_lines=one.stream_lines,
            slicer=slicer if isinstance(slicer := one.report.get("slicer"), dict) else None,
            thumbnails=ThumbnailOut.all_of(one.report.get("thumbnails")),
        )


class AttemptOut(BaseModel):
    """One run of the job."""

    id: str
    machine: str
    state: AttemptState
    started_at: datetime
    ended_at: datetime | None
    acked_lines: int
    sent_lines: int
    total_lines: int
    line: int
    resends: int
    link_quality: int | None
    damaged_replies: int
    lost_answers: int
    starved_s: float
    machine_s: float
    promise: PromiseOut | None
    reason: str | None
    record_id: str | None

    @classmethod
    def of(cls, attempt: AttemptView) -> AttemptOut:
        """Return the JSON form."""
        detail = attempt.detail
        return cls(
            id=attempt.id,
            machine=attempt.machine_slug,
            state=attempt.state,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            acked_lines=attempt.acked,
            sent_lines=attempt.sent,
            total_lines=attempt.total,
            line=attempt.line,
            resends=attempt.resends,
            link_quality=int(quality) if (quality := detail.get("quality")) is not None else None,
            damaged_replies=int(detail.get("damaged", 0)),
            lost_answers=int(detail.get("lost_answers", 0)),
            starved_s=float(detail.get("starvation_s", 0.0)),
            machine_s=attempt.machine_s,
            promise=PromiseOut.model_validate(attempt.promise) if attempt.promise else None,
            reason=attempt.reason,
            record_id=attempt.record_id,
        )


class WaitsOut(BaseModel):
    """Why a waiting job has not started on a machine."""

    machine: str
    reasons: list[dict[str, object]]


class JobDetailOut(BaseModel):
    """A job with everything that happened to it."""

    job: JobOut
    steps: list[StepOut]
    findings: list[FindingOut]
    preflights: list[PreflightOut]
    attempts: list[AttemptOut]
    design: DesignOut | None
    recipe: str | None
    waits_for: list[WaitsOut]
    records: list[RecordOut]

    @classmethod
    def of(cls, web: Web, detail: JobDetail) -> JobDetailOut:
        """Return the JSON form."""
        return cls(
            job=JobOut.of(detail.job),
            steps=[StepOut.of(step) for step in detail.steps],
            findings=[FindingOut.of(web, finding) for finding in detail.findings],
            preflights=[PreflightOut.of(web, one) for one in detail.preflights],
            attempts=[AttemptOut.of(attempt) for attempt in detail.attempts],
            design=DesignOut.of(detail.design) if detail.design else None,
            recipe=detail.recipe,
            waits_for=[
                WaitsOut(machine=slug, reasons=[reason_json(web, one) for one in refusals])
                for slug, refusals in detail.waits_for
            ],
            records=[RecordOut.of(record) for record in detail.records],
        )
