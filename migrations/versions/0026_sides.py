"""Each side acknowledges an alert for itself; when a sender's pause was ended.

Revision: 0026_sides
After: 0025_erasing
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0026_sides"
down_revision = "0025_erasing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("smtp_admin_sender", sa.Column("resumed_at", UTCDateTime))
    op.add_column("smtp_admin_alert", sa.Column("owner_acknowledged_at", UTCDateTime))
    op.add_column(
        "smtp_admin_alert",
        sa.Column("owner_acknowledged_by", sa.String(320), nullable=False, server_default=""),
    )
    # Until now one acknowledgement was for both.
    op.execute(
        "UPDATE smtp_admin_alert SET owner_acknowledged_at = acknowledged_at, "
        "owner_acknowledged_by = acknowledged_by WHERE acknowledged_at IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("smtp_admin_alert", "owner_acknowledged_by")
    op.drop_column("smtp_admin_alert", "owner_acknowledged_at")
    op.drop_column("smtp_admin_sender", "resumed_at")
