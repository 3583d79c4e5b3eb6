"""Connections at once, a daily limit, the fallback sender, and turns between partners.

Revision: 0002_engine
After: 0001_outbox
Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId

revision = "0002_engine"
down_revision = "0001_outbox"
branch_labels = None
depends_on = None

_REVISION = "smtp_admin_sender_revision"
_MESSAGE = "smtp_admin_message"
_DELIVERY = "smtp_admin_delivery"
_TURNS = "ix_smtp_admin_delivery_turns"


def upgrade() -> None:
    with op.batch_alter_table(_REVISION) as table:
        table.add_column(
            sa.Column("max_connections", sa.SmallInteger, nullable=False, server_default="2")
        )
        table.add_column(sa.Column("max_per_day", sa.Integer))
        table.add_column(
            sa.Column("fallback", sa.Boolean, nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table(_MESSAGE) as table:
        table.add_column(sa.Column("copy_of", BigId))
        table.create_index("ix_smtp_admin_message_copy_of", ["copy_of"])
    with op.batch_alter_table(_DELIVERY) as table:
        # The sender that should have sent it, where the system's did instead.
        table.add_column(sa.Column("fallback_of", BigId))
        table.add_column(
            sa.Column("fallback_reason", sa.String(500), nullable=False, server_default="")
        )
    queued = sa.text("state = 'queued'")
    op.create_index(
        _TURNS,
        _DELIVERY,
        ["sender_id", "partner_id", "state", "priority", "next_attempt_at"],
        postgresql_where=queued,
        sqlite_where=queued,
    )


def downgrade() -> None:
    op.drop_index(_TURNS, _DELIVERY)
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("fallback_reason")
        table.drop_column("fallback_of")
    with op.batch_alter_table(_MESSAGE) as table:
        table.drop_index("ix_smtp_admin_message_copy_of")
        table.drop_column("copy_of")
    with op.batch_alter_table(_REVISION) as table:
        table.drop_column("fallback")
        table.drop_column("max_per_day")
        table.drop_column("max_connections")
