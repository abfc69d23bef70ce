"""What a worker does to itself before it opens a stranger's file: limits, namespaces, Landlock.

Each is taken where the kernel has it, and what was taken is reported. Numbers of system calls
and bits are those of the kernel's headers, the same on x86-64, arm64 and 32-bit ARM.
Not covered: a Unix socket that has a path can still be connected to by the same user, since
Landlock does not see it; a mount namespace would.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_CLONE_NEWUSER: Final = 0x10000000  # linux/sched.h
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS: Final = 38

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # linux/landlock.h, asm/unistd.h
_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_BIND_AND_CONNECT_TCP: Final = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 3

# What Python, numpy and PrusaSlicer read while they work; nothing of the node's own data.
_READABLE: Final = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/proc", "/sys"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives"),
    *("/dev/urandom", "/dev/random", "/dev/zero"),
)


def take_limits(limits: Mapping[str, int]) -> None:
    """Take the rlimits and be nice; die with the node."""
    libc = ctypes.CDLL(None, use_errno=True)
    # The node's death must not leave a worker grinding a Pi for minutes.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(limits["niceness"])
    cpu = limits["cpu_s"]
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_CPU, cpu, cpu + 2),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
    ):
        resource.setrlimit(kind, (soft, hard))


def enter_namespaces() -> bool:
    """Enter new user and network namespaces; False where the kernel forbids it."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        # The same numbers inside as outside: files keep their owners for the tools we call.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    except OSError:
        return False
    return True


def lock_files(private: Path, code: Iterable[Path]) -> bool:
    """Give up every file but *private* and, for reading, the system and *code*; also TCP.

    False where the kernel has no Landlock (before 5.13, or switched off). Needs
    `take_limits` before it, for no-new-privileges.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    if version < 1:
        return False
    handled = (1 << (13 if version == 1 else 14 if version == 2 else 15)) - 1
    attributes = [handled]
    attributes += [_BIND_AND_CONNECT_TCP] if version >= 4 else []
    attributes += [_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS] if version >= 6 else []
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = libc.syscall(_CREATE_RULESET, packed, len(packed), 0)
    if ruleset < 0:
        return False
    try:
        read = _EXECUTE | _READ_FILE | _READ_DIR
        allowed = {Path(path): read for path in _READABLE}
        allowed |= dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), *code), read)
        allowed[Path("/dev/null")] = _READ_FILE | _WRITE_FILE
        allowed[private] = handled
        if not all(_allow(libc, ruleset, path, bits & handled) for path, bits in allowed.items()):
            return False
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, bits: int) -> bool:
    """Allow *bits* beneath *path*; what is not there needs no rule."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        if not path.is_dir():
            bits &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
        rule = struct.pack("=Qi", bits, handle)
        return bool(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(handle)
