"""Which limit a webhook reached last, and until when it takes nothing.

Revision: 0033_limited
After: 0032_acts
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0033_limited"
down_revision = "0032_acts"
branch_labels = None
depends_on = None

_WEBHOOK = "smtp_admin_webhook"


def upgrade() -> None:
    op.add_column(
        _WEBHOOK, sa.Column("limited_by", sa.String(10), nullable=False, server_default="")
    )
    op.add_column(_WEBHOOK, sa.Column("limited_until", UTCDateTime))


def downgrade() -> None:
    op.drop_column(_WEBHOOK, "limited_until")
    op.drop_column(_WEBHOOK, "limited_by")
