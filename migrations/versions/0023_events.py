"""Webhooks, the events that come by them, and counting what bounced.

Revision: 0023_events
After: 0022_expiry
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from smtp_admin.database import BigId, UTCDateTime

revision = "0023_events"
down_revision = "0022_expiry"
branch_labels = None
depends_on = None

_WEBHOOK, _NONCE, _EVENT = "smtp_admin_webhook", "smtp_admin_webhook_nonce", "smtp_admin_event"
_DELIVERY, _COUNTER = "smtp_admin_delivery", "smtp_admin_counter"
_NAMED = "ix_smtp_admin_delivery_provider_id"
_SEALED = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_COUNTED = ("bounced", "complained")


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


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        _WEBHOOK,
        sa.Column("id", BigId, nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("key", _SEALED, nullable=False),
        sa.Column("former_key_hash", sa.String(64)),
        sa.Column("former_key_until", UTCDateTime),
        sa.Column("secret", _SEALED, nullable=False),
        sa.Column("former_secret", _SEALED, nullable=False),
        sa.Column("former_secret_until", UTCDateTime),
        sa.Column("topic", sa.String(400), nullable=False),
        sa.Column("confirmed_at", UTCDateTime),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("created_by", sa.String(320), nullable=False),
        sa.Column("last_event_at", UTCDateTime),
        sa.Column("last_sample_at", UTCDateTime),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("last_bad_at", UTCDateTime),
        sa.Column("last_bad_code", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_WEBHOOK}")),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["smtp_admin_sender.id"], name=op.f(f"fk_{_WEBHOOK}_sender_id")
        ),
        sa.UniqueConstraint("sender_id", name=op.f(f"uq_{_WEBHOOK}_sender_id")),
        sa.UniqueConstraint("key_hash", name=op.f(f"uq_{_WEBHOOK}_key_hash")),
        sa.UniqueConstraint("former_key_hash", name=op.f(f"uq_{_WEBHOOK}_former_key_hash")),
        **_table(),
    )
    op.create_table(
        _NONCE,
        sa.Column("webhook_id", BigId, autoincrement=False, nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", "nonce", name=op.f(f"pk_{_NONCE}")),
        **_table(),
    )
    op.create_index(f"ix_{_NONCE}_at", _NONCE, ["at"])
    op.create_table(
        _EVENT,
        sa.Column("id", BigId, nullable=False),
        sa.Column("origin", sa.String(40), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("bounce", sa.String(6), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("provider_id", sa.String(255), nullable=False),
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("words", sa.String(500), nullable=False),
        sa.Column("at", UTCDateTime),
        sa.Column("received_at", UTCDateTime, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("next_try_at", UTCDateTime, nullable=False),
        sa.Column("delivery_id", BigId),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_EVENT}")),
        sa.UniqueConstraint("origin", "identity", name=op.f(f"uq_{_EVENT}_origin_identity")),
        **_table(),
    )
    op.create_index(
        f"ix_{_EVENT}_waiting", _EVENT, ["state", "next_try_at"], **_where("state = 'waiting'")
    )
    op.create_index(f"ix_{_EVENT}_origin", _EVENT, ["origin", "id"])
    op.create_index(
        f"ix_{_EVENT}_delivery", _EVENT, ["delivery_id"], **_where("delivery_id IS NOT NULL")
    )
    op.create_index(f"ix_{_EVENT}_received", _EVENT, ["received_at"])
    op.create_index(
        _NAMED, _DELIVERY, ["provider_message_id"], **_where("provider_message_id <> ''")
    )
    for name in _COUNTED:
        column = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column(_COUNTER, column)


def downgrade() -> None:
    with op.batch_alter_table(_COUNTER) as table:
        for name in _COUNTED:
            table.drop_column(name)
    op.drop_index(_NAMED, _DELIVERY)
    for name in (_EVENT, _NONCE, _WEBHOOK):
        op.drop_table(name)
