"""Each reason for which an address gets less mail has a row of its own.

Revision: 0030_reasons
After: 0029_applied_at
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0030_reasons"
down_revision = "0029_applied_at"
branch_labels = None
depends_on = None

_SUPPRESSION = "smtp_admin_suppression"
_KEY = ["address_hash", "partner_id", "category"]
_BEFORE = f"uq_{_SUPPRESSION}_address_hash_partner_id_category"
_NOW = f"uq_{_SUPPRESSION}_reason"
#: Of several rows one can stay: the one that nobody but an admin may lift.
_STRONGEST = ("bounce", "soft_bounces", "manual", "complaint", "unsubscribe")


def upgrade() -> None:
    with op.batch_alter_table(_SUPPRESSION) as table:
        table.create_unique_constraint(_NOW, [*_KEY, "reason"])
        table.drop_constraint(_BEFORE, type_="unique")


def downgrade() -> None:
    _keep_the_strongest()
    with op.batch_alter_table(_SUPPRESSION) as table:
        table.create_unique_constraint(_BEFORE, _KEY)
        table.drop_constraint(_NOW, type_="unique")


def _keep_the_strongest() -> None:
    rows = sa.table(_SUPPRESSION, *(sa.column(name) for name in ("id", *_KEY, "reason")))
    key = [rows.c[name] for name in _KEY]
    connection = op.get_bind()
    several = connection.execute(sa.select(*key).group_by(*key).having(sa.func.count() > 1)).all()
    for one in several:
        mine = sa.and_(*(column == value for column, value in zip(key, one, strict=True)))
        found = connection.execute(sa.select(rows.c.id, rows.c.reason).where(mine)).all()
        kept, *rest = sorted(found, key=lambda row: _STRONGEST.index(row.reason))
        gone = [row.id for row in rest]
        connection.execute(sa.delete(rows).where(rows.c.id.in_(gone), rows.c.id != kept.id))
