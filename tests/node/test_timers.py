"""What happens by the clock happens late rather than never."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from node.timers import Timers


def test_a_run_that_comes_late_is_not_dropped():
    """As after a night's sleep: the time of the next run lies hours behind."""
    ran = threading.Event()
    timers = Timers()
    timers.every(3600, "sweep", lambda _now: ran.set())
    (job,) = timers._scheduler.get_jobs()
    job.modify(next_run_time=datetime.now(UTC) - timedelta(hours=8, minutes=30))
    timers.start()
    try:
        assert ran.wait(30)
    finally:
        timers.stop()
