"""Suppressed addresses, what recipients chose, and which mail may be unsubscribed from.

Revision: 0020_suppression
After: 0019_oauth
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from smtp_admin.database import BigId, UTCDateTime
from smtp_admin.errors import SetupError

revision = "0020_suppression"
down_revision = "0019_oauth"
branch_labels = None
depends_on = None

_SUPPRESSION = "smtp_admin_suppression"
_PREFERENCE = "smtp_admin_preference"
_MESSAGE = "smtp_admin_message"


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
        _SUPPRESSION,
        sa.Column("id", BigId, nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("address_hash", sa.String(32), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("mail_id", sa.String(32), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("created_by", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_SUPPRESSION}")),
        sa.UniqueConstraint(
            "address_hash",
            "partner_id",
            "category",
            name=op.f(f"uq_{_SUPPRESSION}_address_hash_partner_id_category"),
        ),
        **_table(),
    )
    op.create_index("ix_smtp_admin_suppression_partner", _SUPPRESSION, ["partner_id", "id"])
    op.create_table(
        _PREFERENCE,
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("address_hash", sa.String(32), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("changed_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("partner_id", "address_hash", name=op.f(f"pk_{_PREFERENCE}")),
        **_table(),
    )
    op.add_column(
        _MESSAGE, sa.Column("notice", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def refuse_downgrade(connection: Connection) -> None:
    """Stop before anything is changed if addresses are suppressed: they would get mail again.

    Raises:
        SetupError: there are some.
    """
    if connection.execute(
        sa.select(sa.table(_SUPPRESSION, sa.column("id", BigId)).c.id).limit(1)
    ).first():
        raise SetupError(
            "The tables of before cannot hold what is there now: suppressed addresses."
            " Nothing was changed."
        )


def downgrade() -> None:
    refuse_downgrade(op.get_bind())
    with op.batch_alter_table(_MESSAGE) as table:
        table.drop_column("notice")
    op.drop_table(_PREFERENCE)
    op.drop_table(_SUPPRESSION)
