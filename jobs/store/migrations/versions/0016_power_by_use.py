"""Uses without a job, power that goes with them, and the fire watch of lasers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "machine_use",
        sa.Column("usage_id", sa.String(length=36), nullable=False),
        sa.Column("material", sa.String(length=40), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=36), nullable=True),
        sa.Column("end_reason", sa.String(length=16), nullable=False),
        sa.Column("began_wh_m", sa.BigInteger(), nullable=True),
        sa.Column("energy_mwh", sa.BigInteger(), nullable=True),
        sa.Column("energy_by", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["ended_by"], ["person.id"], name=op.f("fk_machine_use_ended_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["usage_id"], ["usage_event.id"], name=op.f("fk_machine_use_usage_id_usage_event")
        ),
        sa.PrimaryKeyConstraint("usage_id", name=op.f("pk_machine_use")),
    )
    op.create_table(
        "machine_power",
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("by_use", sa.Boolean(), nullable=False),
        sa.Column("off_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("override_by", sa.String(length=36), nullable=True),
        sa.Column("override_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_power_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["override_by"], ["person.id"], name=op.f("fk_machine_power_override_by_person")
        ),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_machine_power")),
    )
    op.create_table(
        "fire_watch",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_fire_watch_attempt_id_attempt")
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["person.id"], name=op.f("fk_fire_watch_confirmed_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_fire_watch_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_fire_watch_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fire_watch")),
    )
    op.create_index(
        "ix_fire_watch_open",
        "fire_watch",
        ["machine_id"],
        sqlite_where=sa.text("confirmed_at IS NULL"),
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_fire_watch_open", table_name="fire_watch")
    op.drop_table("fire_watch")
    op.drop_table("machine_power")
    op.drop_table("machine_use")
