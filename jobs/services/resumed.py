"""Whether an examined program is the rest of an interrupted one, and of which run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobs.store.tables import Preflight

RESUME: Final = "resume"  # key in a preflight's report


def link_of(preflight: Preflight | None) -> dict[str, object]:
    """Return what an attempt says of the one it goes on from; empty if of none."""
    resume = preflight.report.get(RESUME) if preflight is not None else None
    if not isinstance(resume, Mapping):
        return {}
    return {"resumes": str(resume.get("attempt", "")), "from_line": int(str(resume.get("line", 0)))}


def is_resume(preflight: Preflight | None) -> bool:
    """Tell whether it is of the rest of an interrupted program."""
    return bool(link_of(preflight))
