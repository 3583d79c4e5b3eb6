"""What a revision restores, its last connection test, and tests that a worker is to run.

Revision: 0003_history
After: 0002_engine
Date: 2026-11-21
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0003_history"
down_revision = "0002_engine"
branch_labels = None
depends_on = None

_REVISION = "smtp_admin_sender_revision"


def _table() -> dict[str, Any]:
    """As in the first migration: ids are compared letter by letter on every database."""
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


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def upgrade() -> None:
    with op.batch_alter_table(_REVISION) as table:
        table.add_column(sa.Column("restores", sa.Integer))
    op.create_table(
        "smtp_admin_revision_test",
        sa.Column(
            "revision_id",
            BigId,
            sa.ForeignKey(f"{_REVISION}.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("place", sa.String(10), primary_key=True),
        sa.Column("ok", sa.Boolean, nullable=False),
        _text("code", 40),
        _text("message", 500),
        _text("reply", 500),
        sa.Column("at", UTCDateTime, nullable=False),
        _text("tested_by", 320),
        **_table(),
    )
    op.create_table(
        "smtp_admin_worker_test",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("public_id", sa.String(32), nullable=False, unique=True),
        _text("partner_id", 100),
        sa.Column("revision_id", BigId, sa.ForeignKey(f"{_REVISION}.id")),
        _text("asked_by", 320),
        sa.Column("created_at", UTCDateTime, nullable=False),
        _text("driver", 20),
        _text("host", 255),
        sa.Column("port", sa.Integer, nullable=False),
        _text("security", 4),
        sa.Column("verify_tls", sa.Boolean, nullable=False),
        _text("username", 320),
        _text("from_email", 254),
        sa.Column("password_sealed", sa.Text),
        _text("state", 10),
        _text("worker", 200),
        sa.Column("taken_at", UTCDateTime),
        _text("problem", 500),
        sa.Column("web_result", sa.Text),
        sa.Column("worker_result", sa.Text),
        **_table(),
    )


def downgrade() -> None:
    op.drop_table("smtp_admin_worker_test")
    op.drop_table("smtp_admin_revision_test")
    with op.batch_alter_table(_REVISION) as table:
        table.drop_column("restores")
