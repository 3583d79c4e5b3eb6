"""What takes Flask-Mail's place: the same methods, into our outbox.

Flask-Mail's callers do not commit afterwards, so each call has a short session of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from blinker import Signal
from flask import current_app
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, host_engine, session, transaction
from smtp_admin.delivery.doorbell import listen
from smtp_admin.mail.compose import Order
from smtp_admin.mail.message import Message, attachment
from smtp_admin.mail.service import send_message as queue_message

#: Sent with ``message`` for each mail that was queued through the mailer.
email_queued = Signal("email-queued")


class Mailer:
    """Flask-Mail's ``Mail``, as far as sending goes."""

    def send(self, message: Any, *, partner_id: str = SYSTEM) -> str:
        """Queue *message* (ours or Flask-Mail's), commit, and return its public id.

        On SQLite, which has one writer at a time, a transaction in which the caller has written
        something is joined instead: waiting for it would never end.

        Raises:
            MessageError: it cannot be built.
            QueueFull: too much is waiting already.
            SetupError: the tables are missing; it names the command that makes them.
        """
        theirs = session()
        if _holds_the_only_lock(theirs):
            public_id = queue_message(theirs, message, Order(partner_id))
        else:
            with transaction(host_engine()) as own:
                listen(own)
                public_id = queue_message(own, message, Order(partner_id))
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy
        email_queued.send(app, message=message)
        return public_id

    def send_message(  # noqa: PLR0917 - these are Flask-Mail's, in its order
        self,
        subject: str = "",
        recipients: Sequence[Any] = (),
        body: str | None = None,
        html: str | None = None,
        alts: Any = None,
        sender: Any = None,
        cc: Sequence[Any] = (),
        bcc: Sequence[Any] = (),
        attachments: Sequence[Any] = (),
        reply_to: Any = None,
        date: float | None = None,
        charset: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> str:
        """Build a message from Flask-Mail's arguments and queue it.

        *sender*, *date*, *charset* and the options are taken and ignored: mail comes from the
        configured address, is dated when it is queued, is written in UTF-8, and what the server
        is asked follows from what it offers.
        """
        del sender, date, charset, mail_options, rcpt_options
        message = Message(
            subject=subject,
            recipients=recipients or (),
            body=body,
            html=html,
            cc=cc or (),
            bcc=bcc or (),
            reply_to=reply_to,
            attachments=[attachment(one) for one in attachments or ()],
            extra_headers=dict(extra_headers or {}),
            alts=dict(alts or {}),
        )
        return self.send(message)

    @contextmanager
    def connect(self) -> Iterator["Mailer"]:
        """For code that keeps a connection open: here there is none to keep."""
        yield self

    @contextmanager
    def record_messages(self) -> Iterator[list[Any]]:
        """Every message that is queued through the mailer inside the ``with``, for tests."""
        outbox: list[Any] = []

        def note(_app: Any, message: Any) -> None:
            outbox.append(message)

        with email_queued.connected_to(note):
            yield outbox


def _holds_the_only_lock(theirs: Session) -> bool:
    if host_engine().dialect.name != "sqlite" or not theirs.in_transaction():
        return False
    raw = theirs.connection().connection.dbapi_connection
    return bool(getattr(raw, "in_transaction", False))
