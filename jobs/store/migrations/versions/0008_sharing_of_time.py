"""Waiting for time, swapping it, repeating it, being there for it, and being told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. New columns are added in place: SQLite's triggers stay."""
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=True),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_notice_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("key", name=op.f("uq_notice_key")),
    )
    op.create_index("ix_notice_person_at", "notice", ["person_id", "at"], unique=False)
    op.create_index("ix_notice_at", "notice", ["at"], unique=False)
    op.create_index(
        "ix_notice_unread",
        "notice",
        ["person_id"],
        unique=False,
        sqlite_where=sa.text("read_at IS NULL"),
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_table(
        "notice_address",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_notice_address_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_address")),
    )
    op.create_index(
        op.f("ix_notice_address_person_id"), "notice_address", ["person_id"], unique=False
    )
    op.create_table(
        "preference",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_preference_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", "key", name=op.f("pk_preference")),
    )
    op.create_table(
        "series",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("first_local", sa.String(length=16), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("length_min", sa.Integer(), nullable=False),
        sa.Column("weeks", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_series_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_series_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
    )
    op.create_table(
        "notice_delivery",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("notice_id", sa.String(length=36), nullable=False),
        sa.Column("address_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"],
            ["notice_address.id"],
            name=op.f("fk_notice_delivery_address_id_notice_address"),
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_delivery_notice_id_notice")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_delivery")),
    )
    op.create_index(
        op.f("ix_notice_delivery_address_id"), "notice_delivery", ["address_id"], unique=False
    )
    op.create_index("ix_notice_delivery_due", "notice_delivery", ["state", "next_at"], unique=False)
    op.create_index(
        "uq_notice_delivery_notice_address",
        "notice_delivery",
        ["notice_id", "address_id"],
        unique=True,
    )
    op.create_table(
        "offer",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("allocation_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("hold_id", sa.String(length=36), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocation.id"], name=op.f("fk_offer_allocation_id_allocation")
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["allocation.id"], name=op.f("fk_offer_hold_id_allocation")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_offer_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_offer_hold_id")),
    )
    op.create_index(op.f("ix_offer_allocation_id"), "offer", ["allocation_id"], unique=False)
    op.create_index(op.f("ix_offer_person_id"), "offer", ["person_id"], unique=False)
    op.create_index("ix_offer_state_expires", "offer", ["state", "expires_at"], unique=False)
    op.create_index(
        "uq_offer_taken",
        "offer",
        ["allocation_id"],
        unique=True,
        sqlite_where=sa.text("state = 'taken'"),
        postgresql_where=sa.text("state = 'taken'"),
    )
    op.create_table(
        "swap",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("give_id", sa.String(length=36), nullable=False),
        sa.Column("take_id", sa.String(length=36), nullable=False),
        sa.Column("give_sequence", sa.Integer(), nullable=False),
        sa.Column("take_sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["give_id"], ["allocation.id"], name=op.f("fk_swap_give_id_allocation")
        ),
        sa.ForeignKeyConstraint(
            ["take_id"], ["allocation.id"], name=op.f("fk_swap_take_id_allocation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_swap")),
    )
    op.create_index(op.f("ix_swap_take_id"), "swap", ["take_id"], unique=False)
    op.create_index(
        "uq_swap_open",
        "swap",
        ["give_id", "take_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "wait",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("length_min", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("hold_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["allocation.id"], name=op.f("fk_wait_hold_id_allocation")
        ),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_wait_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_wait_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wait")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_wait_hold_id")),
    )
    op.create_index(
        "ix_wait_machine_state", "wait", ["machine_id", "state", "created_at"], unique=False
    )
    op.create_index(op.f("ix_wait_person_id"), "wait", ["person_id"], unique=False)
    op.create_index(
        "uq_wait_open",
        "wait",
        ["machine_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('waiting', 'held')"),
        postgresql_where=sa.text("state IN ('waiting', 'held')"),
    )
    op.add_column("allocation", sa.Column("series_id", sa.String(length=36), nullable=True))
    op.add_column("allocation", sa.Column("purpose", sa.String(length=16), nullable=True))
    op.add_column("allocation", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("allocation", sa.Column("checked_in_at", sa.BigInteger(), nullable=True))
    op.add_column("allocation", sa.Column("missed_at", sa.BigInteger(), nullable=True))
    op.add_column("allocation", sa.Column("shows_name", sa.Boolean(), nullable=True))
    op.drop_index(op.f("ix_allocation_machine_time"), table_name="allocation")
    op.drop_index(op.f("ix_allocation_person_id"), table_name="allocation")
    op.create_index(op.f("ix_allocation_attempt_id"), "allocation", ["attempt_id"], unique=False)
    op.create_index(
        "ix_allocation_expires",
        "allocation",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_allocation_machine_end",
        "allocation",
        ["machine_id", "end_at", "start_at"],
        unique=False,
    )
    op.create_index("ix_allocation_person_end", "allocation", ["person_id", "end_at"], unique=False)
    op.create_index(op.f("ix_allocation_series_id"), "allocation", ["series_id"], unique=False)
    op.create_index("ix_allocation_start", "allocation", ["start_at"], unique=False)
