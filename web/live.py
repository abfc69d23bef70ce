"""Live values for open pages: Server-Sent Events with the text that changes, never markup.

One event carries every machine; `key` names all that makes a page look different in structure,
and a page whose key has changed fetches itself again. `house` grows when anything else changed,
such as the queue.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from jobs.domain.machine import Control, MachineState
from jobs.kinds import KINDS
from jobs.services.views import MachineView
from web.rendering import Sentences, heater_order, percent, temperature, utc

if TYPE_CHECKING:
    from web.auth import Visitor
    from web.context import Web

HEARTBEAT_S = 15.0  # proxies and phones drop what is silent longer
_LOOK_S = 0.5  # how often a stream looks for a new version
_LIFE_S = 600.0  # then the browser comes back by itself and is asked again who it is
_STREAMS = 60
_STREAMS_EACH = 6


@dataclass(slots=True)
class LiveStreams:
    """Counts the open streams, so that no one takes them all, and ends them at shutdown."""

    closing: bool = False
    _open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, person_id: str) -> bool:
        """Take a place; False when there is none left."""
        with self._lock:
            if self.closing or self._open.total() >= _STREAMS:
                return False
            if self._open[person_id] >= _STREAMS_EACH:
                return False
            self._open[person_id] += 1
            return True

    def leave(self, person_id: str) -> None:
        """Give the place back."""
        with self._lock:
            self._open[person_id] -= 1
            if self._open[person_id] <= 0:
                del self._open[person_id]

    def close(self) -> None:
        """Let every stream end, so that the server can stop."""
        self.closing = True


def machine_json(sentences: Sentences, machine: MachineView, now: datetime) -> dict[str, object]:
    """Return what a page shows of a machine, each value as its finished text.

    What an unheard machine said last is not what it does now: its readings stay away.
    """
    run = machine.run
    is_heard = machine.state is not MachineState.OFFLINE
    ends_at = run.ends_at if run else None
    return {
        "slug": machine.slug,
        "key": key_of(machine),
        "state": machine.state.value,
        "state_text": sentences.text(f"state.machine.{machine.state.value}"),
        "temperatures": {
            name: temperature(*machine.temperatures[name])
            for name in sorted(machine.temperatures, key=heater_order)
            if is_heard
        },
        "message": sentences.message(machine.message),
        "heat": heat(sentences, machine),
        "notice": machine.notice,
        "step": sentences.step(machine.step),
        "spindle": spindle(sentences, machine),
        "spindle_name": sentences.text("page.beam" if _has_beam(machine) else "page.spindle"),
        "progress": run.progress if run else None,
        "percent": f"{percent(run.progress)} %" if run else "",
        "remaining": sentences.duration(run.remaining_s) if run else "",
        "remaining_p90": sentences.duration(run.remaining_p90_s) if run else "",
        "ends": sentences.ends(ends_at, now) if ends_at else "",
        "ends_utc": utc(ends_at) if ends_at else "",
        "line": str(run.line) if run else "",
        "acked": f"{run.acked} / {run.total}" if run else "",
        "resends": str(run.resends) if run else "",
        "position": position(machine.position_mm) if is_heard else "",
        "controller": controller(sentences, machine.controller),
        "presence": presence(sentences, machine),
        "presence_is_loud": is_loud(machine),
        "acts": list(machine.acts),
        **{f"override_{name}": f"{at} %" for name, at in machine.overrides.items()},
    }


def key_of(machine: MachineView) -> str:
    """Return all that makes a machine's page look different in structure."""
    run = machine.run
    parts = (
        machine.state.value,
        run.job_id if run else "",
        run.state.value if run else "",
        "armed" if machine.armed else "",
        "check" if machine.to_check else "",
        "stopped" if machine.stopped else "",
        ",".join(sorted(machine.temperatures)),
        "turning" if machine.spindle_on else "",
        machine.message,
        "hot" if machine.heat_off_s is not None else "",
        "" if machine.power is None else f"power {machine.power}",
        ",".join(f"{part} {word}" for part, word in sorted(machine.plugs.items())),
        "controlled" if machine.acts else "",
        machine.in_use,
        ",".join(machine.differs),
        machine.step,
        " ".join(f"{axis}{by:.1f}" for axis, by in machine.back_mm.items()),
        "notice" if machine.notice else "",
        machine.watch.withheld,
        "burns" if machine.watch.left_s is not None else "",
        "loud" if is_loud(machine) else "",
        ",".join(name for name, how in machine.watch.interlocks.items() if how != "good"),
        "" if machine.watched_until is None else machine.watched_until.isoformat(),
        "used" if machine.is_used else "",
        "cools" if machine.power_off_s is not None else "",
        f"prompt {machine.prompt.number}" if machine.prompt else "",
    )
    return "|".join(parts)


