"""Batches, keys of recipients, and the indexes that a log of mail and batches look through.

Revision: 0008_batches
After: 0007_pause_reply
Date: 2026-11-28
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from smtp_admin.database import BigId, UTCDateTime
from smtp_admin.errors import SetupError

revision = "0008_batches"
down_revision = "0007_pause_reply"
branch_labels = None
depends_on = None

_BATCH = "smtp_admin_batch"
_MESSAGE = "smtp_admin_message"
_DELIVERY = "smtp_admin_delivery"
_ONCE = "ix_smtp_admin_message_once_in_batch"
_OPEN = "ix_smtp_admin_delivery_open"
_OPEN_STATES = "state IN ('queued', 'sending', 'uncertain', 'dead')"
_ENDED_STATES = "state IN ('bounced', 'complained', 'suppressed', 'cancelled', 'expired')"
#: Name, columns, and the rows that are in it on PostgreSQL and SQLite.
_INDEXES = (
    ("partner", ["partner_id", "created_at"], ""),
    ("recipient", ["recipient"], ""),
    ("ended", ["state", "partner_id"], _ENDED_STATES),
    ("batch", ["batch_id", "archive", "state"], "batch_id IS NOT NULL"),
    ("recipient_key", ["recipient_key", "created_at"], "recipient_key IS NOT NULL"),
)


def _table() -> dict[str, Any]:
    """As in the first migration: ids are compared letter by letter on every database."""
    mariadb = getattr(op.get_bind().dialect, "is_mariadb", False)
    options = {
        "engine": "InnoDB",
        "charset": "utf8mb4",
        "collate": "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin",
    }
    return {
        f"{dialect}_{option}": value
        for dialect in ("mysql", "mariadb")
        for option, value in options.items()
    }


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _index(name: str, columns: list[str], rows: str) -> None:
    where = sa.text(rows) if rows else None
    op.create_index(name, _DELIVERY, columns, postgresql_where=where, sqlite_where=where)


def upgrade() -> None:
    op.create_table(
        _BATCH,
        sa.Column("id", BigId, primary_key=True),
        _text("public_id", 32),
        _text("partner_id", 100),
        sa.Column("key", sa.String(200)),
        _text("label", 200),
        _text("type_name", 64),
        sa.Column("sender_key", sa.String(40)),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("queued", sa.Integer, nullable=False),
        sa.Column("suppressed", sa.Integer, nullable=False),
        _text("created_by", 200),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("cancelled_at", UTCDateTime),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("counted_at", UTCDateTime),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.UniqueConstraint("public_id"),
        sa.UniqueConstraint("partner_id", "key"),
        **_table(),
    )
    op.create_index(f"ix_{_BATCH}_settled", _BATCH, ["settled"])
    with op.batch_alter_table(_MESSAGE) as table:
        table.add_column(sa.Column("batch_id", BigId))
        table.add_column(sa.Column("batch_recipient", sa.String(32)))
    with op.batch_alter_table(_DELIVERY) as table:
        table.add_column(sa.Column("batch_id", BigId))
        table.add_column(sa.Column("recipient_key", sa.String(32)))
    of_batches = sa.text("batch_id IS NOT NULL")
    op.create_index(
        _ONCE,
        _MESSAGE,
        ["batch_id", "batch_recipient"],
        unique=True,
        postgresql_where=of_batches,
        sqlite_where=of_batches,
    )
    op.drop_index(_OPEN, _DELIVERY)
    _index(_OPEN, ["partner_id", "state", "batch_id"], _OPEN_STATES)
    for name, columns, rows in _INDEXES:
        _index(f"ix_{_DELIVERY}_{name}", columns, rows)


def refuse_downgrade(connection: Connection) -> None:
    """Stop before anything is changed if there are batches.

    Without them, a run that is repeated would write to everybody once more.

    Raises:
        SetupError: there are some.
    """
    batches = sa.table(_BATCH, sa.column("id", BigId))
    if connection.execute(sa.select(batches.c.id).limit(1)).first():
        raise SetupError(
            "The tables of before cannot hold what is there now: there are batches."
            " Nothing was changed."
        )


def downgrade() -> None:
    refuse_downgrade(op.get_bind())
    for name, _, _ in reversed(_INDEXES):
        op.drop_index(f"ix_{_DELIVERY}_{name}", _DELIVERY)
    op.drop_index(_OPEN, _DELIVERY)
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("recipient_key")
        table.drop_column("batch_id")
    _index(_OPEN, ["partner_id", "state"], _OPEN_STATES)
    op.drop_index(_ONCE, _MESSAGE)
    with op.batch_alter_table(_MESSAGE) as table:
        table.drop_column("batch_recipient")
        table.drop_column("batch_id")
    op.drop_table(_BATCH)
