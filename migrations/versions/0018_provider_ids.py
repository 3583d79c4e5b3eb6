"""What a provider calls the mail that it accepted.

Revision: 0018_provider_ids
After: 0017_digest
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0018_provider_ids"
down_revision = "0017_digest"
branch_labels = None
depends_on = None

_DELIVERY = "smtp_admin_delivery"


def upgrade() -> None:
    op.add_column(
        _DELIVERY,
        sa.Column("provider_message_id", sa.String(255), nullable=False, server_default=""),
    )


def downgrade() -> None:
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("provider_message_id")
