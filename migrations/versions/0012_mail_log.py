"""What a log of mail is searched by: the parts of an address, the Message-ID and the type.

Revision: 0012_mail_log
After: 0011_audit_partner
Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0012_mail_log"
down_revision = "0011_audit_partner"
branch_labels = None
depends_on = None

_DELIVERY, _MESSAGE = "smtp_admin_delivery", "smtp_admin_message"
_RECIPIENT = "ix_smtp_admin_delivery_recipient"
_ADDRESS = "ix_smtp_admin_delivery_address"
_MESSAGE_ID, _TYPE = "ix_smtp_admin_message_message_id", "ix_smtp_admin_message_type"
#: The parts of an address by the database's own functions.
_PARTS = {
    "postgresql": (
        "lower(substring(recipient from '[^@]*$'))",
        "lower(substring(recipient from '^(.*)@'))",
    ),
    "sqlite": (
        "lower(substr(recipient, instr(recipient, '@') + 1))",
        "lower(substr(recipient, 1, instr(recipient, '@') - 1))",
    ),
    "mysql": (
        "lower(substring_index(recipient, '@', -1))",
        (
            "lower(left(recipient, char_length(recipient)"
            " - char_length(substring_index(recipient, '@', -1)) - 1))"
        ),
    ),
}


def upgrade() -> None:
    for name in ("domain", "mailbox"):
        op.add_column(_DELIVERY, sa.Column(name, sa.String(254), nullable=False, server_default=""))
    dialect = op.get_bind().dialect.name
    domain, mailbox = _PARTS["mysql" if dialect == "mariadb" else dialect]
    op.execute(
        f"UPDATE {_DELIVERY} SET domain = {domain}, mailbox = {mailbox}"  # noqa: S608 - our own
        " WHERE recipient LIKE '%@%'"
    )
    op.drop_index(_RECIPIENT, _DELIVERY)
    op.create_index(_ADDRESS, _DELIVERY, ["domain", "mailbox"])
    op.create_index(_MESSAGE_ID, _MESSAGE, ["message_id"])
    op.create_index(_TYPE, _MESSAGE, ["type_name", "id"])


def downgrade() -> None:
    op.drop_index(_TYPE, _MESSAGE)
    op.drop_index(_MESSAGE_ID, _MESSAGE)
    op.drop_index(_ADDRESS, _DELIVERY)
    op.create_index(_RECIPIENT, _DELIVERY, ["recipient"])
    with op.batch_alter_table(_DELIVERY) as table:
        table.drop_column("mailbox")
        table.drop_column("domain")
