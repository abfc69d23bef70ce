"""How a job comes in: an upload or a design's file, told by its content and kept by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.designs.library import StoredFile
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import InputKind, JobState
from jobs.domain.machine import Control
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.kinds import KINDS, kind_named
from jobs.services.asking import AskWish
from jobs.services.behalf import note as note_behalf
from jobs.services.footing import footing_of, must_use
from jobs.services.sniff import Sniffed, sniff
from jobs.services.steps import begin_steps
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.slicing import load_recipe
from jobs.store.tables import Design, DesignFile, Job, Machine

PURPOSES = ("own", "internal", "client", "sale")
_LONGEST = 200  # characters of a name or title


class Intake:
    """Makes jobs; each is then prepared in the background."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def upload(
        self,
        actor: Actor,
        *,
        name: str,
        data: BinaryIO | Path,
        kind: str | None,
        machine_slug: str | None,
        title: str | None,
        recipe: str | None,
        purpose: str,
        now: datetime,
        ask: AskWish | None = None,
    ) -> str:
        """Keep the upload and open a job for it; return the job's id.

        :raises InvalidError: `upload.too-large`, `upload.empty`, `upload.not-understood`, or
            about the field that is wrong.
        """
        with self._workshop.database.read() as session:
            _may_submit(session, actor, now)
        _check_recipe(recipe)
        _check_purpose(purpose)
        if ask is not None:
            ask.check(now)
        stored = self._keep(data)
        sniffed = self._sniff(stored, name)
        clean = clean_name(PurePosixPath(name.replace("\\", "/")).name) or f"upload{sniffed.suffix}"
        job = Job(
            title=clean_name(title or "") or clean,
            input_kind=sniffed.kind.value,
            input_name=clean,
            input_sha256=stored.sha256,
            input_bytes=stored.size_bytes,
            recipe=recipe if sniffed.kind is InputKind.MESH else None,
            purpose=purpose,
            findings=[],
        )
        return self._open(actor, job, sniffed, kind, machine_slug, now, ask)

    def design(
        self,
        actor: Actor,
        design_id: str,
        path: str | None,
        *,
        machine_slug: str | None,
        recipe: str | None,
        purpose: str,
        now: datetime,
        ask: AskWish | None = None,
    ) -> str:
        """Open a job for a file of a design in the library; return the job's id.

        :param path: in the design; None takes the first that can be made.
        """
        with self._workshop.database.read() as session:
            _may_submit(session, actor, now)
        _check_recipe(recipe)
        _check_purpose(purpose)
        if ask is not None:
            ask.check(now)
        with self._workshop.database.read() as session:
            design = session.get(Design, design_id)
            if design is None:
                raise NotFoundError("design.unknown", design=design_id)
            file = _design_file(session, design, path)
        stored = StoredFile(file.sha256, file.size_bytes)
        sniffed = self._sniff(stored, file.path)
        finding = licence_finding(design.summary, design.licence, purpose)
        job = Job(
            title=design.title[:_LONGEST],
            input_kind=sniffed.kind.value,
            input_name=clean_name(PurePosixPath(file.path).name),
            input_sha256=stored.sha256,
            input_bytes=stored.size_bytes,
            recipe=recipe if sniffed.kind is InputKind.MESH else None,
            purpose=purpose,
            design_id=design.id,
            findings=[finding.to_json()] if finding else [],
        )
        return self._open(actor, job, sniffed, None, machine_slug, now, ask)

    def _keep(self, data: BinaryIO | Path) -> StoredFile:
        limit = self._workshop.upload_limit_bytes
        try:
            if isinstance(data, Path):
                with data.open("rb") as file:
                    return self._workshop.library.put_stream(file, limit)
            return self._workshop.library.put_stream(data, limit)
        except InvalidError as error:
            raise InvalidError("upload.too-large", field="file", limit_bytes=limit) from error

    def _sniff(self, stored: StoredFile, name: str) -> Sniffed:
        if stored.size_bytes == 0:
            raise InvalidError("upload.empty", field="file")
        sniffed = sniff(self._workshop.library.path(stored.sha256))
        if sniffed is None:
            suffix = PurePosixPath(name).suffix[:16]
            raise InvalidError("upload.not-understood", field="file", suffix=suffix)
        return sniffed

    def _open(
        self,
        actor: Actor,
        job: Job,
        sniffed: Sniffed,
        kind: str | None,
        machine_slug: str | None,
        now: datetime,
        ask: AskWish | None,
    ) -> str:
        job.id = self._workshop.new_id()
        job.person_id = actor.person_id
        job.simulated = actor.simulated
        job.state = JobState.PREPARING.value
        job.created_at = now
        with self._workshop.database.write() as session:
            machine = wished_machine(session, machine_slug)
            job.machine_id = machine.id if machine else None
            job.kind = _kind(sniffed, kind, machine)
            take_turn(session, "job-number")
            job.number = (session.scalar(select(func.max(Job.number))) or 0) + 1
            session.add(job)
            session.flush()
            begin_steps(session, job.id, now, was_fetched=job.design_id is not None)
            if ask is not None:
                ask.keep(session, job.id)
            note_behalf(session, self._workshop, actor, "queued", f"job:{job.id}", now)
        self._workshop.live.touch()
        return job.id


