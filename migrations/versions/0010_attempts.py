"""By which sender each attempt was made, so that a sender's last refusals are found at once.

Revision: 0010_attempts
After: 0009_sandbox
Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId

revision = "0010_attempts"
down_revision = "0009_sandbox"
branch_labels = None
depends_on = None

_ATTEMPT = "smtp_admin_attempt"
_INDEX = "ix_smtp_admin_attempt_sender"


def upgrade() -> None:
    # Earlier attempts keep none: only those of the last day are looked for by sender.
    op.add_column(_ATTEMPT, sa.Column("sender_id", BigId, nullable=False, server_default="0"))
    op.create_index(_INDEX, _ATTEMPT, ["sender_id", "at"])


def downgrade() -> None:
    op.drop_index(_INDEX, _ATTEMPT)
    with op.batch_alter_table(_ATTEMPT) as table:
        table.drop_column("sender_id")
