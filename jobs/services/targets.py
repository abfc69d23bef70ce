"""A machine as preparation sees it: what it can bear, and what its firmware must not be told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import ProfileError
from drivers.profile import load_profile
from jobs.domain.machine import MachineLimits
from jobs.kinds import KINDS, forbidden_commands
from jobs.store.tables import Machine

Like = tuple[object, ...]  # what machines have in common that get the same program


@dataclass(frozen=True, slots=True)
class Target:
    """One machine the job may go to, and how its firmware wants to be spoken to."""

    machine_id: str
    kind: str
    limits: MachineLimits
    dialect: str
    forbidden: tuple[str, ...]

    @property
    def like(self) -> Like:
        """Machines that are alike here get the same program and the same findings."""
        return (self.limits.sha256(), self.kind, self.dialect, self.forbidden)

    def sha256(self) -> str:
        """Return the hash that changes with anything a program is held against."""
        return hashlib.sha256(json.dumps(self.like).encode()).hexdigest()


def target_of(machine: Machine, profiles_dir: Path | None) -> Target | None:
    """Return the machine as preparation sees it; None if its profile cannot be read.

    :param profiles_dir: the lab's own firmware profiles; they take the place of ours.
    """
    kind = KINDS.get(machine.kind)
    dialect = kind.programs[0] if kind else ""
    named: tuple[str, ...] = ()
    if machine.profile is not None:
        try:
            profile = load_profile(machine.profile, profiles_dir)
        except (ProfileError, OSError, UnicodeError, RecursionError):
            return None
        dialect, named = profile.dialect, profile.forbidden
    limits = MachineLimits.from_json(machine.limits)
    forbidden = forbidden_commands(machine.kind, dialect, named)
    return Target(machine.id, machine.kind, limits, dialect, forbidden)
