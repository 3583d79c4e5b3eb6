"""All commands: each module adds its own to the group when it is imported."""

from smtp_admin.cli import (  # noqa: F401 - imported for what they add
    batch,
    connection,
    database,
    deliverability,
    discovery,
    doctor,
    explain,
    keys,
    mail,
    renewals,
    routes,
    sandbox,
    send_many,
    senders,
    sending,
    wizard,
)
from smtp_admin.cli.group import commands

__all__ = ["commands"]
