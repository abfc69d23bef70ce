"""Which findings of a preflight still need a person's word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.preflight import Finding, FindingCode, Severity, Verdict
from jobs.services.live import LiveState
from jobs.store.tables import Preflight, Waiver

# What a host calls the settings that a Grbl tells when it is connected.
_TOLD: Final = {
    **{"$20": "soft_limits", "$21": "hard_limits", "$22": "homing", "$30": "spindle_max_rpm"},
    **{f"$10{n}": f"steps_{axis}_per_mm" for n, axis in enumerate("xyz")},
    **{f"$11{n}": f"feed_max_{axis}_mm_min" for n, axis in enumerate("xyz")},
    **{f"$12{n}": f"acceleration_{axis}_mm_s2" for n, axis in enumerate("xyz")},
    **{f"$13{n}": f"travel_{axis}_mm" for n, axis in enumerate("xyz")},
}
_LONGEST_OLD: Final = 400  # of many settings, the first are shown
_COMMAND: Final = re.compile(r"\bM[0-9]+")


def with_old(finding: Finding, live: LiveState) -> Finding:
    """Return a finding on a setting that stays, with the value it has now, if the machine told."""
    if finding.code is not FindingCode.SETTING_STORED:
        return finding
    setting = str(finding.fields.get("setting", ""))
    if not setting.startswith("$"):
        return _with_settings(finding, live)
    told = live.told.get(_TOLD.get(setting, ""))
    if setting == "$32":
        told = live.laser
    if told is None:
        return finding
    old = float(told)
    return replace(finding, fields={**finding.fields, "old": int(old) if old.is_integer() else old})


def _with_settings(finding: Finding, live: LiveState) -> Finding:
    """Return a finding on a command that keeps others' values, with what the machine keeps now.

    It told them when it connected, so what a program has changed since is not among them.
    """
    told = {line.partition(" ")[0]: line for line in live.settings}
    wanted = dict.fromkeys(_COMMAND.findall(str(finding.fields.get("new", ""))))
    if not told:
        return finding
    # A program that sets nothing itself keeps whatever there is: then all of it is the old value.
    old = "; ".join(told.get(command, f"{command} ?") for command in wanted or told)
    if len(old) > _LONGEST_OLD:
        old = old[: _LONGEST_OLD - 1] + "…"
    return replace(finding, fields={**finding.fields, "old": old})


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
