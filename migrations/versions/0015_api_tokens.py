"""Tokens of the API: whose, for what, until when, and their hashes.

Revision: 0015_api_tokens
After: 0014_mail_codes
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0015_api_tokens"
down_revision = "0014_mail_codes"
branch_labels = None
depends_on = None

_TOKEN = "smtp_admin_api_token"  # noqa: S105 - the name of a table


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
        _TOKEN,
        sa.Column("id", BigId, nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("created_by", sa.String(320), nullable=False),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("last_used_at", UTCDateTime),
        sa.Column("revoked_at", UTCDateTime),
        sa.Column("revoked_by", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_TOKEN}")),
        sa.UniqueConstraint("public_id", name=op.f(f"uq_{_TOKEN}_public_id")),
        sa.UniqueConstraint("token_hash", name=op.f(f"uq_{_TOKEN}_token_hash")),
        **_table(),
    )
    op.create_index("ix_smtp_admin_api_token_partner", _TOKEN, ["partner_id", "id"])


def downgrade() -> None:
    op.drop_table(_TOKEN)
