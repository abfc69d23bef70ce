"""Pictures of what a job makes: drawn by a worker when they are first wanted, kept under a quota.

A picture's file is named by the hash of all that it shows, so it never grows old: another
program, machine or way of drawing has another name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotFoundError, UnavailableError
from jobs.domain.job import InputKind, JobState
from jobs.services.planned import program_path
from jobs.services.sniff import sniff
from jobs.services.targets import target_of
from jobs.services.workers import Task, WorkerLimits, run_worker
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, Machine, Preflight

QUOTA_BYTES: Final = 200 * 1024 * 1024
THEMES: Final = ("light", "dark")
_TOLD: Final = ("features", "speed_mm_s", "heights_mm")
_DRAWN_AS: Final = 2  # grows when pictures are drawn otherwise
_NAME: Final = re.compile(r"mesh|overview|cut|layer-([1-9]\d{0,8})")
_AHEAD: Final = 4  # layers drawn at once: whoever looks at one looks at the next
_WAIT_S: Final = 30.0  # for other pictures that are being drawn
_NEWEST: Final = 40  # jobs whose pictures are drawn before anybody asks
_MOST_FAILED: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a worker draws, and under which name its pictures are kept."""

    key: str
    path: Path
    suffix: str
    request: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProgramPictures:
    """Which pictures there are of a job's program for one machine.

    :param version: changes with what they show.
    :param kind: of machine: a printer's has layers and an overview, others one of the whole cut.
    :param layers: height [mm] and time [s] of each, of the first 2,000.
    :param features: words of what the slicer names, None until a picture has been drawn.
    :param speed: slowest and fastest of what is made [mm/s], likewise.
    :param heights: lowest and highest of what is made [mm], likewise.
    :param has_keep_out: boxes that nothing may reach into are drawn with a layer.
    """

    machine_slug: str
    machine_name: str
    version: str
    kind: str
    layer_count: int
    layers: Sequence[tuple[float, float]]
    features: Sequence[str] | None
    speed: tuple[float, float] | None
    heights: tuple[float, float] | None
    has_keep_out: bool = False

    @property
    def prints(self) -> bool:
        """Tell whether it has layers and an overview."""
        return self.kind == "fdm"

    @property
    def goes_down(self) -> bool:
        """Tell whether a cut is seen from the side, too, coloured by its depth."""
        return self.kind not in ("fdm", "laser")


@dataclass(frozen=True, slots=True)
class JobPictures:
    """Which pictures there are of a job.

    :param mesh: version of the mesh's picture; "" where there is none.
    """

    mesh: str
    programs: Sequence[ProgramPictures]


