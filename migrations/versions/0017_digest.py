"""Notices that wait to become one mail.

Revision: 0017_digest
After: 0016_templates
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from smtp_admin.database import BigId, UTCDateTime
from smtp_admin.errors import SetupError

revision = "0017_digest"
down_revision = "0016_templates"
branch_labels = None
depends_on = None

_ITEM = "smtp_admin_digest_item"


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


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def upgrade() -> None:
    op.create_table(
        _ITEM,
        sa.Column("id", BigId, nullable=False),
        _text("public_id", 32),
        _text("partner_id", 100),
        _text("recipient", 254),
        _text("recipient_key", 254),
        _text("name", 200),
        _text("type_name", 64),
        _text("language", 35),
        _text("title", 500),
        sa.Column("text", sa.Text, nullable=False),
        _text("url", 2000),
        sa.Column("sender_key", sa.String(40)),
        _text("state", 10),
        sa.Column("due_at", UTCDateTime, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("ended_at", UTCDateTime),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("message_id", sa.String(32)),
        _text("last_error", 500),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_ITEM}")),
        sa.UniqueConstraint("public_id", name=op.f(f"uq_{_ITEM}_public_id")),
        sa.UniqueConstraint(
            "partner_id",
            "idempotency_key",
            name=op.f(f"uq_{_ITEM}_partner_id_idempotency_key"),
        ),
        **_table(),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        f"ix_{_ITEM}_due",
        _ITEM,
        ["state", "due_at"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_index(f"ix_{_ITEM}_recipient", _ITEM, ["partner_id", "recipient_key", "state"])


def refuse_downgrade(connection: Connection) -> None:
    """Stop before anything is changed if notices wait: nobody was told of them yet.

    Raises:
        SetupError: there are some.
    """
    items = sa.table(_ITEM, sa.column("id", BigId), sa.column("state", sa.String))
    waiting = sa.select(items.c.id).where(items.c.state == "waiting")
    if connection.execute(waiting.limit(1)).first():
        raise SetupError(
            "The tables of before cannot hold what is there now: notices wait for their digest."
            " Nothing was changed."
        )


def downgrade() -> None:
    refuse_downgrade(op.get_bind())
    op.drop_table(_ITEM)
