"""Certificates that mail servers showed, and until when sign-ins count.

Revision: 0022_expiry
After: 0021_overview
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0022_expiry"
down_revision = "0021_overview"
branch_labels = None
depends_on = None

_CERTIFICATE, _GRANT = "smtp_admin_server_certificate", "smtp_admin_oauth_grant"


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
        _CERTIFICATE,
        sa.Column("sender_id", BigId, nullable=False, autoincrement=False),
        sa.Column("place", sa.String(300), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("begins", UTCDateTime),
        sa.Column("ends", UTCDateTime, nullable=False),
        sa.Column("seen_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sender_id", name=op.f(f"pk_{_CERTIFICATE}")),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["smtp_admin_sender.id"],
            name=op.f(f"fk_{_CERTIFICATE}_sender_id"),
        ),
        **_table(),
    )
    op.add_column(_GRANT, sa.Column("refresh_until", UTCDateTime))
    op.add_column(_GRANT, sa.Column("refresh_from", UTCDateTime))


def downgrade() -> None:
    with op.batch_alter_table(_GRANT) as table:
        table.drop_column("refresh_from")
        table.drop_column("refresh_until")
    op.drop_table(_CERTIFICATE)
