"""Alerts, who is still to be told of them, and whose turn it is to look for them.

Revision: 0013_alerts
After: 0012_mail_log
Date: 2026-11-29
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0013_alerts"
down_revision = "0012_mail_log"
branch_labels = None
depends_on = None

_ALERT = "smtp_admin_alert"
_NOTICE = "smtp_admin_alert_notice"
_TURN = "smtp_admin_alert_turn"


def _table() -> dict[str, Any]:
    """As in the first migration: texts are compared letter by letter on every database."""
    mariadb = getattr(op.get_bind().dialect, "is_mariadb", False)
    options = {
        "engine": "InnoDB",
        "charset": "utf8mb4",
        "collate": "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin",
    }
    return {
        f"{dialect}_{option}": value
        for dialect in ("mysql", "mariadb")
        for option, value in options.items()
    }


def upgrade() -> None:
    op.create_table(
        _ALERT,
        sa.Column("id", BigId, nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("sender_key", sa.String(40), nullable=False),
        sa.Column("incident", sa.String(32), nullable=False),
        sa.Column("open_key", sa.String(32)),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("whose", sa.String(300), nullable=False),
        sa.Column("headline", sa.String(200), nullable=False),
        sa.Column("detail", sa.String(1000), nullable=False),
        sa.Column("first_seen_at", UTCDateTime, nullable=False),
        sa.Column("opened_at", UTCDateTime),
        sa.Column("cleared_at", UTCDateTime),
        sa.Column("ended_at", UTCDateTime),
        sa.Column("acknowledged_at", UTCDateTime),
        sa.Column("acknowledged_by", sa.String(320), nullable=False),
        sa.Column("muted_until", UTCDateTime),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_ALERT}")),
        sa.UniqueConstraint("public_id", name=op.f(f"uq_{_ALERT}_public_id")),
        sa.UniqueConstraint("open_key", name=op.f(f"uq_{_ALERT}_open_key")),
        **_table(),
    )
    op.create_index("ix_smtp_admin_alert_partner", _ALERT, ["partner_id", "ended_at"])
    op.create_index("ix_smtp_admin_alert_incident", _ALERT, ["incident"])
    op.create_index("ix_smtp_admin_alert_ended_at", _ALERT, ["ended_at"])
    op.create_table(
        _NOTICE,
        sa.Column("id", BigId, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("event", sa.String(10), nullable=False),
        sa.Column("channel", sa.String(10), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UTCDateTime, nullable=False),
        sa.Column("done_at", UTCDateTime),
        sa.Column("outcome", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_NOTICE}")),
        sa.ForeignKeyConstraint(
            ["alert_id"], [f"{_ALERT}.id"], name=op.f(f"fk_{_NOTICE}_alert_id")
        ),
        sa.UniqueConstraint(
            "alert_id", "event", "channel", name=op.f(f"uq_{_NOTICE}_alert_id_event_channel")
        ),
        **_table(),
    )
    op.create_index("ix_smtp_admin_alert_notice_due", _NOTICE, ["done_at", "next_attempt_at"])
    turn = op.create_table(
        _TURN,
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("until", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{_TURN}")),
        **_table(),
    )
    # Whoever looks locks this row; it is always there.
    op.bulk_insert(turn, [{"name": "look", "until": datetime(2026, 1, 1, tzinfo=UTC)}])


def downgrade() -> None:
    op.drop_table(_TURN)
    op.drop_table(_NOTICE)
    op.drop_table(_ALERT)
