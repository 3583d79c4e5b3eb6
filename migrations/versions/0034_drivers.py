"""Whose senders use a driver is found by an index: every page asks who keeps mail.

Revision: 0034_drivers
After: 0033_limited
Date: 2026-11-30
"""

from alembic import op

revision = "0034_drivers"
down_revision = "0033_limited"
branch_labels = None
depends_on = None

_REVISION = "smtp_admin_sender_revision"
_DRIVER = "ix_smtp_admin_sender_revision_driver"


def upgrade() -> None:
    op.create_index(_DRIVER, _REVISION, ["driver", "sender_id", "number"])


def downgrade() -> None:
    op.drop_index(_DRIVER, _REVISION)
