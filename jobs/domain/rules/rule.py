"""The shape of a rule: a reason, a function, and the values of the lab that it goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules.facts import Act, Facts
from jobs.domain.rules.values import Values

Judge = Callable[[Facts, Values], Iterator[Refusal]]
EITHER = frozenset(Act)
BOOKING = frozenset({Act.BOOK})
STARTING = frozenset({Act.START})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the house; its sentence is `reason.<reason>` in the catalogue.

    :param judge: pure; yields nothing where the wish passes.
    :param acts: what it is asked about.
    :param of_time: whether another time, or another length, can make it pass.
    :param keys: the values it goes by, that members may propose to change; the first is meant
        where one is to be named.
    """

    reason: Reason
    judge: Judge
    acts: frozenset[Act]
    keys: tuple[str, ...] = ()
    of_time: bool = False
