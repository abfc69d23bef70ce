"""Which findings of a preflight still need a person's word."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.preflight import Finding, Severity, Verdict
from jobs.store.tables import Preflight, Waiver


def waivers_of(session: Session, preflight: Preflight) -> Sequence[Waiver]:
    """Return every word that was given for this program, machine and these limits, oldest first."""
    query = (
        select(Waiver)
        .where(
            Waiver.machine_id == preflight.machine_id,
            Waiver.program_sha256 == preflight.program_sha256,
            Waiver.limits_sha256 == preflight.limits_sha256,
        )
        .order_by(Waiver.at, Waiver.id)
    )
    return session.scalars(query).all()


def unwaived(session: Session, preflight: Preflight | None) -> list[Finding]:
    """Return the findings that keep the program from starting until a person speaks."""
    if preflight is None or preflight.verdict != Verdict.PERSON:
        return []
    words = {(one.code, one.line) for one in waivers_of(session, preflight)}
    found = [Finding.from_json(one) for one in preflight.findings]
    return [one for one in found if one.severity is Severity.PERSON and one.key not in words]
