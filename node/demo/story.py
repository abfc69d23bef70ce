"""The main job, told step by step: from a design in a commons to a record that was heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.domain.job import HoldReason
from jobs.domain.preflight import Severity
from node.cli.words import text
from node.demo.api import DemoError, Operator
from node.demo.hearer import Hearer
from node.demo.lab import SITE, DemoLab

Json = dict[str, Any]

_SLOWEST_S = 600.0  # wall time after which the demo gives up
_FINISHED = "org.fabnode.job.finished.v1"
_OVER = {"done", "failed", "cancelled", "held"}


@dataclass(frozen=True, slots=True)
class Wish:
    """One design to make: where it is, and which part of it."""

    source: str
    ref: str


@dataclass(slots=True)
class Made:
    """What became of one design; times are simulated seconds."""

    title: str
    licence: str
    job_id: str = ""
    state: str = ""
    hold_reason: str = ""
    grams: float = 0.0
    planned_s: float = 0.0
    real_s: float = 0.0
    lines: int = 0
    resends: int = 0
    record_id: str = ""
    heard: int = 0
    announced: bool = False
    told: set[str] = field(default_factory=set)

    @property
    def waits_for_slicer(self) -> bool:
        """Tell whether it is held for want of a slicer, and for nothing else."""
        return self.hold_reason == HoldReason.SLICER_MISSING


Say = Callable[[str], None]
Show = Callable[[str, str, float], None]  # which design, where it is, how far from 0 to 1


def tell(
    lab: DemoLab,
    wishes: Sequence[Wish],
    *,
    say: Say,
    show: Show = lambda _title, _where, _share: None,
    speed: float = 120.0,
) -> list[Made]:
    """Make every wish at once on the lab's printers, and tell each step of it.

    :raises DemoError: if something does not come about in time.
    """
    operator = Operator(lab.address, lab.keys)
    hearer = None if lab.broker is None else Hearer(lab.broker.port, SITE)
    try:
        made = [_queue(operator, wish, say) for wish in wishes]
        _watch(operator, made, say, show, speed)
        if hearer is None:
            say(text("demo.no-broker", waiting=operator.get("/health")["outbox_waiting"]))
        else:
            for each in made:
                _hear(hearer, operator, each)
        return made
    finally:
        operator.close()
        if hearer is not None:
            hearer.close()


def _queue(operator: Operator, wish: Wish, say: Say) -> Made:
    design = operator.post("/designs", {"source": wish.source, "ref": wish.ref})
    say(text("demo.fetched", title=design["title"], source=wish.source))
    say("    " + text("demo.licence", licence=design["licence"] or "?"))
    if design["problems"]:
        say("    " + text("demo.problems", count=len(design["problems"])))
    part = next((path for path in design["printable"] if path.lower().endswith(".stl")), None)
    job = operator.post(
        "/jobs/from-design", {"design": design["id"], "part": part, "purpose": "own"}
    )
    say("    " + text("demo.queued", number=job["number"], part=part or "?"))
    return Made(design["title"], design["licence"], job_id=job["id"])


def _watch(operator: Operator, made: list[Made], say: Say, show: Show, speed: float) -> None:
    deadline = time.monotonic() + _SLOWEST_S
    while any(each.state not in _OVER for each in made):
        if time.monotonic() > deadline:
            raise DemoError("demo.too-slow")
        for each in made:
            _look(operator.get(f"/jobs/{each.job_id}"), each, say, show, speed)
        if any(each.state == "waiting" for each in made):
            _clear_a_bed(operator, say)
        time.sleep(0.4)


def _look(detail: Json, made: Made, say: Say, show: Show, speed: float) -> None:
    """Take in what the job's page says, and tell what is new of it."""
    job = detail["job"]
    made.state, made.hold_reason = job["state"], job["hold_reason"] or ""
    for step in detail["steps"]:
        key = f"{step['name']}-{step['state']}"
        if step["state"] in {"done", "skipped", "failed"} and key not in made.told:
            made.told.add(key)
            say(_step_line(made, step))
    if preflights := detail["preflights"]:
        best = preflights[0]
        made.planned_s, made.grams = best["planned_s"], best["mass_g"]
        for one in preflights:
            _tell_blocks(one, made, say)
    for attempt in detail["attempts"]:
        made.lines, made.resends = attempt["acked_lines"], attempt["resends"]
        made.real_s = attempt["machine_s"] * speed
        made.record_id = attempt["record_id"] or ""
    if job["run"] is not None:
        show(made.title, text("cli.line", line=job["run"]["line"]), job["run"]["progress"])
    elif made.state == "done":
        show(made.title, "", 1.0)


def _tell_blocks(preflight: Json, made: Made, say: Say) -> None:
    for finding in preflight["findings"]:
        key = f"{preflight['machine']}-{finding['code']}"
        if finding["severity"] == Severity.BLOCK and key not in made.told:
            made.told.add(key)
            say(f"    {preflight['machine']}: {finding['detail']}")


def _step_line(made: Made, step: Json) -> str:
    name = text(f"step.{step['name']}")
    state = text(f"state.step.{step['state']}")
    took = ""
    if step["started_at"] and step["ended_at"] and step["state"] == "done":
        began, ended = (_seconds(step[key]) for key in ("started_at", "ended_at"))
        took = f" ({ended - began:.1f} s)"
    return f"  {made.title}: {name}: {state}{took}"


def _clear_a_bed(operator: Operator, say: Say) -> None:
    """The operator looks at each free printer, clears it and says so: one start each."""
    for machine in operator.get("/machines"):
        is_free = machine["state"] in {"idle", "to-check"} and machine["run"] is None
        is_printer = machine["kind"] == "fdm" and machine["control"] == "serial"
        if is_printer and is_free and machine["armed"] is None:
            operator.stand_at(str(machine["slug"]))
            operator.post(f"/machines/{machine['slug']}/arm")
            say("  " + text("demo.armed", machine=machine["name"]))


def _hear(hearer: Hearer, operator: Operator, made: Made) -> None:
    if made.state != "done":
        return
    made.announced = hearer.wait_for(_FINISHED, made.job_id, 30) is not None
    if made.announced:
        operator.wait("/health", lambda health: health["outbox_waiting"] == 0, 30)
    made.heard = sum(event["data"].get("job") == made.job_id for event in hearer.events)


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
