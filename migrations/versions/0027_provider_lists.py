"""When the suppression lists of providers were imported, and turns of events by owner.

Revision: 0027_provider_lists
After: 0026_sides
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from smtp_admin.database import BigId, UTCDateTime

revision = "0027_provider_lists"
down_revision = "0026_sides"
branch_labels = None
depends_on = None

_LIST, _EVENT = "smtp_admin_provider_list", "smtp_admin_event"
_TURNS = "ix_smtp_admin_event_turns"


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
        _LIST,
        sa.Column("id", BigId, nullable=False),
        sa.Column("sender_id", BigId, nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("next_import_at", UTCDateTime, nullable=False),
        sa.Column("lease", sa.String(32), nullable=False),
        sa.Column("imported_at", UTCDateTime),
        sa.Column("addresses", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_LIST}")),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["smtp_admin_sender.id"], name=op.f(f"fk_{_LIST}_sender_id")
        ),
        sa.UniqueConstraint("sender_id", name=op.f(f"uq_{_LIST}_sender_id")),
        **_table(),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        _TURNS,
        _EVENT,
        ["state", "partner_id", "next_try_at"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )


def downgrade() -> None:
    op.drop_index(_TURNS, _EVENT)
    op.drop_table(_LIST)
