"""Everything of Flask-Mail, with ``Mail`` and ``Connection`` that queue into our outbox.

An app that has ``from flask_mail import Mail, Message`` changes that one line.
"""

from flask_mail import (
    Attachment,
    BadHeaderError,
    FlaskMailUnicodeDecodeError,
    Message,
    email_dispatched,
    force_text,
    sanitize_address,
    sanitize_addresses,
    sanitize_subject,
    signals,
)

from smtp_admin.mail.mail_connection import Connection
from smtp_admin.mail.mailer import Mail

__all__ = [
    "Attachment",
    "BadHeaderError",
    "Connection",
    "FlaskMailUnicodeDecodeError",
    "Mail",
    "Message",
    "email_dispatched",
    "force_text",
    "sanitize_address",
    "sanitize_addresses",
    "sanitize_subject",
    "signals",
]
