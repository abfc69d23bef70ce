"""Findings that need a person instead of warnings, and the words that wave them through."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What was a warning and stops a start from now on; every other warning is a note.
_PERSON = frozenset({"spindle-left-on", "units-missing"})
_AT_ONCE = 200  # rows: their findings may be long


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "waiver",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("program_sha256", sa.String(length=64), nullable=False),
        sa.Column("limits_sha256", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_waiver_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_waiver_job_id_job")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_waiver_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiver")),
    )
    op.create_index("ix_waiver_machine_program", "waiver", ["machine_id", "program_sha256"])
    op.create_index(op.f("ix_waiver_job_id"), "waiver", ["job_id"])
    _reword(sa.table("preflight", *_columns("id", "verdict", "findings")))
    _reword(sa.table("job", *_columns("id", "findings")))


def _columns(*names: str) -> Iterable[sa.ColumnClause[object]]:
    return [sa.column(name, sa.JSON() if name == "findings" else sa.String()) for name in names]


def _reword(table: sa.TableClause) -> None:
    """Give each stored warning its new weight, and a record the verdict that follows."""
    connection = op.get_bind()
    last = ""
    while True:
        rows = connection.execute(
            sa.select(table.c.id, table.c.findings)
            .where(table.c.id > last)
            .order_by(table.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        for row_id, findings in rows:
            last = row_id
            found = findings if isinstance(findings, list) else []
            if not any(isinstance(one, dict) and one.get("severity") == "warn" for one in found):
                continue
            reworded = [_reworded(one) for one in found]
            connection.execute(table.update().where(table.c.id == row_id).values(findings=reworded))
            if "verdict" in table.c:
                connection.execute(
                    table.update()
                    .where(table.c.id == row_id, table.c.verdict == "warn")
                    .values(verdict=_verdict(reworded))
                )


def _reworded(finding: object) -> object:
    if not isinstance(finding, dict) or finding.get("severity") != "warn":
        return finding
    return {**finding, "severity": "person" if finding.get("code") in _PERSON else "note"}


def _verdict(findings: list[object]) -> str:
    weights = {one.get("severity") for one in findings if isinstance(one, dict)}
    return "person" if "person" in weights else "pass"
