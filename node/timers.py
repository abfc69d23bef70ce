"""What happens by the clock. Every task is a function of the state and the time: a tick that
was missed costs nothing, because the next one sees the same facts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)


class Timers:
    """APScheduler for the clock, and threads of their own for what takes long."""

    def __init__(self) -> None:
        # The default grace of one second silently drops late runs on a busy small computer.
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []

    def every(self, seconds: float, name: str, task: Callable[[datetime], object]) -> None:
        """Run *task* with the present time again and again, and at once after the start."""
        self._scheduler.add_job(
            lambda: _guarded(name, lambda: task(datetime.now(UTC))),
            "interval",
            seconds=seconds,
            id=name,
            next_run_time=datetime.now(UTC),
        )

    def wake(self) -> None:
        """Have every task run now: the clock was set, and what was planned by the old one is off.

        A task of `loop` counts steadily and needs no waking.
        """
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=datetime.now(UTC))

    def loop(self, name: str, task: Callable[[], bool], idle_s: float) -> None:
        """Run *task* in a thread of its own; where it had nothing to do, wait a little."""

        def run() -> None:
            while not self._done.is_set():
                if not _guarded(name, task):
                    self._done.wait(idle_s)

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, begun or not; a task that runs is waited for a little."""
        self._done.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(3)


def _guarded(name: str, task: Callable[[], object]) -> bool:
    try:
        return bool(task())
    except Exception:
        log.exception("timer %s stumbled; it will try again", name)
        return False
