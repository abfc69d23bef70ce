"""What people accept before they use a machine, and who is in the house."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "instruction",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=48), nullable=False),
        sa.Column("sort", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=40000), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("must_accept", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_instruction_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruction")),
    )
    op.create_index(
        "uq_instruction_version", "instruction", ["scope", "sort", "version"], unique=True
    )
    op.create_table(
        "acceptance",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("instruction_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["instruction_id"],
            ["instruction.id"],
            name=op.f("fk_acceptance_instruction_id_instruction"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_acceptance_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", "instruction_id", name=op.f("pk_acceptance")),
    )
    op.create_index("ix_acceptance_instruction", "acceptance", ["instruction_id"])
    op.create_table(
        "house_visit",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("visitor", sa.String(length=120), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=True),
        sa.Column("is_minor", sa.Boolean(), nullable=False),
        sa.Column("in_at", sa.BigInteger(), nullable=False),
        sa.Column("in_by", sa.String(length=36), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("out_at", sa.BigInteger(), nullable=True),
        sa.Column("out_by", sa.String(length=36), nullable=True),
        sa.CheckConstraint(
            "(person_id IS NULL) <> (visitor = '')",
            name=op.f("ck_house_visit_person_or_visitor"),
        ),
        sa.CheckConstraint("in_at < ends_at", name=op.f("ck_house_visit_grows")),
        sa.ForeignKeyConstraint(
            ["host_id"], ["person.id"], name=op.f("fk_house_visit_host_id_person")
        ),
        sa.ForeignKeyConstraint(["in_by"], ["person.id"], name=op.f("fk_house_visit_in_by_person")),
        sa.ForeignKeyConstraint(
            ["out_by"], ["person.id"], name=op.f("fk_house_visit_out_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_house_visit_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_house_visit")),
    )
    op.create_index("ix_house_visit_in_at", "house_visit", ["in_at"])
    op.create_index("ix_house_visit_out_at", "house_visit", ["out_at"])
    is_open = sa.text("out_at IS NULL")
    op.create_index(
        "uq_house_visit_open",
        "house_visit",
        ["person_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index(
        "ix_house_visit_ends",
        "house_visit",
        ["ends_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
