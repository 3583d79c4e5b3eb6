"""Erasing in rounds, and which mail is a test.

Revision: 0025_erasing
After: 0024_bounces
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0025_erasing"
down_revision = "0024_bounces"
branch_labels = None
depends_on = None

_ERASURE = "smtp_admin_erasure"
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
        _ERASURE,
        sa.Column("id", BigId, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("partner_ids", sa.JSON()),
        sa.Column("texts", sa.Boolean(), nullable=False),
        sa.Column("until", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("audits", sa.JSON(), nullable=False),
        sa.Column("asked_at", UTCDateTime, nullable=False),
        sa.Column("lease", sa.String(32), nullable=False),
        sa.Column("next_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_ERASURE}")),
        sa.UniqueConstraint("what", name=op.f(f"uq_{_ERASURE}_what")),
        **_table(),
    )
    op.add_column(
        _MESSAGE, sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    with op.batch_alter_table(_MESSAGE) as table:
        table.drop_column("is_test")
    op.drop_table(_ERASURE)
