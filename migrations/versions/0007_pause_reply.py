"""The server's words of a pause in a column of their own, and what is behind a failure by its key.

Revision: 0007_pause_reply
After: 0006_hops
Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_pause_reply"
down_revision = "0006_hops"
branch_labels = None
depends_on = None

_SENDER = "smtp_admin_sender"
#: Table → its new column.
_CAUSES = {
    _SENDER: "pause_cause",
    "smtp_admin_delivery": "last_cause",
    "smtp_admin_attempt": "cause",
}


def _column(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default="")


def upgrade() -> None:
    # What was written down before stays as it is: a reason with the reply in brackets.
    op.add_column(_SENDER, _column("pause_reply", 300))
    for table, name in _CAUSES.items():
        op.add_column(table, _column(name, 60))


def downgrade() -> None:
    for table_name, name in _CAUSES.items():
        with op.batch_alter_table(table_name) as table:
            table.drop_column(name)
    with op.batch_alter_table(_SENDER) as table:
        table.drop_column("pause_reply")
