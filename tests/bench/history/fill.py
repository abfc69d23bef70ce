"""Write years of a lab's life into a database: what people, machines and the node left there.

Every day is alike, so that only the length of the history differs: each machine has claims by
day and runs by night, and each of them left what the node writes with it: notices, promises,
records. Messages that the broker has are kept for 90 days, as the sweep does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from drivers.profile import load_profile
from jobs.domain.machine import MachineLimits
from jobs.services.targets import target_for
from jobs.store.database import Database
from jobs.store.guards import SQLITE_GUARDS
from jobs.store.sharing import Notice, Offer, Wait
from jobs.store.tables import (
    Allocation,
    Arming,
    Attempt,
    Job,
    JobStep,
    Machine,
    OutboxMessage,
    Person,
    Preflight,
    Record,
    RunTime,
    UsageEvent,
)
from jobs.store.upkeep import Clearing

NOW: Final = datetime(2026, 3, 4, 10, 7, tzinfo=UTC)
PEOPLE: Final = 500
MACHINES: Final = 40
RESERVATIONS_A_DAY: Final = 200_000 / 3650  # of the whole lab
JOBS_A_DAY: Final = 100_000 / 3650
AHEAD_DAYS: Final = 30  # for which people have booked already, three times as densely
WAITING: Final = 40  # jobs in the queue
_STARTS_H: Final = (9, 11, 13, 15, 17)  # of claims of up to two hours, so that none overlap
_OUTBOX_DAYS: Final = 90
_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = NOW.replace(hour=0, minute=0)
_STEPS: Final = ("inspect", "queue", "dispatch", "stream", "record", "announce")
_LIMITS: Final[Mapping[str, object]] = {
    "envelope_mm": [220, 220, 250],
    "nozzle_max_c": 260,
    "bed_max_c": 110,
    "nozzle_mm": 0.4,
    "filament_mm": 1.75,
}


@dataclass
class Filling:
    """Rows on their way into one database, table by table."""

    connection: Connection
    rows: dict[type, list[dict[str, Any]]] = field(default_factory=dict)
    count: int = 0

    def add(self, table: type, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)
        self.count += 1
        if self.count % 50_000 == 0:
            self.flush()

    def flush(self) -> None:
        """Write them; what others point at goes first."""
        for table in _ORDER:
            if found := self.rows.pop(table, []):
                self.connection.execute(insert(table), found)
        assert not self.rows


_ORDER: Final = (
    Person, Machine, Allocation, Job, JobStep, Preflight, Arming, Attempt, RunTime, UsageEvent,
    Record, Clearing, Notice, Offer, Wait, OutboxMessage,
)  # fmt: skip


def key(at: datetime, what: str, number: int) -> str:
    """Return an id that sorts by time, as those of the node do."""
    ms = int(at.timestamp() * 1000)
    text_of = f"{ms:012x}7{sum(what.encode()) % 4096:03x}8{number:015x}"
    return "-".join((text_of[:8], text_of[8:12], text_of[12:16], text_of[16:20], text_of[20:]))


def people() -> list[str]:
    """Return the ids of all members."""
    return [key(_MIDNIGHT - 4000 * _DAY, "person", number) for number in range(PEOPLE)]


def machines() -> list[str]:
    """Return the ids of all machines."""
    return [key(_MIDNIGHT - 4000 * _DAY, "machine", number) for number in range(MACHINES)]


def furnish(database: Database) -> None:
    """Write people and machines, what is booked from today on, and the queue."""
    begun = _MIDNIGHT - 4000 * _DAY
    with database.engine.begin() as connection:
        filling = Filling(connection)
        for number, person in enumerate(people()):
            filling.add(
                Person, id=person, login=f"p{number}", name=f"Person {number}",
                role="operator" if number % 50 == 0 else "member", created_at=begun,
            )  # fmt: skip
        for number, machine in enumerate(machines()):
            filling.add(
                Machine, id=machine, slug=f"m{number}", name=f"Machine {number}", kind="fdm",
                control="serial", profile="marlin-2", port=f"/dev/m{number}", baud=115200,
                limits=dict(_LIMITS), switching={}, created_at=begun,
            )  # fmt: skip
        filling.flush()
        chance = random.Random("ahead")
        for day in range(AHEAD_DAYS):
            _claims(filling, chance, _MIDNIGHT + day * _DAY, 3 * RESERVATIONS_A_DAY)
        number = 1_000_000
        for waiting in range(WAITING):
            number += 1
            _job(filling, chance, NOW - (WAITING - waiting) * timedelta(minutes=9), number, None)
        filling.flush()


def add_days(database: Database, first: int, last: int) -> None:
    """Write the days from *last* to *first* days ago; call it once for each stretch."""
    with database.engine.begin() as connection:
        # Its look at what is newer would cost more than all the rest; it stands again afterwards.
        for verb in ("insert", "update"):
            connection.execute(text(f"DROP TRIGGER allocation_no_overlap_{verb}"))
        filling = Filling(connection)
        for ago in range(last, first, -1):
            day = _MIDNIGHT - ago * _DAY
            chance = random.Random(ago)
            _claims(filling, chance, day, RESERVATIONS_A_DAY, is_over=True)
            _runs(filling, chance, day, ago)
        filling.flush()
        for guard in SQLITE_GUARDS:
            connection.execute(text(guard))


def _some(chance: random.Random, mean: float) -> int:
    return int(mean) + (chance.random() < mean % 1)


def _places(chance: random.Random, count: int, hours: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    every = [(machine, hour) for machine in range(MACHINES) for hour in hours]
    yield from chance.sample(every, min(count, len(every)))


def _claims(
    filling: Filling,
    chance: random.Random,
    day: datetime,
    mean: float,
    *,
    is_over: bool = False,
) -> None:
    everybody, every_machine = people(), machines()
    for number, (machine, hour) in enumerate(_places(chance, _some(chance, mean), _STARTS_H)):
        start = day + timedelta(hours=hour)
        end = start + timedelta(minutes=15 * chance.randint(2, 8))
        claim, person = key(start, "claim", number), chance.choice(everybody)
        luck = chance.random()
        state = "cancelled" if luck < 0.1 else "displaced" if luck < 0.12 else "active"
        made = min(start, NOW) - timedelta(days=chance.uniform(0.1, 9))
        is_missed = is_over and 0.08 < luck < 0.1
        filling.add(
            Allocation, id=claim, machine_id=every_machine[machine], kind="reservation",
            state=state, start_at=start, end_at=end, person_id=person, note="", sequence=1,
            created_at=made, displaced_reason="outage" if state == "displaced" else None,
            checked_in_at=start if state == "active" and end < NOW else None,
            missed_at=start if is_missed else None,
            attempt_id=None, displaced_by=None, series_id=None, purpose=None, expires_at=None,
            shows_name=None,
        )  # fmt: skip
        if is_over:
            _told(filling, person, start, "reminder-booking", f"booking:{claim}", number)
            if state == "displaced":
                offer = key(start, "offer", number)
                filling.add(
                    Offer, id=offer, allocation_id=claim, person_id=person, kind="refund",
                    hold_id=None, state="lapsed", created_at=made, expires_at=start,
                )  # fmt: skip
            elif state == "cancelled":
                filling.add(
                    Wait, id=key(start, "wait", number), machine_id=every_machine[machine],
                    person_id=chance.choice(everybody), from_at=start, until_at=end, length_min=30,
                    state="over", hold_id=None, created_at=made, ended_at=end,
                )  # fmt: skip
        _said(filling, made, "reservation.made", None, number)


def _runs(filling: Filling, chance: random.Random, day: datetime, ago: int) -> None:
    count = _some(chance, JOBS_A_DAY)
    for number, (machine, hour) in enumerate(_places(chance, count, (20, 23))):
        start = day + timedelta(hours=hour, minutes=number % 7)
        _job(filling, chance, start, (3651 - ago) * 50 + number, machines()[machine])


def _job(
    filling: Filling, chance: random.Random, at: datetime, number: int, machine: str | None
) -> None:
    """Write one job with all that it left; without a machine it waits."""
    job, person = key(at, "job", number), chance.choice(people())
    queued = at - timedelta(minutes=chance.randint(5, 300))
    took = timedelta(minutes=chance.randint(20, 170))
    end = at + took
    failed = machine is not None and chance.random() < 0.08
    filling.add(
        Job, id=job, number=number, title=f"part {number}.gcode", person_id=person, kind="fdm",
        machine_id=None, state="waiting" if machine is None else "failed" if failed else "done",
        hold_reason=None, input_kind="program", input_name=f"part {number}.gcode",
        input_sha256=f"{number:064x}", input_bytes=1_500_000, design_id=None, recipe=None,
        purpose="own", simulated=False, report={"layers": 200, "materials": ["PLA"]}, findings=[],
        created_at=queued, queued_at=queued, ended_at=None if machine is None else end,
    )  # fmt: skip
    for name in _STEPS if machine else _STEPS[:1]:
        filling.add(
            JobStep, job_id=job, name=name, state="done", started_at=queued, ended_at=end, detail={}
        )
    for examined in machines()[:3] if machine is None else (machine,):
        _preflight(filling, job, examined, number, queued, took)
    if machine is None:
        return
    run, preflight = key(at, "run", number), key(queued, f"examined {machine}", number)
    _end(filling, run, job, person, machine, number, at, end, failed=failed, preflight=preflight)


def _preflight(
    filling: Filling, job: str, machine: str, number: int, at: datetime, took: timedelta
) -> None:
    filling.add(
        Preflight, id=key(at, f"examined {machine}", number), job_id=job,
        machine_id=machine, verdict="pass", findings=[{"code": "info", "line": 7}] * 3,
        report={"time": {"start_s": 120.0, "work_s": took.total_seconds()}, "slicer": "x" * 40},
        limits_sha256="1" * 64, target_sha256=_target(), program_sha256=f"{number:064x}",
        stream_sha256=f"{number + 1:064x}", index_sha256=f"{number + 2:064x}",
        planned_sha256=f"{number + 3:064x}", stream_lines=60_000,
        planned_ms=int(took.total_seconds() * 1000), filament_um=4_000_000, mass_mg=12_000,
        made_at=at, superseded_at=None,
    )  # fmt: skip


@cache
def _target() -> str:
    """Return what the machines are held against: what waits can start, and so has a place."""
    limits = MachineLimits.from_json(_LIMITS)
    return target_for("fdm", limits, load_profile("marlin-2")).sha256()


def _end(
    filling: Filling,
    run: str,
    job: str,
    person: str,
    machine: str,
    number: int,
    at: datetime,
    end: datetime,
    *,
    failed: bool,
    preflight: str,
) -> None:
    """Write what a run leaves: its time, its use, its record, its clearing, its words."""
    arming, took_ms = key(at, "arming", number), int((end - at).total_seconds() * 1000)
    filling.add(
        Arming, id=arming, machine_id=machine, person_id=person, at=at,
        expires_at=at + timedelta(minutes=30), simulated=False, attempt_id=run, withdrawn_at=None,
    )  # fmt: skip
    filling.add(
        Attempt, id=run, job_id=job, machine_id=machine, preflight_id=preflight, arming_id=arming,
        state="failed" if failed else "finished", started_at=at, ended_at=end, event_seq=400,
        acked=60_000, sent=60_000, total=60_000, source_line=70_000, resends=2,
        machine_ms=took_ms, reason=None, detail={},
    )  # fmt: skip
    filling.add(
        RunTime, attempt_id=run, machine_id=machine, at=at, slicer="PrusaSlicer 2.5",
        planned_start_ms=120_000, planned_work_ms=took_ms, start_p50_ms=120_000,
        start_p90_ms=150_000, work_p50_ms=took_ms, work_p90_ms=took_ms, p50_ms=took_ms,
        p90_ms=took_ms, runs=20, start_ms=None if failed else 118_000,
        work_ms=None if failed else took_ms, teaches=not failed,
    )  # fmt: skip
    filling.add(
        UsageEvent, id=key(at, "use", number), machine_id=machine, person_id=person,
        attempt_id=run, start_at=at, end_at=end,
    )  # fmt: skip
    filling.add(
        Allocation, id=key(at, "fact", number), machine_id=machine, kind="run", state="ended",
        start_at=at, end_at=end, person_id=person, note="", sequence=1, created_at=at,
        displaced_reason=None, checked_in_at=None, missed_at=None, attempt_id=run,
        displaced_by=None, series_id=None, purpose=None, expires_at=None, shows_name=None,
    )  # fmt: skip
    filling.add(
        Record, seq=number, id=key(at, "record", number), attempt_id=run, prev=f"{number - 1:064x}",
        body=b"{" + b"x" * 900 + b"}", digest=f"{number:064x}", signature="0" * 128, made_at=end,
    )  # fmt: skip
    filling.add(
        Clearing, id=key(end, "clearing", number), machine_id=machine, attempt_id=run,
        person_id=person, at=end + timedelta(hours=9), outcome="failed" if failed else "good",
        cause="", shelf="B 3", note="", photo_sha256=None,
    )  # fmt: skip
    _told(filling, person, end, "job-failed" if failed else "job-done", f"job:{job}", number)
    for kind in ("job.started", "job.finished", "usage.recorded", "material.consumed"):
        _said(filling, end, kind, job, number)


def _told(filling: Filling, person: str, at: datetime, code: str, about: str, number: int) -> None:
    fields = {"machine": "Machine", "title": "part", "start": at.isoformat()}
    filling.add(
        Notice, id=key(at, code, number), person_id=person, at=at, code=code, fields=fields,
        about=about, key=f"{code}:{about}", read_at=at,
    )  # fmt: skip


def _said(filling: Filling, at: datetime, kind: str, job: str | None, number: int) -> None:
    if at > NOW - _OUTBOX_DAYS * _DAY:
        filling.add(
            OutboxMessage, id=key(at, kind + str(at), number), kind=kind,
            body=b"{" + b"y" * 500 + b"}", created_at=at, tries=1, acked_at=at, job_id=job,
        )  # fmt: skip
