"""When an event was applied has a column of its own; ``next_try_at`` said both until now.

Revision: 0029_applied_at
After: 0028_unreadable
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0029_applied_at"
down_revision = "0028_unreadable"
branch_labels = None
depends_on = None

_EVENT = "smtp_admin_event"
_TURNED = "ix_smtp_admin_event_turned"
_events = sa.table(_EVENT, sa.column("state"), sa.column("next_try_at"), sa.column("applied_at"))


def upgrade() -> None:
    op.add_column(_EVENT, sa.Column("applied_at", UTCDateTime))
    op.execute(
        sa.update(_events)
        .where(_events.c.state == "applied")
        .values(applied_at=_events.c.next_try_at)
    )
    turned = sa.text("kind IN ('bounced', 'complained')")
    op.create_index(
        _TURNED,
        _EVENT,
        ["kind", "applied_at", "delivery_id"],
        postgresql_where=turned,
        sqlite_where=turned,
    )


def downgrade() -> None:
    op.drop_index(_TURNED, _EVENT)
    op.execute(
        sa.update(_events)
        .where(_events.c.applied_at.is_not(None))
        .values(next_try_at=_events.c.applied_at)
    )
    op.drop_column(_EVENT, "applied_at")
