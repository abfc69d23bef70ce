"""What each machine has loaded, what jobs ask for, and the order of the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "job_group",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_job_group_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_group")),
    )
    op.create_table(
        "loaded",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("nozzle_um", sa.Integer(), nullable=True),
        sa.Column("plate", sa.String(length=40), nullable=False),
        sa.Column("material", sa.String(length=40), nullable=False),
        sa.Column("colour", sa.String(length=40), nullable=False),
        sa.Column("lot", sa.String(length=80), nullable=False),
        sa.Column("left_mg", sa.BigInteger(), nullable=True),
        sa.Column("used_mg", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("doubt", sa.String(length=16), nullable=False),
        sa.Column("doubted_at", sa.BigInteger(), nullable=True),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_loaded_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_loaded_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loaded")),
    )
    op.create_index("ix_loaded_machine_at", "loaded", ["machine_id", "at"], unique=False)
    op.create_index(
        "uq_loaded_current",
        "loaded",
        ["machine_id", "place", "number"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "machine_terms",
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("unattended", sa.String(length=16), nullable=False),
        sa.Column("longest_min", sa.Integer(), nullable=True),
        sa.Column("materials", sa.JSON(), nullable=False),
        sa.Column("must_fit", sa.Boolean(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_terms_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_machine_terms_person_id_person")
        ),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_machine_terms")),
    )
    op.create_table(
        "job_after",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("after_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["after_id"], ["job.id"], name=op.f("fk_job_after_after_id_job")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_after_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "after_id", name=op.f("pk_job_after")),
    )
    op.create_table(
        "job_ask",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("nozzle_um", sa.Integer(), nullable=True),
        sa.Column("plate", sa.String(length=40), nullable=False),
        sa.Column("tools", sa.JSON(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=True),
        sa.Column("group_id", sa.String(length=36), nullable=True),
        sa.Column("copy_of", sa.String(length=36), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["copy_of"], ["job.id"], name=op.f("fk_job_ask_copy_of_job")),
        sa.ForeignKeyConstraint(
            ["group_id"], ["job_group.id"], name=op.f("fk_job_ask_group_id_job_group")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_ask_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_ask")),
    )
    op.create_index(op.f("ix_job_ask_group_id"), "job_ask", ["group_id"], unique=False)
    op.create_table(
        "planned_run",
        sa.Column("allocation_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"],
            ["allocation.id"],
            name=op.f("fk_planned_run_allocation_id_allocation"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_planned_run_job_id_job")),
        sa.PrimaryKeyConstraint("allocation_id", name=op.f("pk_planned_run")),
    )
    op.create_index(op.f("ix_planned_run_job_id"), "planned_run", ["job_id"], unique=False)
    op.create_table(
        "queue_promise",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("start_p50_at", sa.BigInteger(), nullable=True),
        sa.Column("start_p90_at", sa.BigInteger(), nullable=True),
        sa.Column("end_p50_at", sa.BigInteger(), nullable=True),
        sa.Column("end_p90_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("told_end_p50_at", sa.BigInteger(), nullable=True),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_queue_promise_job_id_job")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_queue_promise_machine_id_machine")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_queue_promise")),
    )
    op.create_index("ix_usage_event_start_at", "usage_event", ["start_at"], unique=False)