class Pictures:
    """Gives pictures as files; one worker draws at a time."""

    def __init__(self, workshop: Workshop, quota_bytes: int = QUOTA_BYTES) -> None:
        self._workshop = workshop
        self._quota = quota_bytes
        self._folder = workshop.work_dir / "pictures"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Lock()
        self._failed: set[str] = set()

    def of(self, job_id: str) -> JobPictures:
        """Return which pictures there are of a job; draws nothing."""
        with self._workshop.database.read() as session:
            job = _job(session, job_id)
            mesh = ""
            if job.input_kind == InputKind.MESH:
                key = _key("mesh", job.input_sha256)
                mesh = "" if key in self._failed else key[:12]
            rows = session.execute(
                select(Preflight, Machine)
                .join(Machine, Machine.id == Preflight.machine_id)
                .where(Preflight.job_id == job_id, Preflight.superseded_at.is_(None))
                .order_by(Machine.name, Machine.slug)
            ).all()
            return JobPictures(mesh, [one for row in rows for one in self._told(*row)])

    def _told(self, preflight: Preflight, machine: Machine) -> Iterator[ProgramPictures]:
        try:
            subject = self._program_of(preflight, machine, by_speed=False)
        except NotFoundError:
            return
        if preflight.stream_sha256 is None or subject.key in self._failed:
            return
        about = self._about(subject)
        features = about.get("features")
        yield ProgramPictures(
            machine.slug,
            machine.name,
            subject.key[:12],
            machine.kind,
            _count(preflight.report.get("layer_count")),
            layer_rows(preflight.report),
            [str(word) for word in features] if isinstance(features, list) else None,
            _pair(about.get("speed_mm_s")),
            _pair(about.get("heights_mm")),
            bool(machine.limits.get("keep_out_mm")),
        )

    def _about(self, subject: _Subject) -> dict[str, object]:
        """Return what was learned when the first picture was drawn; empty before."""
        try:
            about = json.loads(self._told_place(subject).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}

    def mesh(self, job_id: str) -> Path:
        """Return the picture of a job's mesh, a PNG on clear ground.

        :raises NotFoundError: `picture.none`, also for a job of a program.
        :raises UnavailableError: `picture.busy`.
        """
        with self._workshop.database.read() as session:
            subject = self._mesh(_job(session, job_id))
        return self._picture(subject, "mesh", {})

    def program(
        self, job_id: str, machine_slug: str, name: str, theme: str = "light", by: str = ""
    ) -> Path:
        """Return a picture of the job's program for one machine, a PNG.

        :param name: `overview` (clear ground), `layer-<number from 1>`, or `cut` of a mill.
        :param by: `speed` colours a layer by speed, else by feature.
        """
        found = _NAME.fullmatch(name)
        if found is None or name == "mesh":
            raise InvalidError("picture.name", field="name")
        if theme not in THEMES or by not in ("", "feature", "speed"):
            raise InvalidError("picture.name", field="theme" if theme not in THEMES else "by")
        with self._workshop.database.read() as session:
            subject = self._program(session, job_id, machine_slug, by_speed=by == "speed")
        file = name if name == "overview" else f"{name}-{theme}"
        wanted: dict[str, object] = {"overview": name == "overview"}
        if number := found[1]:
            wanted["layers"] = [int(number) + each for each in range(_AHEAD)]
        return self._picture(subject, file, wanted)

    def draw_next(self) -> bool:
        """Draw what the next person will want to see, of the newest jobs; False if all is there."""
        with self._workshop.database.read() as session:
            wanted = list(self._wanted(session))
        for subject, file, request in wanted:
            if not self._place(subject, file).exists() and subject.key not in self._failed:
                try:
                    self._picture(subject, file, request)
                except (NotFoundError, UnavailableError):
                    continue
                self._workshop.live.touch()
                return True
        return False

    def _wanted(self, session: Session) -> Iterator[tuple[_Subject, str, dict[str, object]]]:
        over = (JobState.DONE.value, JobState.FAILED.value, JobState.CANCELLED.value)
        query = select(Job).where(Job.state.not_in(over)).order_by(Job.number.desc())
        for job in session.scalars(query.limit(_NEWEST)):
            if job.input_kind == InputKind.MESH:
                yield self._mesh(job), "mesh", {}
            current = select(Preflight).where(
                Preflight.job_id == job.id, Preflight.superseded_at.is_(None)
            )
            for preflight in session.scalars(current):
                if preflight.stream_sha256 is None:
                    continue
                machine = session.get_one(Machine, preflight.machine_id)
                try:
                    subject = self._program_of(preflight, machine, by_speed=False)
                except NotFoundError:
                    continue
                middle = max(1, _count(preflight.report.get("layer_count")) // 2)
                file = "overview" if machine.kind == "fdm" else "cut-light"
                yield subject, file, {"overview": True, "layers": sorted({1, middle})}

    def _mesh(self, job: Job) -> _Subject:
        if job.input_kind != InputKind.MESH:
            raise NotFoundError("picture.none")
        path = self._workshop.library.path(job.input_sha256)
        sniffed = sniff(path)
        return _Subject(_key("mesh", job.input_sha256), path, sniffed.suffix if sniffed else ".stl")

    def _program(
        self, session: Session, job_id: str, machine_slug: str, *, by_speed: bool
    ) -> _Subject:
        row = session.execute(
            select(Preflight, Machine)
            .join(Machine, Machine.id == Preflight.machine_id)
            .where(
                Preflight.job_id == job_id,
                Preflight.superseded_at.is_(None),
                Machine.slug == machine_slug,
            )
        ).first()
        if row is None:
            raise NotFoundError("picture.none")
        return self._program_of(row[0], row[1], by_speed=by_speed)

    def _program_of(self, preflight: Preflight, machine: Machine, *, by_speed: bool) -> _Subject:
        target = target_of(machine, self._workshop.profiles_dir)
        path = program_path(self._workshop.work_dir, preflight.program_sha256)
        if target is None or not path.is_file():
            raise NotFoundError("picture.none")
        request: dict[str, object] = {
            "limits": target.limits.to_json(),
            "dialect": target.dialect,
            "kind": target.kind,
            "by_speed": by_speed,
        }
        key = _key("program", preflight.program_sha256, json.dumps(request, sort_keys=True))
        return _Subject(key, path, ".gcode", request)

    def _picture(self, subject: _Subject, file: str, wanted: dict[str, object]) -> Path:
        place = self._place(subject, file)
        if not place.exists():
            if subject.key in self._failed:
                raise NotFoundError("picture.none")
            if not self._turn.acquire(timeout=_WAIT_S):
                raise UnavailableError("picture.busy")
            try:
                if not place.exists():
                    self._draw(subject, wanted)
            finally:
                self._turn.release()
        try:
            os.utime(place)  # what is looked at stays longest
        except FileNotFoundError:
            raise NotFoundError("picture.none") from None
        return place

    def _draw(self, subject: _Subject, wanted: dict[str, object]) -> None:
        configured = self._workshop.worker_limits
        limits = None if configured == WorkerLimits() else configured
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as folder:
            made = run_worker(
                Task.PICTURE,
                {**subject.request, **wanted},
                {f"input{subject.suffix}": subject.path},
                outputs=Path(folder),
                limits=limits,
            )
            fresh = {self._place(subject, path.stem) for path in made.outputs.values()}
            for path in made.outputs.values():
                path.replace(self._place(subject, path.stem))
            if made.outputs and subject.request:
                about = {key: made.result.get(key) for key in _TOLD}
                beside = Path(folder, "about")
                beside.write_text(json.dumps(about), encoding="utf-8")
                beside.replace(self._told_place(subject))
        if not made.outputs and not wanted.get("layers"):
            # Never twice: a file that kills a worker would do so at each look.
            if len(self._failed) >= _MOST_FAILED:
                self._failed.clear()
            self._failed.add(subject.key)
        self._trim(fresh)

    def _place(self, subject: _Subject, file: str) -> Path:
        return self._folder / f"{subject.key}-{file}.png"

    def _told_place(self, subject: _Subject) -> Path:
        return self._folder / f"{subject.key}.json"

    def _trim(self, fresh: Collection[Path]) -> None:
        """Let the pictures go that nobody has looked at for longest, down to the quota.

        :param fresh: those that somebody waits for.
        """
        with os.scandir(self._folder) as entries:
            files = [
                (about.st_mtime, about.st_size, entry.path)
                for entry in entries
                if entry.is_file(follow_symlinks=False) and Path(entry.path) not in fresh
                for about in (entry.stat(follow_symlinks=False),)
            ]
        held = sum(size for _, size, _ in files) + sum(path.stat().st_size for path in fresh)
        for _, size, path in sorted(files):
            if held <= self._quota:
                break
            Path(path).unlink(missing_ok=True)
            held -= size


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join((str(_DRAWN_AS), *parts)).encode()).hexdigest()[:40]


def _pair(value: object) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if isinstance(value, list) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _job(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError("job.unknown")
    return job


def layer_rows(report: object) -> Sequence[tuple[float, float]]:
    """Return height [mm] and time [s] of each layer of a program's report."""
    rows = report.get("layers") if isinstance(report, dict) else None
    return [
        (float(row.get("z_mm", 0.0)), float(row.get("time_s", 0.0)))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]
