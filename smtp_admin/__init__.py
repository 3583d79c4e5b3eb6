"""Per-partner mail sending for Flask: an SMTP tab, an honest connection test, and an outbox.

The public names; everything else is free to move.
"""

from smtp_admin.errors import (
    ConfigError,
    Conflict,
    MessageError,
    QueueFull,
    SetupError,
    SMTPAdminError,
    TooLarge,
)
from smtp_admin.extension import SMTPAdmin
from smtp_admin.host import Actor, ExpiringService, Host, Partner
from smtp_admin.mail.batches import Recipient
from smtp_admin.mail.message import Attachment, Message
from smtp_admin.mail.types import EmailType

__all__ = [
    "Actor",
    "Attachment",
    "ConfigError",
    "Conflict",
    "EmailType",
    "ExpiringService",
    "Host",
    "Message",
    "MessageError",
    "Partner",
    "QueueFull",
    "Recipient",
    "SMTPAdmin",
    "SMTPAdminError",
    "SetupError",
    "TooLarge",
]
