"""Per-partner mail sending for Flask: an SMTP tab, an honest connection test, and an outbox.

The public names; everything else is free to move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from smtp_admin.login_host import LoginHost
from smtp_admin.mail.batches import Recipient
from smtp_admin.mail.message import Attachment, Message
from smtp_admin.mail.types import EmailType

if TYPE_CHECKING:
    from smtp_admin.mail.mailer import Mail

__all__ = [
    "Actor",
    "Attachment",
    "ConfigError",
    "Conflict",
    "EmailType",
    "ExpiringService",
    "Host",
    "LoginHost",
    "Mail",
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


def __getattr__(name: str) -> Any:
    """What loads Flask-Mail or Flask-Security, for those who ask for it."""
    if name == "Mail":
        from smtp_admin.mail.mailer import Mail

        return Mail
    if name in {"flask_mail", "flask_security"}:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
