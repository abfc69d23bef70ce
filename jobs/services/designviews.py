"""A design of the library as pages show it."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.services.views import DesignView
from jobs.store.tables import Design


def design_view(design: Design) -> DesignView:
    """Return a design without its files' bytes."""
    summary = design.summary
    printable = summary.get("printable")
    problems = summary.get("problems")
    return DesignView(
        id=design.id,
        title=design.title,
        version=design.version,
        licence=design.licence,
        licensor=design.licensor,
        source=design.source,
        description=str(summary.get("description", "")),
        printable=[str(path) for path in printable] if isinstance(printable, list) else [],
        problems=[
            {str(key): str(value) for key, value in one.items()}
            for one in (problems if isinstance(problems, list) else [])
            if isinstance(one, Mapping)
        ],
        fetched_at=design.fetched_at,
    )
