"""Mailboxes to which mail comes back.

Revision: 0024_bounces
After: 0023_events
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from smtp_admin.database import BigId, UTCDateTime

revision = "0024_bounces"
down_revision = "0023_events"
branch_labels = None
depends_on = None

_MAILBOX = "smtp_admin_bounce_mailbox"
_SEALED = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _table() -> dict[str, Any]:
    """As in the first migration: texts are compared letter by letter on every database."""
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


def upgrade() -> None:
    op.create_table(
        _MAILBOX,
        sa.Column("id", BigId, nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.String(4), nullable=False),
        sa.Column("username", sa.String(320), nullable=False),
        sa.Column("password", _SEALED, nullable=False),
        sa.Column("folder", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("created_by", sa.String(320), nullable=False),
        sa.Column("validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("next_read_at", UTCDateTime, nullable=False),
        sa.Column("lease", sa.String(32), nullable=False),
        sa.Column("last_read_at", UTCDateTime),
        sa.Column("mails", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_step", sa.String(20), nullable=False),
        sa.Column("failed_code", sa.String(40), nullable=False),
        sa.Column("failed_words", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_MAILBOX}")),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["smtp_admin_sender.id"], name=op.f(f"fk_{_MAILBOX}_sender_id")
        ),
        sa.UniqueConstraint("sender_id", name=op.f(f"uq_{_MAILBOX}_sender_id")),
        **_table(),
    )


def downgrade() -> None:
    op.drop_table(_MAILBOX)
