"""What lies in ``app.extensions["mail"]``, where Flask-Mail's messages and users look for it.

Made without Flask-Mail, which changes for the whole process how Python's own ``email`` package
writes UTF-8: an app that does not use it must not notice.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask import Flask, current_app

from smtp_admin.database import SYSTEM
from smtp_admin.mail.mail_connection import Connection

#: The key in ``app.extensions``, which is Flask-Mail's.
SLOT = "mail"


class Sending:
    """Flask-Mail's ways to send, each into the outbox."""

    def send(self, message: Any, *, partner_id: str = SYSTEM) -> str:
        """Queue *message* (ours or Flask-Mail's), commit, and return its public id.

        The id is empty where nothing is queued (``MAIL_SUPPRESS_SEND``, tests).

        Raises:
            MessageError: it cannot be built.
            QueueFull: too much is waiting already.
            SetupError: the tables are missing; it names the command that makes them.
        """
        with self.connect(partner_id=partner_id) as connection:
            # Flask-Mail's messages hand themselves over, and a subclass may do more then.
            if hasattr(message, "send"):
                message.send(connection)
            else:
                connection.send(message)
        return connection.last_id

    def send_message(self, *args: Any, partner_id: str = SYSTEM, **kwargs: Any) -> str:
        """Make a message of the arguments of Flask-Mail's ``Message``, and queue it."""
        from flask_mail import Message

        return self.send(Message(*args, **kwargs), partner_id=partner_id)

    def connect(self, *, partner_id: str = SYSTEM) -> Connection:
        """For code that keeps a connection open: a context manager with the same methods.

        Raises:
            RuntimeError: outside an app context, or the plugin was not put into the app.
        """
        app: Flask = getattr(self, "app", None) or current_app
        return Connection(slot_of(app), partner_id=partner_id)

    def record_messages(self) -> AbstractContextManager[list[Any]]:
        """Every message that is queued, or would be, inside the ``with``; for tests."""
        return _recorded()


class MailState(Sending):
    """The ``MAIL_…`` settings of an app, under the names that Flask-Mail gives them.

    Of these only ``suppress``, ``default_sender``, ``ascii_attachments`` and ``max_emails`` have an
    effect: the server and its login are those of the sender's settings.
    """

    def __init__(self, config: Mapping[str, Any], debug: bool | int, testing: bool) -> None:
        self.server: str = config.get("MAIL_SERVER", "127.0.0.1")
        self.username: str | None = config.get("MAIL_USERNAME")
        self.password: str | None = config.get("MAIL_PASSWORD")
        self.port: int | None = config.get("MAIL_PORT", 25)
        self.use_tls: bool = config.get("MAIL_USE_TLS", False)
        self.use_ssl: bool = config.get("MAIL_USE_SSL", False)
        self.default_sender: Any = config.get("MAIL_DEFAULT_SENDER")
        self.debug = int(config.get("MAIL_DEBUG", debug))
        self.max_emails: int | None = config.get("MAIL_MAX_EMAILS")
        self.suppress: bool = config.get("MAIL_SUPPRESS_SEND", testing)
        self.ascii_attachments: bool = config.get("MAIL_ASCII_ATTACHMENTS", False)


def slot_of(app: Flask) -> MailState:
    """Ours of *app*; made where Flask-Mail itself, or nobody, has taken the place."""
    found = app.extensions.get(SLOT)
    return found if isinstance(found, MailState) else state_of(app)


def state_of(app: Flask) -> MailState:
    """What *app* has configured by now."""
    return MailState(app.config, app.debug, app.testing)


@contextmanager
def _recorded() -> Iterator[list[Any]]:
    from flask_mail import email_dispatched

    outbox: list[Any] = []

    def note(_app: Any, message: Any) -> None:
        outbox.append(message)

    with email_dispatched.connected_to(note):
        yield outbox
