"""An index of mail with a failure of one kind, for the log of mail.

Revision: 0014_mail_codes
After: 0013_alerts
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0014_mail_codes"
down_revision = "0013_alerts"
branch_labels = None
depends_on = None

_DELIVERY, _CODE = "smtp_admin_delivery", "ix_smtp_admin_delivery_code"
_FAILED = sa.text("last_code <> ''")


def upgrade() -> None:
    op.create_index(
        _CODE, _DELIVERY, ["last_code", "id"], postgresql_where=_FAILED, sqlite_where=_FAILED
    )


def downgrade() -> None:
    op.drop_index(_CODE, _DELIVERY)
