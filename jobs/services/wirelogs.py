"""The wire log of a run: every byte to and from the machine, for whoever looks for a fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.domain.errors import NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services.planned import program_path
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, Preflight

_PIECE: Final = 1 << 16
_LARGEST_STREAM: Final = 8 << 20  # a longer program is not put in front of its log [bytes]


class WireLogs:
    """Hands out what machine hosts have logged."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def get(self, actor: Actor, job_id: str, attempt_id: str) -> tuple[str, Iterator[bytes]]:
        """Return a file name and the packed log; `python -m drivers.replay` reads it.

        :raises NotFoundError: if there is no such run, or its log is not kept any more.
        :raises NotAllowedError: unless the job is the actor's, or they are an operator.
        """
        with self._workshop.database.read() as session:
            attempt, job = session.get(Attempt, attempt_id), session.get(Job, job_id)
            if attempt is None or job is None or attempt.job_id != job.id:
                raise NotFoundError("job.unknown")
            if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
                raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
            slug = session.get_one(Machine, attempt.machine_id).slug
            found = attempt.preflight_id and session.get(Preflight, attempt.preflight_id)
            stream = found.stream_sha256 if isinstance(found, Preflight) else None
        pieces = self._workshop.gateway.wire_log(slug, attempt.id)
        if not pieces:
            raise NotFoundError("job.no-wire-log")
        program = program_path(self._workshop.work_dir, stream) if stream else None
        name = f"{slug}-{job.number}-{attempt.id[-6:]}.jsonl.gz"
        return name, _packed(program, pieces)


def _packed(program: Path | None, pieces: list[Path]) -> Iterator[bytes]:
    """Yield the program, if it is there and small, and then the log: gzip files add up."""
    if program is not None and program.is_file() and program.stat().st_size <= _LARGEST_STREAM:
        head = json.dumps({"stream": program.read_bytes().decode("latin-1")}) + "\n"
        yield gzip.compress(head.encode("ascii"), 6, mtime=0)
    for path in pieces:
        try:
            with path.open("rb") as file:
                while data := file.read(_PIECE):
                    yield data
        except FileNotFoundError:
            return  # its host has let go of it meanwhile
