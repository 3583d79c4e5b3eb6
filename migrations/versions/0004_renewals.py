"""Renewal reminders: settings, the ledger of notices, reports of runs.

Revision: 0004_renewals
After: 0003_history
Date: 2026-11-21
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from smtp_admin.database import BigId, UTCDateTime

revision = "0004_renewals"
down_revision = "0003_history"
branch_labels = None
depends_on = None

_SETTINGS = "smtp_admin_renewal_settings"
_CUSTOMER = "smtp_admin_renewal_customer"
_NOTICE = "smtp_admin_renewal_notice"
_RUN = "smtp_admin_renewal_run"
_LONG = sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")


def _table() -> dict[str, Any]:
    """As in 0001: ids are compared letter by letter on every database."""
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
        _SETTINGS,
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("own", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("window_days", sa.SmallInteger, nullable=False),
        sa.Column("steps", sa.String(60), nullable=False),
        sa.Column("min_hours", sa.Integer, nullable=False),
        sa.Column("on_demand_min_hours", sa.Integer, nullable=False),
        sa.Column("quiet_from", sa.String(5), nullable=False),
        sa.Column("quiet_to", sa.String(5), nullable=False),
        sa.Column("time_zone", sa.String(60), nullable=False),
        sa.Column("saved_at", UTCDateTime, nullable=False),
        sa.Column("saved_by", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f(f"pk_{_SETTINGS}")),
        **_table(),
    )
    op.create_table(
        _CUSTOMER,
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("customer_id", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("notice", sa.String(32), nullable=False),
        sa.Column("last_at", UTCDateTime),
        sa.Column("announced", _LONG, nullable=False),
        sa.Column("refused_address", sa.String(254), nullable=False),
        sa.Column("token", sa.String(40), nullable=False),
        sa.Column("unsubscribed_at", UTCDateTime),
        sa.PrimaryKeyConstraint("partner_id", "customer_id", name=op.f(f"pk_{_CUSTOMER}")),
        sa.UniqueConstraint("token", name=op.f(f"uq_{_CUSTOMER}_token")),
        **_table(),
    )
    op.create_table(
        _NOTICE,
        sa.Column("id", BigId, nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("customer_id", sa.String(100), nullable=False),
        sa.Column("mail_id", sa.String(32), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("on_demand", sa.Boolean, nullable=False),
        sa.Column("services", _LONG, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("settled_at", UTCDateTime),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_NOTICE}")),
        sa.UniqueConstraint("key", name=op.f(f"uq_{_NOTICE}_key")),
        sa.UniqueConstraint("mail_id", name=op.f(f"uq_{_NOTICE}_mail_id")),
        **_table(),
    )
    op.create_index(f"ix_{_NOTICE}_customer", _NOTICE, ["partner_id", "customer_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        f"ix_{_NOTICE}_waiting",
        _NOTICE,
        ["state"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_table(
        _RUN,
        sa.Column("id", BigId, nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("slot", sa.BigInteger),
        sa.Column("started_at", UTCDateTime, nullable=False),
        sa.Column("progress_at", UTCDateTime, nullable=False),
        sa.Column("finished_at", UTCDateTime),
        sa.Column("eventful", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_RUN}")),
        sa.UniqueConstraint("partner_id", "slot", name=op.f(f"uq_{_RUN}_partner_id_slot")),
        **_table(),
    )


def downgrade() -> None:
    for table in (_RUN, _NOTICE, _CUSTOMER, _SETTINGS):
        op.drop_table(table)
