"""What this computer says of its clock, and timers that a clock set back does not stop."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

from node.timekeeper import kernel_is_synchronised, read_clock
from node.timers import Timers


def test_a_hardware_clock_and_a_time_service_are_found(tmp_path: Path) -> None:
    bare = read_clock(tmp_path)
    assert not bare.has_hardware_clock
    assert bare.is_synchronised is kernel_is_synchronised()
    (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    told = read_clock(tmp_path)
    assert told.has_hardware_clock
    assert told.is_synchronised


def test_the_steady_count_goes_on_with_the_clock() -> None:
    first, second = read_clock(), read_clock()
    assert first.boot == second.boot
    assert second.steady >= first.steady
    passed = second.now - first.now
    assert abs(passed - (second.steady - first.steady)) < timedelta(seconds=5)


def test_a_clock_set_back_does_not_keep_tasks_waiting_for_the_old_hour() -> None:
    ran = threading.Semaphore(0)
    timers = Timers()
    timers.every(3600.0, "task", lambda _now: ran.release())
    timers.start()
    try:
        assert ran.acquire(timeout=30)
        assert not ran.acquire(timeout=0.2)
        timers.wake()
        assert ran.acquire(timeout=30)
    finally:
        timers.stop()
