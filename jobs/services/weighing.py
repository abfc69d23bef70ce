"""What counts how much for a place in the queue: the lab's own weights, with a name and a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.domain.errors import NotAllowedError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.priority import Weights
from jobs.services.ordering import WEIGHTS, weights_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Person, Setting

_SAID: Final = "queue.weights.said"  # the setting: who decided and when


@dataclass(frozen=True, slots=True)
class WeightsView:
    """The weights that hold.

    :param by: who decided them; "" where they are as by default.
    """

    weights: Weights
    by: str
    at: datetime | None


class Weighing:
    """Use cases about the weights of the queue's order."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def get(self) -> WeightsView:
        """Return what counts how much."""
        with self._workshop.database.read() as session:
            weights, row = weights_of(session), session.get(Setting, _SAID)
            if row is None:
                return WeightsView(weights, "", None)
            said = json.loads(row.value)
            person = session.get(Person, said["person"])
            at = datetime.fromisoformat(said["at"])
            return WeightsView(weights, person.name if person else "", at)

    def decide(self, actor: Actor, values: Mapping[str, object], now: datetime) -> None:
        """Take an admin's word; a key that is left out is as by default.

        :raises InvalidError: naming the weight and its limits.
        """
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        weights = Weights.from_json(values)
        said = {"person": actor.person_id, "at": rfc3339(now)}
        with self._workshop.database.write() as session:
            session.merge(Setting(key=WEIGHTS, value=json.dumps(weights.to_json())))
            session.merge(Setting(key=_SAID, value=json.dumps(said)))
        self._workshop.live.touch()
