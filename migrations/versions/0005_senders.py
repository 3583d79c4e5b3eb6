"""Any number of senders for a partner, settings as a document, secrets by name, routes.

Revision: 0005_senders
After: 0004_renewals
Date: 2026-11-28
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from smtp_admin.database import BigId, UTCDateTime
from smtp_admin.errors import SetupError

revision = "0005_senders"
down_revision = "0004_renewals"
branch_labels = None
depends_on = None

_SENDER = "smtp_admin_sender"
_REVISION = "smtp_admin_sender_revision"
_ROUTE = "smtp_admin_route"
_TEST = "smtp_admin_worker_test"
_AT_ONCE = 500
#: What had a column of its own, and is in the document now; the password was bound to these as
#: they were written, so their values go over unchanged.
_MOVED = ("host", "port", "security", "verify_tls", "username")
_UNIQUE_BEFORE, _UNIQUE_NOW = (
    "uq_smtp_admin_sender_partner_id",
    "uq_smtp_admin_sender_partner_id_key",
)


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


def _text(name: str, length: int, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _revisions(*more: sa.Column[Any]) -> sa.Table:
    """The revisions with the columns of both versions, for moving data."""
    return sa.Table(
        _REVISION,
        sa.MetaData(),
        sa.Column("id", BigId, primary_key=True),
        sa.Column("driver", sa.String(20)),
        sa.Column("host", sa.String(255)),
        sa.Column("port", sa.Integer),
        sa.Column("security", sa.String(4)),
        sa.Column("verify_tls", sa.Boolean),
        sa.Column("username", sa.String(320)),
        sa.Column("password_sealed", sa.Text),
        sa.Column("password_set_at", UTCDateTime),
        sa.Column("fallback", sa.Boolean),
        sa.Column("fields", sa.JSON),
        sa.Column("secrets", sa.JSON),
        *more,
    )


def upgrade() -> None:
    with op.batch_alter_table(_SENDER) as table:
        table.add_column(_text("key", 40, ""))
        table.add_column(_text("label", 80, ""))
        table.add_column(sa.Column("deleted_at", UTCDateTime))
        table.drop_constraint(_UNIQUE_BEFORE, type_="unique")
        table.create_unique_constraint(_UNIQUE_NOW, ["partner_id", "key"])
    with op.batch_alter_table(_REVISION) as table:
        table.add_column(_text("envelope_from", 254, ""))
        table.add_column(sa.Column("fields", sa.JSON))
        table.add_column(sa.Column("secrets", sa.JSON))
    _move_into_documents(op.get_bind())
    with op.batch_alter_table(_REVISION) as table:
        table.alter_column("fields", existing_type=sa.JSON, nullable=False)
        table.alter_column("secrets", existing_type=sa.JSON, nullable=False)
        for name in (*_MOVED, "password_sealed", "password_set_at", "fallback"):
            table.drop_column(name)
    op.create_table(
        _ROUTE,
        sa.Column("id", BigId, primary_key=True),
        _text("partner_id", 100),
        _text("kind", 10),
        _text("name", 64),
        sa.Column("sender_id", BigId, sa.ForeignKey(f"{_SENDER}.id"), nullable=False),
        sa.UniqueConstraint("partner_id", "kind", "name"),
        **_table(),
    )
    # Rows of minutes: nobody waits for one through an upgrade.
    op.execute(sa.text(f"DELETE FROM {_TEST}"))  # noqa: S608 - our own name
    with op.batch_alter_table(_TEST) as table:
        table.add_column(_text("sender_key", 40, ""))
        table.add_column(sa.Column("settings", sa.JSON, nullable=False))
        table.add_column(sa.Column("secrets", sa.JSON, nullable=False))
        for name in ("driver", *_MOVED, "from_email", "password_sealed"):
            table.drop_column(name)


def _move_into_documents(connection: Connection) -> None:
    table, after = _revisions(), 0
    while True:
        page = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(_AT_ONCE)
        rows = connection.execute(page).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            fields = {name: getattr(row, name) for name in _MOVED}
            fields |= {"fallbacks": ["system"] if row.fallback else []}
            secrets = {}
            if row.password_sealed is not None:
                set_at = row.password_set_at.isoformat() if row.password_set_at else None
                secrets["password"] = {"sealed": row.password_sealed, "set_at": set_at}
            connection.execute(
                table.update().where(table.c.id == row.id).values(fields=fields, secrets=secrets)
            )


def downgrade() -> None:
    connection = op.get_bind()
    refuse_downgrade(connection)
    with op.batch_alter_table(_TEST) as table:
        table.drop_column("secrets")
        table.drop_column("settings")
        table.drop_column("sender_key")
        table.add_column(_text("driver", 20, "smtp"))
        table.add_column(_text("host", 255, ""))
        table.add_column(sa.Column("port", sa.Integer, nullable=False, server_default="0"))
        table.add_column(_text("security", 4, "tls"))
        table.add_column(
            sa.Column("verify_tls", sa.Boolean, nullable=False, server_default=sa.true())
        )
        table.add_column(_text("username", 320, ""))
        table.add_column(_text("from_email", 254, ""))
        table.add_column(sa.Column("password_sealed", sa.Text))
    op.execute(sa.text(f"DELETE FROM {_TEST}"))  # noqa: S608 - our own name
    with op.batch_alter_table(_TEST) as table:
        for name, type_ in _DEFAULTED:
            table.alter_column(
                name, existing_type=type_, existing_nullable=False, server_default=None
            )
    op.drop_table(_ROUTE)
    with op.batch_alter_table(_REVISION) as table:
        table.add_column(_text("host", 255, ""))
        table.add_column(sa.Column("port", sa.Integer, nullable=False, server_default="0"))
        table.add_column(_text("security", 4, "tls"))
        table.add_column(
            sa.Column("verify_tls", sa.Boolean, nullable=False, server_default=sa.true())
        )
        table.add_column(_text("username", 320, ""))
        table.add_column(sa.Column("password_sealed", sa.Text))
        table.add_column(sa.Column("password_set_at", UTCDateTime))
        table.add_column(
            sa.Column("fallback", sa.Boolean, nullable=False, server_default=sa.false())
        )
    _move_out_of_documents(connection)
    with op.batch_alter_table(_REVISION) as table:
        for name, type_ in _DEFAULTED:
            if name in _MOVED:
                table.alter_column(
                    name, existing_type=type_, existing_nullable=False, server_default=None
                )
        table.drop_column("secrets")
        table.drop_column("fields")
        table.drop_column("envelope_from")
    with op.batch_alter_table(_SENDER) as table:
        table.drop_constraint(_UNIQUE_NOW, type_="unique")
        table.create_unique_constraint(_UNIQUE_BEFORE, ["partner_id"])
        table.drop_column("deleted_at")
        table.drop_column("label")
        table.drop_column("key")


_DEFAULTED: tuple[tuple[str, Any], ...] = (
    ("driver", sa.String(20)),
    ("host", sa.String(255)),
    ("port", sa.Integer()),
    ("security", sa.String(4)),
    ("verify_tls", sa.Boolean()),
    ("username", sa.String(320)),
    ("from_email", sa.String(254)),
)


def refuse_downgrade(connection: Connection) -> None:
    """Stop before anything is changed if the older tables cannot hold what is there.

    Raises:
        SetupError: with all that they cannot hold.
    """
    reasons = []
    senders = sa.Table(
        _SENDER,
        sa.MetaData(),
        sa.Column("key", sa.String(40)),
        sa.Column("deleted_at", UTCDateTime),
    )
    several = sa.select(sa.func.count()).where(
        sa.or_(senders.c.key != "", senders.c.deleted_at.is_not(None))
    )
    if connection.scalar(several):
        reasons.append("there are senders beside the default ones, or deleted ones")
    table = _revisions(sa.Column("envelope_from", sa.String(254)))
    columns = (table.c.driver, table.c.fields, table.c.secrets, table.c.envelope_from)
    for row in connection.execute(sa.select(*columns)):
        extra = {
            name
            for name, value in row.fields.items()
            if value not in ("", [], None) and name not in {*_MOVED, "fallbacks"}
        }
        newer = any(not one["sealed"].startswith("v1.") for one in row.secrets.values())
        fallbacks = row.fields.get("fallbacks", [])
        if row.driver != "smtp":
            reasons.append(f"a revision sends by {row.driver}")
        if extra or row.envelope_from:
            reasons.append(f"a revision has {', '.join(sorted(extra)) or 'an envelope sender'}")
        if fallbacks not in ([], ["system"]):
            reasons.append("a revision names fallbacks other than the system's sender")
        if newer:
            reasons.append("passwords were saved since the upgrade, in a newer format")
    if reasons:
        listed = "; ".join(sorted(set(reasons)))
        raise SetupError(
            f"The tables of before cannot hold what is there now: {listed}. Nothing was changed."
        )


def _move_out_of_documents(connection: Connection) -> None:
    table, after = _revisions(), 0
    while True:
        page = sa.select(table.c.id, table.c.fields, table.c.secrets).where(table.c.id > after)
        rows = connection.execute(page.order_by(table.c.id).limit(_AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            values: dict[str, Any] = {name: row.fields[name] for name in _MOVED}
            password = row.secrets.get("password")
            if password:
                values["password_sealed"] = password["sealed"]
                if password["set_at"]:
                    values["password_set_at"] = datetime.fromisoformat(password["set_at"])
            values["fallback"] = row.fields.get("fallbacks") == ["system"]
            connection.execute(table.update().where(table.c.id == row.id).values(values))