def licence_finding(summary: Mapping[str, object], licence: str, purpose: str) -> Finding | None:
    """Return what a design's licence has against *purpose*; None if nothing."""
    judged = summary.get("licence")
    permissions = judged.get("permissions") if isinstance(judged, dict) else None
    permission = permissions.get(purpose) if isinstance(permissions, dict) else None
    match permission:
        case "yes":
            return None
        case "no":
            fields = {"licence": licence or "none", "purpose": purpose}
            return Finding(FindingCode.LICENCE_FORBIDS, Severity.BLOCK, fields=fields)
        case _:
            fields = {"licence": licence or "none"}
            return Finding(FindingCode.LICENCE_UNCLEAR, Severity.NOTE, fields=fields)


def _design_file(session: Session, design: Design, path: str | None) -> DesignFile:
    if path is None:
        printable = design.summary.get("printable")
        path = str(printable[0]) if isinstance(printable, list) and printable else None
    file = session.get(DesignFile, (design.id, path)) if path else None
    if file is None:
        raise InvalidError("design.nothing-to-make", field="path", path=path or "")
    return file


def wished_machine(session: Session, slug: str | None) -> Machine | None:
    """Return the one machine that a job is for; None for any of its kind.

    :raises InvalidError: if there is none of that name, or none that takes jobs.
    """
    if not slug:
        return None
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None or machine.retired_at is not None:
        raise InvalidError("machine.unknown", field="machine", machine=slug)
    if machine.control == Control.NONE:
        raise InvalidError("machine.takes-no-jobs", field="machine", machine=slug)
    return machine


def _kind(sniffed: Sniffed, kind: str | None, machine: Machine | None) -> str:
    """Return the kind of machine; "" until a program's dialect has been read."""
    if machine is not None:
        return machine.kind
    if kind:
        return kind_named(kind).name
    if sniffed.kind is InputKind.MESH:
        return next(one.name for one in KINDS.values() if one.meshes)
    return ""


def _check_recipe(recipe: str | None) -> None:
    if recipe is not None:
        load_recipe(recipe)


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise InvalidError("job.purpose", field="purpose", known=", ".join(PURPOSES))


def _may_submit(session: Session, actor: Actor, now: datetime) -> None:
    """Refuse guests for whom no machine is named, and whose days in the house are over."""
    if not actor.person_id:
        raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
    must_use(session, actor)
    ends_at = footing_of(session, actor.person_id).ends_at
    if ends_at is not None and now >= ends_at:
        raise RefusedError([Refusal(Reason.STAY_ENDS, {"at": ends_at.isoformat()})])


def clean_name(text: str) -> str:
    """Return *text* without what could not be shown: no control signs, one line, bounded."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]
