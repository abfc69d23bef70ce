"""Rows of the release that knew warnings read as the release after it says."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from jobs.store.migrate import upgrade

HEAT = {"code": "heat-left-on", "severity": "warn", "line": 3, "fields": {}}
SPINDLE = {"code": "spindle-left-on", "severity": "warn", "line": 9, "fields": {}}
BLOCK = {"code": "empty", "severity": "block", "line": None, "fields": {}}


def test_a_warning_becomes_a_note_or_needs_a_person(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    upgrade(url, "0003")
    rows = {
        "a": ("warn", [HEAT]),
        "b": ("warn", [HEAT, SPINDLE]),
        "c": ("block", [SPINDLE, BLOCK]),
        "d": ("pass", []),
        "e": ("block", [HEAT]),  # it had no stream
    }
    with sqlite3.connect(tmp_path / "node.db") as database:
        database.execute("PRAGMA foreign_keys=off")
        columns = [row[1:4] for row in database.execute("PRAGMA table_info(preflight)")]
        for number, (key, (verdict, findings)) in enumerate(rows.items()):
            known = {"id": key, "job_id": key, "machine_id": "m", "verdict": verdict}
            known["findings"] = json.dumps(findings)
            values = [
                known.get(name, None if not needed else "{}" if kind == "JSON" else number)
                for name, kind, needed in columns
            ]
            marks = ",".join("?" * len(values))
            database.execute(f"INSERT INTO preflight VALUES ({marks})", values)
    upgrade(url)
    with sqlite3.connect(tmp_path / "node.db") as database:
        found = {
            key: (verdict, [one["severity"] for one in json.loads(findings)])
            for key, verdict, findings in database.execute(
                "SELECT id, verdict, findings FROM preflight"
            )
        }
    database.close()
    assert found == {
        "a": ("pass", ["note"]),
        "b": ("person", ["note", "person"]),
        "c": ("block", ["person", "block"]),
        "d": ("pass", []),
        "e": ("block", ["note"]),
    }
