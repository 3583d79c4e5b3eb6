"""Send: from an e-mail type or a ready message into the outbox."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import host_engine
from smtp_admin.delivery import outbox
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.rows import Inserted
from smtp_admin.installation import installation
from smtp_admin.mail.compose import Order, compose, message_from_type
from smtp_admin.mail.message import Message, from_any
from smtp_admin.mail.types import TYPES, EmailType, Registry

#: What a ready message is, as far as sending is concerned.
READY = EmailType(name="message", label="Ready message", variables={}, sample={})


def registry() -> Registry:
    """The e-mail types of this app."""
    return TYPES.of(installation())


def put(session: Session, type_: EmailType, message: Message, order: Order) -> Inserted:
    """Queue *message* as mail of this type, and tell what became of it."""
    mail = compose(session, type_, message, order)
    with schema.explained(host_engine()):
        return outbox.put(session, [mail])[0]


def send(
    session: Session,
    type_name: str,
    *,
    to: str | list[str],
    context: Mapping[str, Any] | None = None,
    reply_to: str | None = None,
    order: Order | None = None,
) -> str:
    """Queue a mail of a known type; see :meth:`smtp_admin.SMTPAdmin.send`."""
    type_ = registry().get(type_name)
    message = message_from_type(type_, to, context or {}, reply_to=reply_to)
    return _queue(session, compose(session, type_, message, order or Order()))


def send_message(session: Session, message: Any, order: Order | None = None) -> str:
    """Queue a ready message; see :meth:`smtp_admin.SMTPAdmin.send_message`."""
    return _queue(session, compose(session, READY, from_any(message), order or Order()))


def _queue(session: Session, mail: OutgoingMail) -> str:
    with schema.explained(host_engine()):
        return outbox.add(session, mail)
