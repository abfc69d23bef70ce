"""A machine as preparation sees it: what it can bear, and what its firmware must not be told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from drivers.errors import ProfileError
from drivers.profile import FirmwareProfile, load_profile
from jobs.domain.machine import MachineLimits
from jobs.domain.rulebook import family_of, load_rules
from jobs.kinds import FDM, KINDS, forbidden_commands
from jobs.store.tables import Machine

Like = tuple[object, ...]  # what machines have in common that get the same program


@dataclass(frozen=True, slots=True)
class Target:
    """One machine the job may go to, and how its firmware wants to be spoken to.

    :param is_by_hand: no firmware hears the program from us.
    :param slots: which tool of this job draws from another slot there (tool, slot).
    """

    machine_id: str
    kind: str
    limits: MachineLimits
    dialect: str
    forbidden: tuple[str, ...]
    family: str = ""  # whose rules its programs are held against
    macros: tuple[str, ...] = ()
    is_by_hand: bool = False
    slots: tuple[tuple[int, int], ...] = ()

    @property
    def like(self) -> Like:
        """Machines that are alike here get the same program and the same findings."""
        return (*self.bears, self.slots if self._is_renumbered else ())

    @property
    def maps_slots(self) -> bool:
        """Tell whether a tool can draw from another slot: in the stream, or by a person's hand."""
        if self.kind != FDM.name:
            return False
        rules = load_rules(self.family)
        return self.is_by_hand or (rules is not None and rules.slots is not None)

    @property
    def _is_renumbered(self) -> bool:
        return bool(self.slots) and not self.is_by_hand

    @property
    def bears(self) -> Like:
        """Everything of the machine that a program is held against, whatever the job."""
        rules = load_rules(self.family)
        return (
            self.limits.sha256(),
            self.kind,
            self.dialect,
            self.forbidden,
            self.family,
            self.macros,
            rules.sha256 if rules else "",
        )

    def to_request(self) -> dict[str, object]:
        """Return what a worker needs to hold a program against this machine."""
        request: dict[str, object] = {
            "limits": self.limits.to_json(),
            "dialect": self.dialect,
            "forbidden": list(self.forbidden),
            "kind": self.kind,
            "family": self.family,
            "macros": list(self.macros),
        }
        if self._is_renumbered:
            request["slots"] = {str(tool): slot for tool, slot in self.slots}
        return request

    def sha256(self) -> str:
        """Return the hash of everything of the machine that a program is held against."""
        return _sha256(replace(self, slots=()) if self.slots else self)

    def drawing(self, slots: Mapping[int, int]) -> Target:
        """Return the machine for a job whose tools draw from other slots."""
        return replace(self, slots=tuple(sorted(slots.items())) if self.maps_slots else ())


@lru_cache(maxsize=512)
def _sha256(target: Target) -> str:
    # Asked for each job on each machine, whenever somebody looks at the queue.
    return hashlib.sha256(json.dumps(target.bears).encode()).hexdigest()


@lru_cache(maxsize=128)
def _profile(name: str, own: Path | None, stamp: tuple[int, int] | None) -> FirmwareProfile:
    del stamp  # another file is another profile
    return load_profile(name, own)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        known = file.stat()
    except (OSError, ValueError):
        return None
    return known.st_mtime_ns, known.st_size


def target_of(machine: Machine, profiles_dir: Path | None) -> Target | None:
    """Return the machine as preparation sees it; None if its profile cannot be read.

    :param profiles_dir: the lab's own firmware profiles; they take the place of ours.
    """
    profile = None
    if machine.profile is not None:
        try:
            stamp = _stamp(profiles_dir / f"{machine.profile}.toml") if profiles_dir else None
            profile = _profile(machine.profile, profiles_dir, stamp)
        except (ProfileError, OSError, UnicodeError, RecursionError):
            return None
    limits = MachineLimits.from_json(machine.limits)
    return target_for(machine.kind, limits, profile, machine.id)


def target_for(
    kind: str, limits: MachineLimits, profile: FirmwareProfile | None, machine_id: str = ""
) -> Target:
    """Return a target of a kind; without a profile it speaks as the kind usually does."""
    if profile is None:
        known = KINDS.get(kind)
        dialect = known.programs[0] if known else ""
        forbidden = forbidden_commands(kind, dialect, ())
        family = family_of(dialect, "")
        return Target(machine_id, kind, limits, dialect, forbidden, family, is_by_hand=True)
    return Target(
        machine_id,
        kind,
        limits,
        profile.dialect,
        forbidden_commands(kind, profile.dialect, profile.forbidden),
        family_of(profile.dialect, profile.family),
        profile.macros,
    )
