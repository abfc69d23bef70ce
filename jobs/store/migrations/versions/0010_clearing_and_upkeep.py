"""What came off a machine, what is wrong with it, and when it needs care."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("steady_us", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("sound_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "downtime",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_downtime")),
    )
    op.create_index(op.f("ix_job_ended_at"), "job", ["ended_at"])
    op.create_index(op.f("ix_attempt_arming_id"), "attempt", ["arming_id"])
    op.create_index(op.f("ix_attempt_preflight_id"), "attempt", ["preflight_id"])
    unused = sa.text("attempt_id IS NULL AND withdrawn_at IS NULL")
    op.create_index(
        "ix_arming_unused",
        "arming",
        ["machine_id", "expires_at"],
        sqlite_where=unused,
        postgresql_where=unused,
    )
    op.create_index("ix_downtime_until_at", "downtime", ["until_at"])
    op.create_table(
        "clock_event",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("jump_us", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_clock_event_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_event")),
    )
    op.create_index("ix_clock_event_at", "clock_event", ["at"])
    op.create_table(
        "clearing",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("shelf", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("photo_sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_clearing_attempt_id_attempt")
        ),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_clearing_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_clearing_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clearing")),
    )
    op.create_index(op.f("ix_clearing_attempt_id"), "clearing", ["attempt_id"])
    op.create_index("ix_clearing_machine_at", "clearing", ["machine_id", "at"])
    op.create_table(
        "contest",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=36), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_contest_decided_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_contest_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contest")),
        sa.UniqueConstraint("about", name=op.f("uq_contest_about")),
    )
    op.create_index(op.f("ix_contest_person_id"), "contest", ["person_id"])
    op.create_index("ix_contest_state_at", "contest", ["state", "at"])
    op.create_table(
        "fault",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("photo_sha256", sa.String(length=64), nullable=True),
        sa.Column("outage_id", sa.String(length=36), nullable=True),
        sa.Column("mended_at", sa.BigInteger(), nullable=True),
        sa.Column("mended_by", sa.String(length=36), nullable=True),
        sa.Column("resolution", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_fault_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["mended_by"], ["person.id"], name=op.f("fk_fault_mended_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["outage_id"], ["allocation.id"], name=op.f("fk_fault_outage_id_allocation")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_fault_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fault")),
    )
    op.create_index("ix_fault_machine_at", "fault", ["machine_id", "at"])
    op.create_table(
        "near_miss",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("photo_sha256", sa.String(length=64), nullable=True),
        sa.Column("answer", sa.String(length=2000), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["person.id"], name=op.f("fk_near_miss_answered_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_near_miss_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_near_miss_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_near_miss")),
    )
    op.create_index(op.f("ix_near_miss_at"), "near_miss", ["at"])
    op.create_table(
        "service_counter",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("every_s", sa.BigInteger(), nullable=True),
        sa.Column("every_mm", sa.BigInteger(), nullable=True),
        sa.Column("every_travel_mm", sa.BigInteger(), nullable=True),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_service_counter_machine_id_machine")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_counter")),
    )
    op.create_index(op.f("ix_service_counter_machine_id"), "service_counter", ["machine_id"])
    op.create_table(
        "service_done",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("counter_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("used_s", sa.BigInteger(), nullable=False),
        sa.Column("used_mm", sa.BigInteger(), nullable=False),
        sa.Column("used_travel_mm", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["counter_id"],
            ["service_counter.id"],
            name=op.f("fk_service_done_counter_id_service_counter"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_service_done_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_done")),
    )
    op.create_index("ix_service_done_counter_at", "service_done", ["counter_id", "at"])
    op.create_table(
        "checklist",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.Column("moment", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_checklist_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_checklist_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist")),
    )
    op.create_index("ix_checklist_place", "checklist", ["machine_id", "moment", "version"])
    op.create_table(
        "checklist_answer",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("checklist_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ticked", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["checklist_id"],
            ["checklist.id"],
            name=op.f("fk_checklist_answer_checklist_id_checklist"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_checklist_answer_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist_answer")),
    )
    op.create_index("ix_checklist_answer_at", "checklist_answer", ["checklist_id", "at"])
    op.create_table(
        "price",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("material", sa.String(length=40), nullable=False),
        sa.Column("for_group", sa.String(length=80), nullable=False),
        sa.Column("per", sa.String(length=8), nullable=False),
        sa.Column("micro", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_price_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_price_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
    )
    op.create_index(op.f("ix_price_machine_id"), "price", ["machine_id"])
