"""Tokens of OAuth2, and who is renewing them.

Revision: 0019_oauth
After: 0018_provider_ids
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from smtp_admin.database import BigId, UTCDateTime

revision = "0019_oauth"
down_revision = "0018_provider_ids"
branch_labels = None
depends_on = None

_GRANT = "smtp_admin_oauth_grant"
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
        _GRANT,
        sa.Column("id", BigId, nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("refresh_token", _SEALED, nullable=False),
        sa.Column("access_token", _SEALED, nullable=False),
        sa.Column("access_until", UTCDateTime),
        sa.Column("renew_at", UTCDateTime),
        sa.Column("issued_at", UTCDateTime),
        sa.Column("granted_at", UTCDateTime),
        sa.Column("granted_by", sa.String(320), nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("dead_at", UTCDateTime),
        sa.Column("dead_cause", sa.String(60), nullable=False),
        sa.Column("dead_reason", sa.String(500), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until", UTCDateTime),
        sa.Column("retry_at", UTCDateTime),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_GRANT}")),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["smtp_admin_sender.id"],
            name=op.f(f"fk_{_GRANT}_sender_id"),
        ),
        sa.UniqueConstraint("sender_id", name=op.f(f"uq_{_GRANT}_sender_id")),
        **_table(),
    )


def downgrade() -> None:
    op.drop_table(_GRANT)
