"""The lab's own numbers for sharing time: grace, holds, offers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from jobs.domain.errors import NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.domain.sharing import SharingRules
from jobs.services.workshop import Workshop
from jobs.store.tables import Setting

_KEY: Final = "lab.sharing"


def sharing_rules(session: Session) -> SharingRules:
    """Return what the lab decided."""
    row = session.get(Setting, _KEY)
    return SharingRules() if row is None else SharingRules.from_json(json.loads(row.value))


class LabSharing:
    """Use cases about these numbers."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def get(self) -> SharingRules:
        """Return what the lab decided."""
        with self._workshop.database.read() as session:
            return sharing_rules(session)

    def set(self, actor: Actor, values: Mapping[str, object]) -> SharingRules:
        """Decide for the lab; what *values* leave out stays as it is.

        :raises InvalidError: naming the number that cannot be.
        """
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        with self._workshop.database.write() as session:
            rules = SharingRules.from_json({**sharing_rules(session).to_json(), **values})
            session.merge(Setting(key=_KEY, value=json.dumps(rules.to_json())))
        return rules
