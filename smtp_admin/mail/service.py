"""Send: from an e-mail type or a ready message into the outbox."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import SYSTEM, host_engine
from smtp_admin.delivery import outbox
from smtp_admin.delivery.sender_headers import Stamped, stamped
from smtp_admin.errors import MessageError
from smtp_admin.installation import installation
from smtp_admin.mail import mime, templates
from smtp_admin.mail.message import Message, from_any
from smtp_admin.mail.types import PRIORITIES, TYPES, EmailType, Registry
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.routing import choose_sender
from smtp_admin.smtp.address import domain_of

_LONGEST_KEY = 200
#: What every database can store, also with a time to live added.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

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
    partner_id: str = SYSTEM,
    context: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    reply_to: str | None = None,
    sender: str | None = None,
) -> str:
    """Queue a mail of a known type; see :meth:`smtp_admin.SMTPAdmin.send`."""
    type_ = registry().get(type_name)
    values = {"app_name": installation().config.app_name, **type_.defaults, **(context or {})}
    rendered = templates.render(type_, values)
    message = Message(
        subject=rendered.subject,
        recipients=[to] if isinstance(to, str) else list(to),
        body=rendered.text,
        html=rendered.html or None,
        reply_to=reply_to,
    )
    return _queue(
        session,
        type_,
        message,
        partner_id,
        idempotency_key,
        key=sender,
        send_at=send_at,
        expires_at=expires_at,
    )


def send_message(
    session: Session,
    message: Any,
    *,
    partner_id: str = SYSTEM,
    idempotency_key: str | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    sender: str | None = None,
) -> str:
    """Queue a ready message; see :meth:`smtp_admin.SMTPAdmin.send_message`."""
    return _queue(
        session,
        READY,
        from_any(message),
        partner_id,
        idempotency_key,
        key=sender,
        send_at=send_at,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as bytes.

    Attributes:
        stamped: the bytes with the sender's headers, and what belongs to them.
        archive_to: gets a blind copy.
    """

    stamped: Stamped
    message_id: str
    archive_to: str

    @property
    def content(self) -> bytes:
        """The finished bytes; without a From header if there is no configured sender yet."""
        return self.stamped["content"]

    def queued(self, **more: Any) -> outbox.OutgoingMail:
        """It as it goes into the outbox."""
        return outbox.OutgoingMail(
            content=self.content,
            message_id=self.message_id,
            from_email=self.stamped["from_email"],
            envelope_from=self.stamped["envelope_from"],
            sender_head=self.stamped["sender_head"],
            archive_to=self.archive_to,
            **more,
        )


def render_for(sender: ResolvedSender, message: Message) -> Rendered:
    """The finished bytes of *message* from *sender*.

    Without a configured sender its headers are missing; they are put on before the first send.
    """
    config = installation().config
    from_email = sender.values.from_email
    domain = domain_of(from_email) if from_email else "localhost.invalid"
    message_id = f"<{uuid.uuid4().hex}@{domain}>"
    content = mime.build(message, message_id=message_id, limit=config.message_limit)
    return Rendered(
        stamped(sender, config.app_name, content),
        message_id,
        sender.values.archive_to if sender.configured else "",
    )


def _check_partner(partner_id: str) -> None:
    """Whether mail in the system's name may stand in for this partner's: only if there is one."""
    if installation().host.partner(partner_id) is None:
        raise MessageError(
            f"There is no partner {partner_id[:100]!r}, so the mail was not queued.",
            hint="Host.partner() did not find it. The system's own mail has no partner_id.",
        )


def _queue(
    session: Session,
    type_: EmailType,
    message: Message,
    partner_id: str,
    idempotency_key: str | None,
    *,
    key: str | None,
    send_at: datetime | None,
    expires_at: datetime | None,
) -> str:
    if not isinstance(partner_id, str):
        raise MessageError('A partner_id is text; "" stands for the system.')
    if key is not None and not isinstance(key, str):
        raise MessageError("A sender is named by its key, which is text.")
    if idempotency_key is not None and not 0 < len(idempotency_key) <= _LONGEST_KEY:
        raise MessageError("An idempotency key has 1 to 200 characters.")
    for moment in (send_at, expires_at):
        if moment is not None and moment.tzinfo is None:
            raise MessageError("A time needs a time zone.")
        if moment is not None and not _FIRST < moment < _LAST:
            raise MessageError("A time lies between the years 1970 and 9000.")
    if send_at is not None and expires_at is not None and expires_at <= send_at:
        raise MessageError("A mail cannot expire before it is to be sent.")
    with schema.explained(host_engine()), session.no_autoflush:
        sender = choose_sender(session, partner_id, type_.name, type_.priority, key).sender
        if sender.partner_id != partner_id:
            _check_partner(partner_id)
    recipients = mime.recipients_of(message)
    rendered = render_for(sender, message)
    priority = PRIORITIES[type_.priority]
    with schema.explained(host_engine()):
        return outbox.add(
            session,
            rendered.queued(
                partner_id=partner_id,
                sender_id=sender.sender_id,
                type_name=type_.name,
                subject=message.subject,
                recipients=recipients,
                priority=priority,
                sensitive=type_.sensitive,
                on_uncertain=type_.on_uncertain,
                idempotency_key=idempotency_key,
                send_at=send_at,
                expires_at=expires_at or outbox.expiry(priority, type_.expires_hours, send_at),
            ),
        )
