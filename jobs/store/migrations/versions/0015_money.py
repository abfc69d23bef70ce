"""Money: what the lab decided, accounts, entries, what was said to cost what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jobs.store.money_guards import POSTGRESQL, SQLITE

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "money_group",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("everybody", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_group")),
        sa.UniqueConstraint("name", name=op.f("uq_money_group_name")),
    )
    op.create_table(
        "money_account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("group_id", sa.String(length=36), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["money_group.id"], name=op.f("fk_money_account_group_id_money_group")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_money_account_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_account")),
        sa.UniqueConstraint("number", name=op.f("uq_money_account_number")),
        sa.UniqueConstraint("person_id", name=op.f("uq_money_account_person_id")),
    )
    op.create_table(
        "money_month",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(length=36), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("csv_sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["closed_by"], ["person.id"], name=op.f("fk_money_month_closed_by_person")
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_money_month")),
    )
    op.create_table(
        "money_term",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_money_term_person_id_person")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_money_term")),
    )
    op.create_table(
        "contribution",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=36), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["money_account.id"],
            name=op.f("fk_contribution_account_id_money_account"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_contribution_decided_by_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contribution")),
    )
    op.create_index(
        op.f("ix_contribution_account_id"), "contribution", ["account_id"], unique=False
    )
    op.create_index("ix_contribution_state_at", "contribution", ["state", "at"], unique=False)
    op.create_table(
        "material_taken",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("material", sa.String(length=40), nullable=False),
        sa.Column("lot", sa.String(length=80), nullable=False),
        sa.Column("per", sa.String(length=8), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("by_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["money_account.id"],
            name=op.f("fk_material_taken_account_id_money_account"),
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["person.id"], name=op.f("fk_material_taken_by_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_taken")),
    )
    op.create_index(
        op.f("ix_material_taken_account_id"), "material_taken", ["account_id"], unique=False
    )
    op.create_table(
        "money_entry",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("fact", sa.String(length=80), nullable=True),
        sa.Column("of_seq", sa.Integer(), nullable=True),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.Column("machine", sa.String(length=32), nullable=False),
        sa.Column("machine_kind", sa.String(length=16), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("receipt", sa.String(length=40), nullable=False),
        sa.Column("by_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["money_account.id"],
            name=op.f("fk_money_entry_account_id_money_account"),
        ),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_money_entry_by_id_person")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_money_entry_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["of_seq"], ["money_entry.seq"], name=op.f("fk_money_entry_of_seq_money_entry")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_money_entry")),
        sa.UniqueConstraint("fact", name=op.f("uq_money_entry_fact")),
    )
    op.create_index("ix_money_entry_account", "money_entry", ["account_id", "seq"], unique=False)
    op.create_index("ix_money_entry_month", "money_entry", ["month", "seq"], unique=False)
    op.create_index(op.f("ix_money_entry_of_seq"), "money_entry", ["of_seq"], unique=False)
    op.create_table(
        "money_preview",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("for_group", sa.String(length=80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("p50_minor", sa.BigInteger(), nullable=False),
        sa.Column("p90_minor", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_money_preview_attempt_id_attempt")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_money_preview_job_id_job")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_money_preview_machine_id_machine")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_money_preview_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_preview")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_money_preview_attempt_id")),
    )
    op.create_index("ix_money_preview_job_at", "money_preview", ["job_id", "at"], unique=False)
    op.create_index(
        "ix_money_preview_person_attempt",
        "money_preview",
        ["person_id", "attempt_id"],
        unique=False,
    )
    op.add_column(
        "price", sa.Column("lot", sa.String(length=80), nullable=False, server_default="")
    )
    op.add_column("price", sa.Column("block_min", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("price", sa.Column("until_at", sa.BigInteger(), nullable=True))
    op.add_column("price", sa.Column("made_at", sa.BigInteger(), nullable=True))

    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE if is_sqlite else POSTGRESQL:
        op.execute(statement)
