"""An index for the limits that all people of a partner share.

Revision: 0011_audit_partner
After: 0010_attempts
Date: 2026-11-28
"""

from alembic import op

revision = "0011_audit_partner"
down_revision = "0010_attempts"
branch_labels = None
depends_on = None

_INDEX, _TABLE = "ix_smtp_admin_audit_partner", "smtp_admin_audit"


def upgrade() -> None:
    op.create_index(_INDEX, _TABLE, ["partner_id", "action", "at"])


def downgrade() -> None:
    op.drop_index(_INDEX, _TABLE)
