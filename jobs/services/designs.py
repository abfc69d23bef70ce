"""Designs from the commons: look around, bring one into the library, read its manifest."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.designs import example_folder
from jobs.designs.sources import SOURCES, Listed, Release, Source
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services.asked import must_be
from jobs.services.designviews import design_view
from jobs.services.views import DesignView
from jobs.services.workers import Task, run_worker
from jobs.services.workshop import Workshop
from jobs.store.tables import Design, DesignFile, Setting

EXAMPLE = "example"  # the design that the project brings along
_PREFIX = "source."
_NAME = re.compile(r"[a-z0-9-]{1,32}")
_KEPT_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class SourceView:
    """A commons the lab knows, and how it is reached."""

    name: str
    kind: str
    address: str


class Designs:
    """Use cases about designs; strangers' manifests are read in workers only."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def sources(self) -> builtins.list[SourceView]:
        """Return the commons of the lab; our own example is always there."""
        query = select(Setting).where(Setting.key.startswith(_PREFIX)).order_by(Setting.key)
        with self._workshop.database.read() as session:
            rows = session.scalars(query).all()
        found = [SourceView(EXAMPLE, "folder", str(example_folder()))]
        for row in rows:
            kind, _, address = row.value.partition(":")
            found.append(SourceView(row.key.removeprefix(_PREFIX), kind, address))
        return found

    def add_source(self, actor: Actor, name: str, kind: str, address: str) -> SourceView:
        """Make a commons known.

        :raises InvalidError: about the field that is wrong.
        """
        must_be(actor, Role.OPERATOR)
        if not _NAME.fullmatch(name) or name == EXAMPLE:
            raise InvalidError("source.bad-name", field="name", name=name[:40])
        self._open(SourceView(name, kind, address))
        with self._workshop.database.write() as session:
            session.merge(Setting(key=_PREFIX + name, value=f"{kind}:{address}"))
        return SourceView(name, kind, address)

    def remove_source(self, actor: Actor, name: str) -> None:
        """Forget a commons; what came from it stays."""
        must_be(actor, Role.OPERATOR)
        with self._workshop.database.write() as session:
            row = session.get(Setting, _PREFIX + name)
            if row is None:
                raise NotFoundError("source.unknown", source=name)
            session.delete(row)

    def browse(self, source: str) -> builtins.list[Listed]:
        """Return what a commons offers."""
        return self._source(source).list()

    def fetch(self, actor: Actor, source: str, ref: str, now: datetime) -> DesignView:
        """Bring a design into the library; the same state of it twice is one design.

        :raises InvalidError: if its manifest cannot be read at all.
        """
        must_be(actor, Role.MEMBER)
        release = self._source(source).fetch(ref, self._workshop.library)
        known = self._by_release(release.sha256)
        if known is not None:
            return known
        told = self._describe(release)
        with self._workshop.database.write() as session:
            row = _find(session, release.sha256)
            if row is None:
                row = _design(self._workshop.new_id(), source, release, told, now)
                session.add(row)
                session.flush()
                _add_files(session, row, release)
            view = design_view(row)
        self._workshop.live.touch()
        return view

    def list(self) -> builtins.list[DesignView]:
        """Return the designs of the library, the newest first."""
        query = select(Design).order_by(Design.fetched_at.desc(), Design.title)
        with self._workshop.database.read() as session:
            return [design_view(design) for design in session.scalars(query)]

    def get(self, design_id: str) -> DesignView:
        """Return one design."""
        with self._workshop.database.read() as session:
            design = session.get(Design, design_id)
            if design is None:
                raise NotFoundError("design.unknown", design=design_id)
            return design_view(design)

    def _by_release(self, sha256: str) -> DesignView | None:
        with self._workshop.database.read() as session:
            design = _find(session, sha256)
            return design_view(design) if design else None

    def _source(self, name: str) -> Source:
        for view in self.sources():
            if view.name == name:
                return self._open(view)
        raise NotFoundError("source.unknown", source=name)

    def _open(self, view: SourceView) -> Source:
        if view.kind not in SOURCES:
            known = ", ".join(SOURCES)
            raise InvalidError("source.bad-kind", field="kind", kind=view.kind, known=known)
        return SOURCES[view.kind](view.address)

    def _describe(self, release: Release) -> Mapping[str, object]:
        name = PurePosixPath(release.manifest.path).name
        path = self._workshop.library.path(release.manifest.stored.sha256)
        request = {"manifest": release.manifest.path, "files": release.paths}
        answer = run_worker(Task.MANIFEST, request, {name: path})
        if not answer.ok:
            reason = answer.failure.value if answer.failure else "unknown"
            raise InvalidError("design.unreadable", field="design", reason=reason)
        return answer.result


def _design(
    design_id: str, source: str, release: Release, told: Mapping[str, object], now: datetime
) -> Design:
    design, licence = _mapping(told.get("design")), _mapping(told.get("licence"))
    problems = told.get("problems")
    makeable = told.get("makeable")
    return Design(
        id=design_id,
        source=source,
        source_ref=release.id[:255],
        title=(_text(design, "title") or release.id)[:200],
        version=_text(design, "version")[:80],
        licence=(_text(licence, "expression") or _text(licence, "written"))[:200],
        licensor=_text(design, "licensor")[:200],
        release_sha256=release.sha256,
        manifest_sha256=release.manifest.stored.sha256,
        summary={
            "description": _text(design, "description")[:2000],
            "origin": release.origin,
            "printable": _paths(makeable),
            "licence": dict(licence),
            "problems": problems[:_KEPT_PROBLEMS] if isinstance(problems, list) else [],
            "skipped": list(release.skipped)[:_KEPT_PROBLEMS],
        },
        fetched_at=now,
    )


def _add_files(session: Session, row: Design, release: Release) -> None:
    printable = set(row.summary["printable"])
    for file in release.files:
        session.add(
            DesignFile(
                design_id=row.id,
                path=file.path,
                sha256=file.stored.sha256,
                size_bytes=file.stored.size_bytes,
                printable=file.path in printable,
            )
        )


def _find(session: Session, release_sha256: str) -> Design | None:
    return session.scalar(select(Design).where(Design.release_sha256 == release_sha256))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _paths(makeable: object) -> list[str]:
    rows = makeable if isinstance(makeable, list) else []
    return [str(row["path"]) for row in rows if isinstance(row, Mapping) and "path" in row]
