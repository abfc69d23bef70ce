"""Designs, people and records in JSON."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from jobs.domain.people import Role
from jobs.services.views import DesignView, PersonView, RecordView


class RecordOut(BaseModel):
    """One link of the ledger."""

    seq: int
    id: str
    digest: str
    made_at: datetime
    body: dict[str, object]

    @classmethod
    def of(cls, record: RecordView) -> RecordOut:
        """Return the JSON form."""
        return cls(
            seq=record.seq,
            id=record.id,
            digest=record.digest,
            made_at=record.made_at,
            body=dict(record.body),
        )


class DesignOut(BaseModel):
    """A design in the library."""

    id: str
    title: str
    version: str
    licence: str
    licensor: str
    source: str
    description: str
    printable: list[str]
    problems: list[dict[str, str]]
    fetched_at: datetime

    @classmethod
    def of(cls, design: DesignView) -> DesignOut:
        """Return the JSON form."""
        return cls(
            id=design.id,
            title=design.title,
            version=design.version,
            licence=design.licence,
            licensor=design.licensor,
            source=design.source,
            description=design.description,
            printable=list(design.printable),
            problems=[dict(problem) for problem in design.problems],
            fetched_at=design.fetched_at,
        )


class PersonOut(BaseModel):
    """A person without secrets."""

    id: str
    login: str
    name: str
    role: Role
    simulated: bool
    disabled: bool

    @classmethod
    def of(cls, person: PersonView) -> PersonOut:
        """Return the JSON form."""
        return cls(
            id=person.id,
            login=person.login,
            name=person.name,
            role=person.role,
            simulated=person.simulated,
            disabled=person.disabled,
        )


class MeOut(BaseModel):
    """Who is asking, and the token that a browser's changes must carry."""

    person_id: str
    login: str
    name: str
    role: Role
    csrf: str | None


class NewPersonOut(BaseModel):
    """A new person and the path of their one-time link."""

    person: PersonOut
    sign_in_path: str


class VerdictOut(BaseModel):
    """What verifying the whole chain gave."""

    ok: bool
    records: int
    head: str
    bad_seq: int | None
    problem: str | None
