"""What limits and lists count, whole in their indexes; and a mute of an alert for its owner.

Revision: 0021_overview
After: 0020_suppression
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import UTCDateTime

revision = "0021_overview"
down_revision = "0020_suppression"
branch_labels = None
depends_on = None

_DELIVERY = "smtp_admin_delivery"
_FINISHED, _OPEN = "ix_smtp_admin_delivery_finished", "ix_smtp_admin_delivery_open"


def _only(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


_IS_OPEN = _only("state IN ('queued', 'sending', 'uncertain', 'dead')")


def upgrade() -> None:
    op.add_column("smtp_admin_alert", sa.Column("owner_muted_until", UTCDateTime))
    op.drop_index(_FINISHED, _DELIVERY)
    op.create_index(
        _FINISHED,
        _DELIVERY,
        ["sender_id", "finished_at", "state", "uncertains"],
        **_only("finished_at IS NOT NULL"),
    )
    op.drop_index(_OPEN, _DELIVERY)
    op.create_index(
        _OPEN, _DELIVERY, ["partner_id", "state", "batch_id", "sender_id", "id"], **_IS_OPEN
    )


def downgrade() -> None:
    op.drop_index(_OPEN, _DELIVERY)
    op.create_index(_OPEN, _DELIVERY, ["partner_id", "state", "batch_id"], **_IS_OPEN)
    op.drop_index(_FINISHED, _DELIVERY)
    op.create_index(_FINISHED, _DELIVERY, ["sender_id", "finished_at"])
    op.drop_column("smtp_admin_alert", "owner_muted_until")
