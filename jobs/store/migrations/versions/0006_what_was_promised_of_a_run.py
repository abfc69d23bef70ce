"""What was promised of a run, and what it took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MS = (
    *("planned_start_ms", "planned_work_ms", "start_p50_ms", "start_p90_ms"),
    *("work_p50_ms", "work_p90_ms", "p50_ms", "p90_ms"),
)


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "run_time",
        sa.Column("attempt_id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("slicer", sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _MS),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("work_ms", sa.BigInteger(), nullable=True),
        sa.Column("teaches", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_run_time_attempt_id_attempt")
        ),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_run_time_machine_id_machine")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_run_time")),
    )
    op.create_index("ix_run_time_machine_at", "run_time", ["machine_id", "at"])
