"""Erasing in rounds, and which mail is a test.

Revision: 0027_erasing
After: 0024_bounces
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0027_erasing"
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
    op.add_column(
        _MESSAGE, sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    with op.batch_alter_table(_MESSAGE) as table:
        table.drop_column("is_test")
