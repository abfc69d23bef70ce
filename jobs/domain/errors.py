"""What can go wrong in jobs, cut by what the caller should do.

    JobsError
    ├── RefusedError      a rule says no; carries every reason at once
    ├── InvalidError      the input is wrong; names the field and what is wanted
    ├── NotFoundError     no such thing
    ├── NotAllowedError   this person may not
    └── UnavailableError  a part is missing or away: slicer, host, broker

Each carries a dotted code and fields; the sentence for a person is in the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.domain.policy import Refusal


class JobsError(Exception):
    """The root: a stable code and the fields of its sentence."""

    def __init__(self, code: str, **fields: str | int | float) -> None:
        self.code = code
        self.fields = fields
        super().__init__(f"{code} {fields}" if fields else code)


class RefusedError(JobsError):
    """A rule says no. Carries all reasons, so that a person mends them in one visit."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("refused", reasons=", ".join(r.reason for r in self.refusals))


class InvalidError(JobsError):
    """The input is wrong; `field` names where, the code says what is wanted."""

    def __init__(self, code: str, *, field: str = "", **fields: str | int | float) -> None:
        self.field = field
        super().__init__(code, **fields)


class NotFoundError(JobsError):
    """There is no such thing here."""


class NotAllowedError(JobsError):
    """This person may not do this."""


class UnavailableError(JobsError):
    """A part that is needed is missing or does not answer."""
