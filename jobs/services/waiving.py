"""Letting a finding stand: who, when, why, for which program on which machine, is kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.preflight import Finding, Verdict
from jobs.services import logbook
from jobs.services.starting import is_current
from jobs.services.targets import target_of
from jobs.services.waived import unwaived, with_old
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Machine, Preflight, Waiver

REASON_LEAST, REASON_MOST = 5, 500  # characters of a written reason

Key = tuple[str, int | None]


class Waiving:
    """The one use case that lets a program run in spite of what was found."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def waive(
        self,
        actor: Actor,
        job_id: str,
        preflight_id: str,
        findings: Collection[Key] | None,
        reason: str,
        now: datetime,
    ) -> None:
        """Write down that these findings may stand, for this program on this machine as it is.

        :param preflight_id: of the examination that was read: one of a later hour may say more.
        :param findings: code and line of each; None: all that this person may wave through.
        :raises InvalidError: if no reason is written.
        :raises NotAllowedError: if it takes another role, such as for settings that stay.
        :raises RefusedError: if something blocks, or what was read is no longer so.
        """
        written = " ".join(reason.split())
        if not REASON_LEAST <= len(written) <= REASON_MOST:
            raise InvalidError("waive.reason", field="reason", least=REASON_LEAST, most=REASON_MOST)
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        with self._workshop.database.write() as session:
            preflight = session.get(Preflight, preflight_id)
            if preflight is None or preflight.job_id != job_id:
                raise NotFoundError("job.unknown")
            machine = session.get_one(Machine, preflight.machine_id)
            target = target_of(machine, self._workshop.profiles_dir)
            if preflight.superseded_at is not None or not is_current(preflight, target):
                raise RefusedError([Refusal(Reason.FINDINGS_CHANGED)])
            if preflight.verdict == Verdict.BLOCK:
                raise RefusedError([Refusal(Reason.BLOCKED_BY_PREFLIGHT)])
            job = session.get_one(Job, job_id)
            for finding in _chosen(actor, unwaived(session, preflight), findings):
                self._write(session, actor, (job, machine, preflight), finding, written, now)
        self._workshop.live.touch()

    def _write(
        self,
        session: Session,
        actor: Actor,
        about: tuple[Job, Machine, Preflight],
        finding: Finding,
        reason: str,
        now: datetime,
    ) -> None:
        job, machine, preflight = about
        finding = with_old(finding, self._workshop.live.get(machine.slug))
        session.add(
            Waiver(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                job_id=job.id,
                person_id=actor.person_id,
                at=now,
                reason=reason,
                program_sha256=preflight.program_sha256,
                limits_sha256=preflight.limits_sha256,
                code=finding.code.value,
                line=finding.line,
                text=finding.text,
                fields=dict(finding.fields),
                simulated=actor.simulated,
            )
        )
        detail = {
            "job": str(job.number),
            "code": finding.code.value,
            "line": "" if finding.line is None else str(finding.line),
            "reason": reason,
        }
        logbook.write(
            session,
            self._workshop,
            machine,
            logbook.Happening.WAIVED,
            now,
            actor.person_id,
            detail,
        )


def _chosen(
    actor: Actor, still_open: Collection[Finding], asked: Collection[Key] | None
) -> list[Finding]:
    """Return the findings that are asked for, or refuse all of them."""
    chosen = [one for one in still_open if asked is None or one.key in asked]
    if asked is None:
        own = [one for one in chosen if one.waived_by and actor.is_at_least(one.waived_by)]
        chosen = own or chosen
    if not chosen:
        raise RefusedError([Refusal(Reason.NOTHING_TO_WAIVE)])
    for finding in chosen:
        needed = finding.waived_by
        if needed is None or not actor.is_at_least(needed):
            raise NotAllowedError("person.not-allowed", needed=(needed or Role.ADMIN).value)
    return chosen
