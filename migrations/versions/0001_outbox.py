"""Senders with their revisions, the outbox, lanes, counters and the audit log.

Revision: 0001_outbox
Date: 2026-11-20
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from smtp_admin.database import BigId, UTCDateTime

revision = "0001_outbox"
down_revision = None
branch_labels = None
depends_on = None


def _table() -> dict[str, Any]:
    """How tables are made on MariaDB and MySQL.

    Ids are compared letter by letter on every database: the usual collations would take ACME for
    acme, and "acme " for "acme".
    """
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


_OPEN = sa.text("state IN ('queued', 'sending', 'uncertain', 'dead')")


def _id() -> sa.Column[int]:
    return sa.Column("id", BigId, primary_key=True)


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, UTCDateTime, nullable=nullable)


def _reference(name: str, table: str) -> sa.Column[int]:
    return sa.Column(name, BigId, sa.ForeignKey(f"{table}.id"), nullable=False)


def upgrade() -> None:
    _senders()
    _outbox()
    op.create_table(
        "smtp_admin_audit",
        _id(),
        _time("at"),
        _text("actor_id", 100),
        _text("actor_email", 320),
        _text("partner_id", 100),
        _text("action", 40),
        _text("detail", 500),
        **_table(),
    )
    op.create_index("ix_smtp_admin_audit_actor", "smtp_admin_audit", ["actor_id", "action", "at"])


def _senders() -> None:
    sender = op.create_table(
        "smtp_admin_sender",
        _id(),
        sa.Column("partner_id", sa.String(100), nullable=False, unique=True),
        _number("current_revision"),
        _time("paused_until", nullable=True),
        _text("pause_code", 40),
        _text("pause_reason", 500),
        _number("pauses"),
        _number("refusals"),
        _time("last_accepted_at", nullable=True),
        **_table(),
    )
    op.create_table(
        "smtp_admin_sender_revision",
        _id(),
        _reference("sender_id", "smtp_admin_sender"),
        _number("number"),
        _text("driver", 20),
        _text("host", 255),
        _number("port"),
        _text("security", 4),
        sa.Column("verify_tls", sa.Boolean, nullable=False),
        _text("username", 320),
        sa.Column("password_sealed", sa.Text),
        _time("password_set_at", nullable=True),
        _text("from_email", 254),
        _text("from_name", 64),
        _text("reply_to", 254),
        sa.Column("max_per_hour", sa.Integer),
        _time("created_at"),
        _text("created_by", 320),
        sa.UniqueConstraint("sender_id", "number"),
        **_table(),
    )
    lane = op.create_table(
        "smtp_admin_lane",
        _id(),
        _reference("sender_id", "smtp_admin_sender"),
        sa.Column("slot", sa.SmallInteger, nullable=False),
        sa.Column("lease", sa.String(32)),
        _time("lease_until", nullable=True),
        _text("holder", 100),
        sa.Column("rung", sa.Boolean, nullable=False),
        sa.UniqueConstraint("sender_id", "slot"),
        **_table(),
    )
    # The system's sender exists from the start: mail can be queued before anything is set up.
    op.bulk_insert(
        sender,
        [
            {
                "id": 1,
                "partner_id": "",
                "current_revision": 0,
                "pause_code": "",
                "pause_reason": "",
                "pauses": 0,
                "refusals": 0,
            }
        ],
    )
    op.bulk_insert(lane, [{"sender_id": 1, "slot": 0, "holder": "", "rung": False}])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('smtp_admin_sender', 'id'), 1)")


def _outbox() -> None:
    op.create_table(
        "smtp_admin_message",
        _id(),
        sa.Column("public_id", sa.String(32), nullable=False, unique=True),
        _text("partner_id", 100),
        _text("type_name", 64),
        _text("subject", 255),
        sa.Column(
            "content",
            sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
            nullable=False,
        ),
        _number("size"),
        _text("message_id", 255),
        sa.Column("from_email", sa.String(254)),
        sa.Column("sensitive", sa.Boolean, nullable=False),
        _text("on_uncertain", 10),
        sa.Column("idempotency_key", sa.String(200)),
        _time("created_at"),
        sa.UniqueConstraint("partner_id", "idempotency_key"),
        **_table(),
    )
    op.create_table(
        "smtp_admin_delivery",
        _id(),
        _reference("message_id", "smtp_admin_message"),
        sa.Column("sender_id", BigId, nullable=False),
        _text("partner_id", 100),
        _text("recipient", 254),
        _text("state", 12),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        _number("attempts"),
        _time("created_at"),
        _time("next_attempt_at"),
        _time("expires_at", nullable=True),
        _number("releases"),
        _number("uncertains"),
        sa.Column("lease", sa.String(32)),
        _time("finished_at", nullable=True),
        _text("last_code", 40),
        _text("last_error", 500),
        _text("last_reply", 300),
        **_table(),
    )
    _delivery_indexes()
    op.create_table(
        "smtp_admin_attempt",
        _id(),
        _reference("delivery_id", "smtp_admin_delivery"),
        _time("at"),
        _text("verdict", 12),
        _text("code", 40),
        _text("error", 500),
        _text("reply", 300),
        _number("revision"),
        _text("worker", 100),
        **_table(),
    )
    op.create_index("ix_smtp_admin_attempt_delivery_id", "smtp_admin_attempt", ["delivery_id"])
    op.create_table(
        "smtp_admin_counter",
        sa.Column("sender_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("partner_id", sa.String(100), primary_key=True),
        sa.Column("span", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("minute", UTCDateTime, primary_key=True),
        _number("sent"),
        _number("failed"),
        _number("dead"),
        sa.Column("seconds", sa.Float, nullable=False),
        **_table(),
    )


def _delivery_indexes() -> None:
    table = "smtp_admin_delivery"
    queued, leased = sa.text("state = 'queued'"), sa.text("lease IS NOT NULL")
    op.create_index(
        "ix_smtp_admin_delivery_due",
        table,
        ["sender_id", "state", "priority", "next_attempt_at"],
        postgresql_where=queued,
        sqlite_where=queued,
    )
    op.create_index(
        "ix_smtp_admin_delivery_lease",
        table,
        ["lease"],
        postgresql_where=leased,
        sqlite_where=leased,
    )
    op.create_index("ix_smtp_admin_delivery_finished", table, ["sender_id", "finished_at"])
    op.create_index(
        "ix_smtp_admin_delivery_open",
        table,
        ["partner_id", "state"],
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )
    op.create_index("ix_smtp_admin_delivery_message_id", table, ["message_id"])


def downgrade() -> None:
    for table in (
        "counter",
        "attempt",
        "delivery",
        "message",
        "audit",
        "lane",
        "sender_revision",
        "sender",
    ):
        op.drop_table(f"smtp_admin_{table}")
