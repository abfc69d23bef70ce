"""Presence at machines, and the devices that stand there."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PRINTERS = "rules.kind.fdm"


def _to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}")
    )


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "device",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("machine_ids", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(length=36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("pair_sha256", sa.String(length=64), nullable=True),
        sa.Column("pair_until", sa.BigInteger(), nullable=True),
        sa.Column("token_sha256", sa.String(length=64), nullable=True),
        sa.Column("paired_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        _to("device", "made_by", "person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint("pair_sha256", name=op.f("uq_device_pair_sha256")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_device_token_sha256")),
    )
    op.create_table(
        "machine_secret",
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        _to("machine_secret", "machine_id", "machine"),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_machine_secret")),
    )
    op.create_table(
        "presence",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("seat", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=True),
        sa.Column("code_window", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        _to("presence", "machine_id", "machine"),
        _to("presence", "person_id", "person"),
        _to("presence", "device_id", "device"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presence")),
    )
    open_ones = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_presence_one",
        "presence",
        ["machine_id"],
        unique=True,
        sqlite_where=open_ones,
        postgresql_where=open_ones,
    )
    op.create_index("ix_presence_person_at", "presence", ["person_id", "at"])
    op.create_table(
        "presence_try",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _to("presence_try", "machine_id", "machine"),
        _to("presence_try", "person_id", "person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presence_try")),
    )
    op.create_index("ix_presence_try_machine_at", "presence_try", ["machine_id", "at"])
    op.create_table(
        "kiosk_visit",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        _to("kiosk_visit", "device_id", "device"),
        _to("kiosk_visit", "person_id", "person"),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_kiosk_visit")),
    )
    op.create_index(op.f("ix_kiosk_visit_device_id"), "kiosk_visit", ["device_id"])
    _keep_printers_working()


def _keep_printers_working() -> None:
    """Let a lab that shares machines already go on with its printers as it did.

    By a person's word on the machine's page, that is, until the lab has displays and decides
    otherwise. What cuts asks for proof from now on, everywhere.
    """
    setting = sa.table("setting", sa.column("key"), sa.column("value"))
    bind = op.get_bind()

    def kept(key: str) -> str | None:
        return bind.execute(sa.select(setting.c.value).where(setting.c.key == key)).scalar()

    if kept("lab.mode") != "shared-lab":
        return
    before = kept(_PRINTERS)
    values = json.dumps({**json.loads(before or "{}"), "presence_by": "word"})
    if before is None:
        bind.execute(setting.insert().values(key=_PRINTERS, value=values))
    else:
        bind.execute(setting.update().where(setting.c.key == _PRINTERS).values(value=values))
