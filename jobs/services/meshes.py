"""What a mesh is held against when a worker looks at it: the lab's machines."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.kinds import KINDS
from jobs.store.tables import Machine


def mesh_machines(session: Session, wanted: Collection[str]) -> list[dict[str, object]]:
    """Return every machine in use that makes things from meshes, by name.

    :param wanted: ids of those that may make the part; empty: all.
    """
    kinds = [kind.name for kind in KINDS.values() if kind.meshes]
    query = select(Machine).where(Machine.retired_at.is_(None), Machine.kind.in_(kinds))
    return [
        {
            "slug": machine.slug,
            "name": machine.name,
            "limits": machine.limits,
            "wanted": not wanted or machine.id in wanted,
        }
        for machine in session.scalars(query.order_by(Machine.name, Machine.slug))
    ]
