"""Secret links to a person's calendar."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "calendar_link",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_calendar_link_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_calendar_link")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_calendar_link_token_sha256")),
    )
