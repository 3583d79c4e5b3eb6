"""Envelope senders, archive copies, and a row for each hop from one sender to another.

Copies that were made for some of a mail's recipients get the id that callers know the mail by.

Revision: 0006_hops
After: 0005_senders
Date: 2026-11-28
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from smtp_admin.database import BigId, UTCDateTime
from smtp_admin.errors import SetupError

revision = "0006_hops"
down_revision = "0005_senders"
branch_labels = None
depends_on = None

_MESSAGE = "smtp_admin_message"
_DELIVERY = "smtp_admin_delivery"
_HOP = "smtp_admin_hop"
_UNIQUE = "uq_smtp_admin_message_public_id"
_PUBLIC_ID = "ix_smtp_admin_message_public_id"
_UNSTAMPED = "ix_smtp_admin_message_unstamped"
_BEFORE, _NOW = "ix_smtp_admin_delivery_message_id", "ix_smtp_admin_delivery_message_pk"
_AT_ONCE = 500


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


_messages = sa.table(
    _MESSAGE,
    sa.column("id", BigId),
    sa.column("public_id", sa.String(32)),
    sa.column("copy_of", BigId),
    sa.column("envelope_from", sa.String(254)),
)
_deliveries = sa.table(
    _DELIVERY,
    sa.column("id", BigId),
    sa.column("sender_id", BigId),
    sa.column("created_at", UTCDateTime),
    sa.column("fallback_of", BigId),
    sa.column("fallback_reason", sa.String(500)),
    sa.column("archive", sa.Boolean),
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
#: To itself where somebody did something with it: that has no place in the tables of before.
_MOVED = _hops.c.from_sender_id != _hops.c.to_sender_id


def upgrade() -> None:
    with op.batch_alter_table(_MESSAGE) as table:
        table.add_column(sa.Column("envelope_from", sa.String(254)))
        table.add_column(sa.Column("sender_head", sa.Integer))
        table.drop_constraint(_UNIQUE, type_="unique")
    op.create_index(_PUBLIC_ID, _MESSAGE, ["public_id"])
    unstamped = sa.text("from_email IS NULL")
    op.create_index(
        _UNSTAMPED,
        _MESSAGE,
        ["from_email"],
        postgresql_where=unstamped,
        sqlite_where=unstamped,
        mysql_length={"from_email": 1},
        mariadb_length={"from_email": 1},
    )
    _renumber(op.get_bind(), lambda row: row.first or row.public_id)
    # Of all four databases; the index that the foreign key needs is there at every moment.
    op.execute(f"ALTER TABLE {_DELIVERY} RENAME COLUMN message_id TO message_pk")
    op.create_index(_NOW, _DELIVERY, ["message_pk"])
    op.drop_index(_BEFORE, _DELIVERY)
    op.create_table(
        _HOP,
        sa.Column("id", BigId, primary_key=True),
        sa.Column("delivery_id", BigId, sa.ForeignKey(f"{_DELIVERY}.id"), nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("from_sender_id", BigId, nullable=False),
        sa.Column("to_sender_id", BigId, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        **_table(),
    )
    op.create_index(f"ix_{_HOP}_delivery_id", _HOP, ["delivery_id"])
    op.create_index(f"ix_{_HOP}_to_sender_id", _HOP, ["to_sender_id"])
    # When it was is not known any more; not before the mail was queued.
    moved = sa.select(
        _deliveries.c.id,
        _deliveries.c.created_at,
        _deliveries.c.fallback_of,
        _deliveries.c.sender_id,
        _deliveries.c.fallback_reason,
        sa.literal("fallback"),
    ).where(_deliveries.c.fallback_of.is_not(None))
    columns = ["delivery_id", "at", "from_sender_id", "to_sender_id", "reason", "kind"]
    op.execute(sa.insert(_hops).from_select(columns, moved))
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("fallback_of")
        table.drop_column("fallback_reason")
        table.add_column(
            sa.Column("archive", sa.Boolean, nullable=False, server_default=sa.false())
        )


def refuse_downgrade(connection: Connection) -> None:
    """Stop before anything is changed if the older tables cannot hold what is there.

    Raises:
        SetupError: with all that they cannot hold.
    """
    several = sa.select(_hops.c.delivery_id).where(_MOVED).group_by(_hops.c.delivery_id)
    lost = {
        "mail was handed from sender to sender more than once": several.having(sa.func.count() > 1),
        "mail of a deleted sender was handed to another": sa.select(_hops.c.id).where(
            _hops.c.kind != "fallback", _MOVED
        ),
        "there is mail with an envelope sender of its own": sa.select(_messages.c.id).where(
            _messages.c.envelope_from.is_not(None)
        ),
        "there are archive copies": sa.select(_deliveries.c.id).where(
            _deliveries.c.archive.is_(sa.true())
        ),
    }
    reasons = [why for why, found in lost.items() if connection.execute(found.limit(1)).first()]
    if reasons:
        raise SetupError(
            f"The tables of before cannot hold what is there now: {'; '.join(reasons)}."
            " Nothing was changed."
        )


def downgrade() -> None:
    refuse_downgrade(op.get_bind())
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("archive")
        table.add_column(sa.Column("fallback_of", BigId))
        table.add_column(
            sa.Column("fallback_reason", sa.String(500), nullable=False, server_default="")
        )
    _move_back(op.get_bind())
    op.drop_table(_HOP)
    op.execute(f"ALTER TABLE {_DELIVERY} RENAME COLUMN message_pk TO message_id")
    op.create_index(_BEFORE, _DELIVERY, ["message_id"])
    op.drop_index(_NOW, _DELIVERY)
    _renumber(op.get_bind(), lambda _: _new_public_id())
    op.drop_index(_UNSTAMPED, _MESSAGE)
    op.drop_index(_PUBLIC_ID, _MESSAGE)
    with op.batch_alter_table(_MESSAGE) as table:
        table.create_unique_constraint(_UNIQUE, ["public_id"])
        table.drop_column("sender_head")
        table.drop_column("envelope_from")


def _renumber(connection: Connection, public_id: Callable[[Any], str]) -> None:
    """Give each copy the public id that *public_id* finds for it."""
    first, after = _messages.alias(), 0
    while True:
        rows = connection.execute(
            sa.select(_messages.c.id, _messages.c.public_id, first.c.public_id.label("first"))
            .outerjoin(first, first.c.id == _messages.c.copy_of)
            .where(_messages.c.copy_of.is_not(None), _messages.c.id > after)
            .order_by(_messages.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            mine = _messages.update().where(_messages.c.id == row.id)
            connection.execute(mine.values(public_id=public_id(row)))


def _new_public_id() -> str:
    return f"{int(time.time() * 1000):012x}{uuid.uuid4().hex[:20]}"


def _move_back(connection: Connection) -> None:
    """The one hop of a delivery into the delivery itself."""
    after = 0
    while True:
        next_hops = sa.select(_hops).where(_hops.c.id > after, _MOVED).order_by(_hops.c.id)
        rows = connection.execute(next_hops.limit(_AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            mine = _deliveries.update().where(_deliveries.c.id == row.delivery_id)
            connection.execute(
                mine.values(fallback_of=row.from_sender_id, fallback_reason=row.reason)
            )
