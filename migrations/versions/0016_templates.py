"""Templates that partners write, their revisions, and what the mail of a partner looks like.

Revision: 0016_templates
After: 0015_api_tokens
Date: 2026-11-29
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from smtp_admin.database import BigId, UTCDateTime

revision = "0016_templates"
down_revision = "0015_api_tokens"
branch_labels = None
depends_on = None

_TEMPLATE = "smtp_admin_email_template"
_REVISION = "smtp_admin_email_template_revision"
_BRANDING = "smtp_admin_branding"
_LONG = sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")


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
        _TEMPLATE,
        sa.Column("id", BigId, nullable=False),
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("type_name", sa.String(60), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_TEMPLATE}")),
        sa.UniqueConstraint(
            "partner_id",
            "type_name",
            "language",
            name=op.f(f"uq_{_TEMPLATE}_partner_id_type_name_language"),
        ),
        **_table(),
    )
    op.create_table(
        _REVISION,
        sa.Column("template_id", BigId, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("subject", sa.String(1000), nullable=False),
        sa.Column("text", _LONG, nullable=False),
        sa.Column("html", _LONG, nullable=False),
        sa.Column("what", sa.String(10), nullable=False),
        sa.Column("saved_at", UTCDateTime, nullable=False),
        sa.Column("saved_by", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("template_id", "number", name=op.f(f"pk_{_REVISION}")),
        sa.ForeignKeyConstraint(
            ["template_id"], [f"{_TEMPLATE}.id"], name=op.f(f"fk_{_REVISION}_template_id")
        ),
        **_table(),
    )
    op.create_table(
        _BRANDING,
        sa.Column("partner_id", sa.String(100), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("colour", sa.String(7), nullable=False),
        sa.Column("logo_url", sa.String(500), nullable=False),
        sa.Column("footer", sa.String(500), nullable=False),
        sa.Column("saved_at", UTCDateTime, nullable=False),
        sa.Column("saved_by", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f(f"pk_{_BRANDING}")),
        **_table(),
    )


def downgrade() -> None:
    op.drop_table(_BRANDING)
    op.drop_table(_REVISION)
    op.drop_table(_TEMPLATE)