def is_loud(machine: MachineView) -> bool:
    """Tell whether the person at a beam is to be reminded so that they hear it."""
    left = machine.watch.left_s
    return left is not None and left <= machine.switching.remind_before_s


def presence(sentences: Sentences, machine: MachineView) -> str:
    """Return how much time is left to say that one is there; "" if nothing waits for it."""
    left = machine.watch.left_s
    if left is None:
        return ""
    minutes, seconds = divmod(max(0, round(left)), 60)
    return sentences.text("page.beam.left", time=f"{minutes}:{seconds:02}")


def controller(sentences: Sentences, word: str) -> str:
    """Return the controller's state and sub-state as a person says it; "" if it has none.

    A word we do not know is said as the controller says it.
    """
    name, _, detail = word.partition(":")
    for code in (f"controller.{name}-{detail}", f"controller.{name}"):
        if code.lower() in sentences.codes:
            return sentences.text(code.lower())
    return word


def spindle(sentences: Sentences, machine: MachineView) -> str:
    """Return whether the tool turns, or a beam is on; "" without either, or if nobody hears it."""
    # Of a machine without a host nobody knows it.
    if machine.state is MachineState.OFFLINE or machine.control is not Control.SERIAL:
        return ""
    if _has_beam(machine):
        return sentences.text("page.beam.on" if machine.spindle_on else "page.beam.off")
    if not machine.limits.spindle_max_rpm:
        return ""
    return sentences.text("page.spindle.on" if machine.spindle_on else "page.spindle.off")


def _has_beam(machine: MachineView) -> bool:
    kind = KINDS.get(machine.kind)
    return kind is not None and kind.has_beam


def heat(sentences: Sentences, machine: MachineView) -> str:
    """Return that heat is on without a job, and until when; "" if it is not."""
    if machine.heat_off_s is None:
        return ""
    time = sentences.duration(machine.heat_off_s)
    if machine.heat_kept_by:
        return sentences.text("page.machine.heat-kept", name=machine.heat_kept_by, time=time)
    return sentences.text("page.machine.heat-off", time=time)


def position(position_mm: tuple[float, ...] | None) -> str:
    """Return where the machine stands.

    >>> position((1.0, 20.25, 0.0)), position(None)
    ('X 1.0  Y 20.2  Z 0.0 mm', '')
    """
    if not position_mm:
        return ""
    axes = (f"{axis} {at:.1f}" for axis, at in zip("XYZ", position_mm, strict=False))
    return "  ".join(axes) + " mm"


def router(find: Callable[[Request], tuple[Web, Visitor | None]]) -> APIRouter:
    """Return the route of the event stream.

    :param find: who is asking; may block, so it runs in a thread.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/events")
    async def events(request: Request) -> Response:
        web, visitor = await run_in_threadpool(find, request)
        if visitor is None:
            return Response(status_code=401)
        if not web.streams.enter(visitor.actor.person_id):
            # 204 tells the browser not to come back; the page still works by reloading.
            return Response(status_code=204)
        return StreamingResponse(
            _stream(request, web, visitor, lambda: find(request)[1] is not None),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return routes


async def _stream(
    request: Request, web: Web, visitor: Visitor, is_signed_in: Callable[[], bool]
) -> AsyncIterator[str]:
    live = web.services.workshop.live
    clock = asyncio.get_running_loop().time
    began = spoke = clock()
    version = -1
    sent = ""
    try:
        yield "retry: 3000\n\n"
        while not web.streams.closing and clock() - began < _LIFE_S:
            if await request.is_disconnected():
                return
            if live.version != version:
                version = live.version
                if not await run_in_threadpool(is_signed_in):
                    return
                text = await run_in_threadpool(_machines_text, web, visitor)
                yield f"event: machines\ndata: {text}\n\n" if text != sent else ": same\n\n"
                sent, spoke = text, clock()
            elif clock() - spoke >= HEARTBEAT_S:
                yield ": still here\n\n"
                spoke = clock()
            await asyncio.sleep(_LOOK_S)
    finally:
        web.streams.leave(visitor.actor.person_id)


def _machines_text(web: Web, visitor: Visitor) -> str:
    now = web.clock()
    machines = web.services.machines.board(now, visitor.actor)
    values = [machine_json(web.renderer.sentences, machine, now) for machine in machines]
    told = {"house": web.services.workshop.live.house, "machines": values}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
