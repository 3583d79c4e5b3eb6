"""Genuine requests of a webhook that could not be read.

Revision: 0028_unreadable
After: 0027_provider_lists
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0028_unreadable"
down_revision = "0027_provider_lists"
branch_labels = None
depends_on = None

_WEBHOOK = "smtp_admin_webhook"


def upgrade() -> None:
    op.add_column(
        _WEBHOOK, sa.Column("unreadable", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(_WEBHOOK, sa.Column("last_unreadable_at", UTCDateTime))
    op.add_column(
        _WEBHOOK,
        sa.Column("last_unreadable_why", sa.String(500), nullable=False, server_default=""),
    )


def downgrade() -> None:
    op.drop_column(_WEBHOOK, "last_unreadable_why")
    op.drop_column(_WEBHOOK, "last_unreadable_at")
    op.drop_column(_WEBHOOK, "unreadable")
