"""The composition: what the node loads, and how it tells its health."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.services.outbox import Outbox
from node.config import NodeConfig
from node.runtime import Runtime


def test_the_node_process_never_loads_what_others_do_or_what_is_large() -> None:
    code = (
        "import sys, node.cli.house, node.runtime, web.app;"
        "heavy = ('numpy', 'scipy', 'trimesh', 'alembic', 'apprise', 'requests', 'cryptography',"
        "  'authlib', 'webauthn', 'sqlalchemy.dialects.postgresql');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "[]"


def test_health_answers_though_the_database_does_not(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(home, NodeConfig())
    try:
        assert runtime.health().ok

        def fail(_outbox: Outbox) -> int:
            raise OSError("disk I/O error")

        monkeypatch.setattr(Outbox, "waiting", fail)
        monkeypatch.setattr(type(runtime.services.machines), "host_needs", fail)
        told = runtime.health()
        assert (told.ok, told.database, dict(told.hosts)) == (False, "error", {})
    finally:
        runtime.close()
