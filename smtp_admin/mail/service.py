"""Send: from an e-mail type or a ready message into the outbox."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import host_engine
from smtp_admin.delivery import outbox
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
    message = message_from_type(registry().get(type_name), to, context or {}, reply_to=reply_to)
    return put(session, type_name, message, order or Order()).public_id


def put(session: Session, type_name: str, message: Message, order: Order) -> Inserted:
    """Queue *message* as mail of this type, with what became of it.

    Args:
        type_name: ``message`` for a ready one.
    """
    type_ = READY if type_name == READY.name else registry().get(type_name)
    mail = compose(session, type_, message, order)
    with schema.explained(host_engine()):
        return outbox.put(session, [mail])[0]


def send_message(session: Session, message: Any, order: Order | None = None) -> str:
    """Queue a ready message; see :meth:`smtp_admin.SMTPAdmin.send_message`."""
    return put(session, READY.name, from_any(message), order or Order()).public_id
