"""How a machine's parts are switched, and what people had it do by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. A new column is added in place: SQLite's triggers stay."""
    op.add_column("machine", sa.Column("switching", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "machine_act",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("refused", sa.String(length=64), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_act_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_machine_act_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_act")),
    )
    op.create_index("ix_machine_act_machine_at", "machine_act", ["machine_id", "at"])
