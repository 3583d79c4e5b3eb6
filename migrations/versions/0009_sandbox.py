"""The addresses at which the database is at home.

Revision: 0009_sandbox
After: 0008_batches
Date: 2026-11-28
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0009_sandbox"
down_revision = "0008_batches"
branch_labels = None
depends_on = None

_SITE = "smtp_admin_site"


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
        _SITE,
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("recorded_at", UTCDateTime, nullable=False),
        sa.Column("first", sa.Boolean),
        sa.PrimaryKeyConstraint("address", name=op.f(f"pk_{_SITE}")),
        sa.UniqueConstraint("first", name=op.f(f"uq_{_SITE}_first")),
        **_table(),
    )


def downgrade() -> None:
    op.drop_table(_SITE)
