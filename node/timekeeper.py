"""What this computer says of its own clock: the kernel's, the time service's and the hardware's.

*Sources:* adjtimex(2) and <sys/timex.h> for `STA_UNSYNC`; systemd-timesyncd.service(8) for its
file; the kernel's `rtc` class for clocks that run without power.
"""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jobs.domain.clock import Reading

_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5
_SYNCHRONISED = "run/systemd/timesync/synchronized"
_BOOT = "proc/sys/kernel/random/boot_id"


class _Timex(ctypes.Structure):
    """`struct timex`, with room behind for what other kernels add."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def read_clock(root: Path = Path("/"), *, is_vouched: bool = False) -> Reading:
    """Return what the computer says of its clock now.

    :param root: the folder that holds `sys`, `run` and `proc`.
    :param is_vouched: node.toml says that the clock is right.
    """
    hardware = root / "sys/class/rtc"
    return Reading(
        now=datetime.now(UTC),
        steady=timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME)),
        boot=_boot(root),
        is_synchronised=(root / _SYNCHRONISED).exists() or kernel_is_synchronised(),
        has_hardware_clock=hardware.is_dir() and any(hardware.iterdir()),
        is_vouched=is_vouched,
    )


def kernel_is_synchronised() -> bool:
    """Return whether the kernel says that something steers its clock; asking changes nothing."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR and not timex.status & _STA_UNSYNC


def _boot(root: Path) -> str:
    try:
        return (root / _BOOT).read_text(encoding="ascii").strip()[:64]
    except (OSError, UnicodeDecodeError):
        return ""
