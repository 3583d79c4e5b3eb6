"""Addresses that are to be taken off the lists of providers, because they were lifted here.

Revision: 0031_provider_removals
After: 0030_reasons
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0031_provider_removals"
down_revision = "0030_reasons"
branch_labels = None
depends_on = None

_REMOVAL = "smtp_admin_provider_removal"


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
        _REMOVAL,
        sa.Column("id", BigId, nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("address_hash", sa.String(32), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("asked_at", UTCDateTime, nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("next_try_at", UTCDateTime),
        sa.Column("done_at", UTCDateTime),
        sa.Column("trouble", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_REMOVAL}")),
        sa.UniqueConstraint(
            "address_hash", "partner_id", "category", "reason", name=op.f(f"uq_{_REMOVAL}_reason")
        ),
        **_table(),
    )
    op.create_index(f"ix_{_REMOVAL}_due", _REMOVAL, ["next_try_at"])
    op.create_index(f"ix_{_REMOVAL}_partner", _REMOVAL, ["partner_id"])


def downgrade() -> None:
    op.drop_table(_REMOVAL)
