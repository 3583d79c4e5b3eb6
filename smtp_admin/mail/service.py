"""Send: from an e-mail type or a ready message into the outbox."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import host_engine
from smtp_admin.delivery import outbox
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.rows import Inserted
from smtp_admin.errors import MessageError
from smtp_admin.installation import installation
from smtp_admin.mail import security_types
from smtp_admin.mail.compose import Order, compose, is_name, message_from_type
from smtp_admin.mail.message import Message, from_any
from smtp_admin.mail.passed import recipients_in, text_in, values_in
from smtp_admin.mail.templates import Voice, voice_of
from smtp_admin.mail.types import TYPES, EmailType, Registry
from smtp_admin.mail.unsubscribing import only_address
from smtp_admin.suppression.reading import chosen_language
from smtp_admin.translation import gettext

_LONGEST_LANGUAGE = 35
#: What a ready message is, as far as sending is concerned.
READY = EmailType(name="message", label=gettext("Ready message"), variables={}, sample={})


def registry() -> Registry:
    """The e-mail types of this app."""
    return TYPES.of(installation())


def type_called(name: Any) -> EmailType:
    """The e-mail type that a host names.

    Raises:
        ConfigError: there is none.
        MessageError: this is no name.
    """
    return registry().get(text_in(name, "type_name", 'the name of a type, such as "invoice"'))


def comes_ready(type_: EmailType) -> bool:
    """Whether mail of this type has no template of ours: its text is made elsewhere."""
    return type_ in (READY, security_types.OTHER)


def sent_types() -> Iterator[EmailType]:
    """All that mail of this app can be: its e-mail types, and what comes ready as it is."""
    known = registry()
    yield from known
    yield READY
    yield from security_types.others(known)


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
    language: str = "",
    reply_to: str | None = None,
    order: Order | None = None,
) -> str:
    """Queue a mail of a known type; see :meth:`smtp_admin.SMTPAdmin.send`."""
    type_ = type_called(type_name)
    recipients, values = recipients_in(to), values_in(context)
    order = order or Order()
    voice = voice_for(session, type_, order.partner_id, language, recipients)
    message = message_from_type(type_, recipients, values, voice=voice, reply_to=reply_to)
    return queue(session, compose(session, type_, message, order))


def voice_for(
    session: Session, type_: EmailType, partner_id: str, language: str, to: object = ()
) -> Voice:
    """Whose templates a mail is made with, and in which language.

    Args:
        to: the recipient, who may have chosen another language for notices.

    Raises:
        MessageError: the language is no text.
        SetupError: the tables are missing; it names the command that makes them.
    """
    if not (is_name(language) and len(language) <= _LONGEST_LANGUAGE):
        raise MessageError(gettext('A language is text such as "de" or "pt-BR".'))
    with schema.explained(host_engine()):
        address = only_address(to) if type_.notice else ""
        if address:
            language = chosen_language(session, partner_id, address) or language
        return voice_of(session, type_, partner_id, language)


def send_message(session: Session, message: Any, order: Order | None = None) -> str:
    """Queue a ready message; see :meth:`smtp_admin.SMTPAdmin.send_message`."""
    return queue(session, compose(session, READY, from_any(message), order or Order()))


def queue(session: Session, mail: OutgoingMail) -> str:
    """Put a finished mail into the outbox, and return its public id."""
    with schema.explained(host_engine()):
        return outbox.add(session, mail)
