"""Where Flask-Mail has a connection to a server: here each message goes into our outbox.

Flask-Mail's callers do not commit afterwards, so each message has a short session of its own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

from flask import current_app
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, host_engine, session, transaction
from smtp_admin.delivery.doorbell import listen
from smtp_admin.installation import installation
from smtp_admin.mail import mime, service
from smtp_admin.mail.compose import Order, compose
from smtp_admin.mail.message import Message, from_any
from smtp_admin.mail.named_senders import key_of_sender
from smtp_admin.mail.types import EmailType

if TYPE_CHECKING:
    from flask_mail import Connection as _TheirConnection
else:
    _TheirConnection = object  # it is one for type checkers alone: Flask-Mail is loaded late


class _Settings(Protocol):
    """Those of the ``MAIL_…`` settings that count here."""

    suppress: bool
    default_sender: Any
    ascii_attachments: bool
    max_emails: int | None


class Connection(_TheirConnection):
    """A context manager with Flask-Mail's methods; there is no connection to keep.

    Attributes:
        mail: the settings of the app.
        host: always ``None``: no server is called.
        num_emails: how many messages it has taken.
        last_id: the public id of the last one; empty where nothing was queued.
    """

    def __init__(self, mail: _Settings, *, partner_id: str = SYSTEM) -> None:
        self.mail: Any = mail
        self.host = None
        self.num_emails = 0
        self.last_id = ""
        self._partner_id = partner_id
        self._app = current_app._get_current_object()  # type: ignore[attr-defined]
        installation()  # one that is missing is named here, as Flask-Mail does

    def __enter__(self) -> Self:
        """Itself; no server is called."""
        self.num_emails = 0
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing waits to be closed: each message was committed when it was given."""

    def configure_host(self) -> Any:
        """There is no connection to a server to set up.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            "smtp_admin has no SMTP connection here: it queues mail, and workers send it. "
            "Use send() or send_message() of this object."
        )

    def send(  # type: ignore[override]  # Flask-Mail's returns nothing
        self, message: Any, envelope_from: Any = None, *, type_: EmailType = service.READY
    ) -> str:
        """Queue *message*, commit, and return its public id.

        On SQLite a transaction in which the caller has written something is joined instead.

        Args:
            envelope_from: not used; bounces go where the sender's settings say.

        Raises:
            MessageError: it cannot be built; Flask-Mail's ``BadHeaderError`` too, for a line
                break in a header.
            QueueFull: too much is waiting already.
            SetupError: the tables are missing; it names the command that makes them.
        """
        from flask_mail import email_dispatched

        del envelope_from
        if getattr(message, "sender", "") is None:
            message.sender = ""  # without a default sender; Flask-Mail's own methods need a text
        ours = from_any(message, ascii_names=self.mail.ascii_attachments)
        if hasattr(message, "has_bad_headers") and message.has_bad_headers():
            from smtp_admin.mail.bad_header import BadHeader

            raise BadHeader(
                "The subject, the sender, a recipient or the Reply-To of this mail has a line "
                "break, so it was not queued."
            )
        if self.mail.suppress:
            _check(ours)
            self.last_id = ""
        else:
            self.last_id = self._queued(message, ours, type_)
        if hasattr(message, "msgId") and message.date is None:
            message.date = time.time()  # what Flask-Mail's own connection writes there
        email_dispatched.send(self._app, message=message)
        self.num_emails += 1
        if self.num_emails == self.mail.max_emails:
            self.num_emails = 0
        return self.last_id

    def send_message(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Make a message of the arguments of Flask-Mail's ``Message``, and queue it."""
        from flask_mail import Message as TheirMessage

        return self.send(TheirMessage(*args, **kwargs))

    def _queued(self, message: Any, ours: Message, type_: EmailType) -> str:
        with beside_caller() as own:
            return self._queue(own, message, ours, type_)

    def _queue(self, own: Session, message: Any, ours: Message, type_: EmailType) -> str:
        named = getattr(message, "sender", None)
        if named == _written(self.mail.default_sender):
            named = None  # nobody chose it for this message
        key = key_of_sender(own, self._partner_id, named) if named else None
        mail = compose(own, type_, ours, Order(self._partner_id, key))
        public_id = service.queue(own, mail)
        if mail.from_email is not None and hasattr(message, "msgId"):
            message.msgId = mail.message_id  # what is on the wire, for who wants to find answers
        return public_id


@contextmanager
def beside_caller() -> Iterator[Session]:
    """A session that is committed by itself at the end; the caller's own where that would block.

    On SQLite, which has one writer at a time, it is the caller's once that has written something:
    waiting for it would never end.
    """
    theirs = session()
    if _holds_the_only_lock(theirs):
        yield theirs
        return
    with transaction(host_engine()) as own:
        listen(own)
        yield own


def _check(message: Message) -> None:
    """Whether *message* could be queued, without a look at the database."""
    mime.recipients_of(message)
    limit = installation().config.message_limit
    mime.build(message, message_id="<suppressed@localhost>", limit=limit)


def _written(sender: Any) -> Any:
    """A default sender as Flask-Mail's ``Message`` keeps it."""
    return f"{sender[0]} <{sender[1]}>" if isinstance(sender, tuple) else sender


def _holds_the_only_lock(theirs: Session) -> bool:
    if host_engine().dialect.name != "sqlite" or not theirs.in_transaction():
        return False
    raw = theirs.connection().connection.dbapi_connection
    return bool(getattr(raw, "in_transaction", False))
