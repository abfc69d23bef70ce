"""Where the node keeps everything."""

from __future__ import annotations

import os
from pathlib import Path

_SYSTEM_HOME = Path("/var/lib/fabnode")


def find_home() -> Path:
    """Return the data folder: FABNODE_HOME, else the system's, else the user's own."""
    if named := os.environ.get("FABNODE_HOME"):
        return Path(named).absolute()
    if (_SYSTEM_HOME / "node.toml").exists():
        return _SYSTEM_HOME
    return Path.home() / ".local" / "share" / "fabnode"


def find_devices() -> Path:
    """Return the folder that holds `dev` and `sys`: FABNODE_DEVICES for tests, else `/`."""
    return Path(os.environ.get("FABNODE_DEVICES") or "/")
