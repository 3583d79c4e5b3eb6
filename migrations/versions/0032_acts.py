"""What people did with mail has a table of its own, with who it was; it was kept among the hops.

Revision: 0032_acts
After: 0031_provider_removals
Date: 2026-11-29
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from smtp_admin.database import BigId, UTCDateTime

revision = "0032_acts"
down_revision = "0031_provider_removals"
branch_labels = None
depends_on = None

_ACT, _HOP, _BATCH = "smtp_admin_act", "smtp_admin_hop", "smtp_admin_batch"
#: Of each kind that there was: what the audit log calls it.
_AUDITED = {
    "retry": "mail.retried",
    "hurry": "mail.hurried",
    "cancel": "mail.cancelled",
    "discard": "mail.discarded",
    "arrived": "mail.settled",
    "lost": "mail.given_up",
    "release": "mail.released",
    "undo": "mail.undone",
    "corrected": "mail.corrected",
}
#: Between an act and its line in the audit log.
_APART = timedelta(seconds=30)
_AT_ONCE = 500
#: So many answers are kept.
_KEPT = 10_000

_deliveries = sa.table(
    "smtp_admin_delivery",
    sa.column("id", BigId),
    sa.column("sender_id", BigId),
    sa.column("partner_id", sa.String(100)),
)
_hops = sa.table(
    _HOP,
    sa.column("id", BigId),
    sa.column("delivery_id", BigId),
    sa.column("at", UTCDateTime),
    sa.column("from_sender_id", BigId),
    sa.column("to_sender_id", BigId),
    sa.column("reason", sa.String(500)),
    sa.column("kind", sa.String(10)),
)
_acts = sa.table(
    _ACT,
    sa.column("id", BigId),
    sa.column("delivery_id", BigId),
    sa.column("at", UTCDateTime),
    sa.column("kind", sa.String(20)),
    sa.column("actor_id", sa.String(100)),
    sa.column("actor_name", sa.String(320)),
)
_audits = sa.table(
    "smtp_admin_audit",
    sa.column("at", UTCDateTime),
    sa.column("actor_id", sa.String(100)),
    sa.column("actor_email", sa.String(320)),
    sa.column("partner_id", sa.String(100)),
    sa.column("action", sa.String(40)),
)


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
        _ACT,
        sa.Column("id", BigId, nullable=False),
        sa.Column("delivery_id", BigId, nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("actor_id", sa.String(100), nullable=False),
        sa.Column("actor_name", sa.String(320), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_ACT}")),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["smtp_admin_delivery.id"],
            name=op.f(f"fk_{_ACT}_delivery_id_smtp_admin_delivery"),
        ),
        **_table(),
    )
    op.create_index(f"ix_{_ACT}_delivery_id", _ACT, ["delivery_id"])
    for name, length in (("cancelled_by_id", 100), ("cancelled_by", 320)):
        op.add_column(_BATCH, sa.Column(name, sa.String(length), nullable=False, server_default=""))
    connection = op.get_bind()
    _carry_over(connection, _Names(connection))
    connection.execute(sa.delete(_hops).where(_hops.c.kind.in_(_AUDITED)))


def downgrade() -> None:
    # What was done with a whole batch had no place before. MariaDB may have been stopped on this
    # way before, with rows that were put back, and without the table.
    if not sa.inspect(op.get_bind()).has_table(_ACT):
        return
    op.execute(sa.delete(_hops).where(_hops.c.kind.in_(_AUDITED)))
    kept = (
        sa.select(
            _acts.c.delivery_id,
            _acts.c.at,
            _deliveries.c.sender_id,
            _deliveries.c.sender_id.label("to_sender_id"),
            sa.literal(""),
            _acts.c.kind,
        )
        .join_from(_acts, _deliveries, _deliveries.c.id == _acts.c.delivery_id)
        .where(_acts.c.kind.in_(_AUDITED))
        .order_by(_acts.c.id)
    )
    columns = ["delivery_id", "at", "from_sender_id", "to_sender_id", "reason", "kind"]
    op.execute(sa.insert(_hops).from_select(columns, kept))
    op.drop_column(_BATCH, "cancelled_by")
    op.drop_column(_BATCH, "cancelled_by_id")
    op.drop_table(_ACT)


def _carry_over(connection: Connection, who: Callable[[Any], tuple[str, str]]) -> None:
    for some in _in_steps(connection):
        acts = []
        for row in some:
            actor_id, actor_name = who(row)
            told = {"delivery_id": row.delivery_id, "at": row.at, "kind": row.kind}
            acts.append({**told, "actor_id": actor_id, "actor_name": actor_name})
        connection.execute(sa.insert(_acts), acts)


def _in_steps(connection: Connection) -> Iterator[list[Any]]:
    after = 0
    while True:
        rows = connection.execute(
            sa.select(_hops, _deliveries.c.partner_id)
            .join_from(_hops, _deliveries, _deliveries.c.id == _hops.c.delivery_id)
            .where(_hops.c.kind.in_(_AUDITED), _hops.c.id > after)
            .order_by(_hops.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        yield [*rows]
        after = rows[-1].id


class _Names:
    """Who did what, as the audit log has it: whoever did the same at that moment, if it was one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Thousands have one moment, those of several partners by turns. Nobody sends meanwhile.
        self._known = lru_cache(_KEPT)(self._look)

    def __call__(self, row: Any) -> tuple[str, str]:
        """Id and name of whoever did it; both are empty where that is not certain."""
        return self._known(row.partner_id, row.kind, row.at)

    def _look(self, partner_id: str, kind: str, at: Any) -> tuple[str, str]:
        near = sa.select(_audits.c.at, _audits.c.actor_id, _audits.c.actor_email).where(
            _audits.c.partner_id == partner_id,
            _audits.c.action == _AUDITED[kind],
            _audits.c.at.between(at - _APART, at + _APART),
        )
        found = self._connection.execute(near).all()
        there = {tuple(one[1:]) for one in found if one.at == at} or {
            tuple(one[1:]) for one in found
        }
        if len(there) != 1:
            return "", ""
        ((actor_id, actor_name),) = there
        return actor_id, actor_name
