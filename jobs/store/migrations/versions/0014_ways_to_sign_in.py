"""Second step, passkeys, OpenID; what a key may do; whose sign-in is where."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_EVERYTHING = "read queue book operate manage"  # what keys could do before


def _person(table: str, column: str = "person_id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["person.id"], name=op.f(f"fk_{table}_{column}_person")
    )


def upgrade() -> None:
    """Go forward. Columns are added in place; a failure of before is forgotten at once."""
    op.add_column(
        "sign_in", sa.Column("way", sa.String(length=16), nullable=False, server_default="password")
    )
    op.add_column(
        "sign_in", sa.Column("device", sa.String(length=80), nullable=False, server_default="")
    )
    op.add_column("sign_in", sa.Column("proved_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "sign_in_failure",
        sa.Column("kind", sa.String(length=16), nullable=False, server_default="password"),
    )
    op.add_column(
        "sign_in_failure",
        sa.Column("forget_at", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column(
        "api_key",
        sa.Column("scopes", sa.String(length=80), nullable=False, server_default=_EVERYTHING),
    )
    op.add_column("api_key", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("api_key", sa.Column("used_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "second_step",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_window", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        _person("second_step"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_second_step")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("code_sha256", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        _person("recovery_code"),
        sa.PrimaryKeyConstraint("code_sha256", name=op.f("pk_recovery_code")),
    )
    op.create_index(op.f("ix_recovery_code_person_id"), "recovery_code", ["person_id"])
    op.create_table(
        "passkey",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("credential_sha256", sa.String(length=64), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("rp_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        _person("passkey"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_sha256", name=op.f("uq_passkey_credential_sha256")),
    )
    op.create_index(op.f("ix_passkey_person_id"), "passkey", ["person_id"])
    op.create_table(
        "outside_identity",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        _person("outside_identity"),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_outside_identity")),
    )
    op.create_index(op.f("ix_outside_identity_person_id"), "outside_identity", ["person_id"])
    op.create_table(
        "workstation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        _person("workstation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workstation")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_workstation_key_sha256")),
    )
    op.create_table(
        "unclaimed_upload",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("workstation_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("machine_slug", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workstation_id"],
            ["workstation.id"],
            name=op.f("fk_unclaimed_upload_workstation_id_workstation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unclaimed_upload")),
    )
    op.create_index(op.f("ix_unclaimed_upload_expires_at"), "unclaimed_upload", ["expires_at"])
    op.create_table(
        "credential_event",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("by_id", sa.String(length=36), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.String(length=80), nullable=False),
        _person("credential_event"),
        _person("credential_event", "by_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_event")),
    )
    op.create_index("ix_credential_event_person_at", "credential_event", ["person_id", "at"])
