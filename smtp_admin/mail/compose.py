"""The one path of all mail: from a message and its type to what the outbox takes.

Whoever queues mail goes through here: ``send`` and its sisters, test mail, renewals, Flask-Mail's
face. So what a type says about its mail holds wherever the mail comes from.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import SYSTEM, about_now, host_engine
from smtp_admin.delivery.batches import recipient_hash
from smtp_admin.delivery.outbox import expiry
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.sender_headers import UNKNOWN_DOMAIN, Stamped, stamped
from smtp_admin.errors import MessageError
from smtp_admin.identifiers import is_storable
from smtp_admin.installation import installation
from smtp_admin.mail import mime, templates
from smtp_admin.mail.message import Message
from smtp_admin.mail.types import PRIORITIES, EmailType, Priority
from smtp_admin.mail.unsubscribing import (
    Reader,
    list_headers,
    only_address,
    token_for,
    unsubscribe_url,
)
from smtp_admin.senders.known import known_senders_of
from smtp_admin.senders.lookups import once
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.routing import choose_sender
from smtp_admin.smtp.address import domain_of

_LONGEST_KEY = 200
#: What every database can store, also with a time to live added.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """How a mail is to go out, beside what it says; checked when it is made.

    Attributes:
        sender: the key of a sender; ``None`` to let the routes decide.
        priority: instead of the type's.
        latest: not after this time either, however long its type lives.
        is_test: somebody wants to see it first; limits for recipients do not count it.
        batch_id: of the batch that it is of.
        public_id: a new one, where the text has to name it; else it gets one.

    Raises:
        MessageError: something of it cannot be used.
    """

    partner_id: str = SYSTEM
    sender: str | None = None
    idempotency_key: str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    priority: Priority | None = None
    latest: datetime | None = None
    is_test: bool = False
    batch_id: int | None = None
    public_id: str = ""

    def __post_init__(self) -> None:
        if not is_name(self.partner_id):
            raise MessageError('A partner_id is text; "" stands for the system.')
        if self.sender is not None and not is_name(self.sender):
            raise MessageError("A sender is named by its key, which is text.")
        key = self.idempotency_key
        if key is not None and not (is_name(key) and 0 < len(key) <= _LONGEST_KEY):
            raise MessageError("An idempotency key is a text of 1 to 200 characters.")
        begins, ends = self.send_at, self.expires_at
        for moment in (begins, ends):
            if moment is not None and not isinstance(moment, datetime):
                raise MessageError("A time is a datetime.")
            if moment is not None and moment.tzinfo is None:
                raise MessageError("A time needs a time zone.")
            if moment is not None and not _FIRST < moment < _LAST:
                raise MessageError("A time lies between the years 1970 and 9000.")
        if begins is not None and ends is not None and ends <= begins:
            raise MessageError("A mail cannot expire before its send time.")


def is_name(value: object) -> bool:
    """Whether *value* is a text that a database can hold."""
    return isinstance(value, str) and is_storable(value)


def compose(session: Session, type_: EmailType, message: Message, order: Order) -> OutgoingMail:
    """*message* as it goes into the outbox, from the sender that its order leads to.

    Raises:
        MessageError: it cannot be built, or there is no such partner or sender.
        TooLarge: it is larger than a mail may be.
        SetupError: the tables are missing; it names the command that makes them.
    """
    sender = sender_for(session, type_, order)
    return written(sender, type_, message, order, about_now(session))


def sender_for(session: Session, type_: EmailType, order: Order) -> ResolvedSender:
    """Who sends such a mail; asked once in a transaction.

    Raises:
        MessageError: there is no such partner or sender.
        SetupError: as :func:`compose`.
    """
    partner_id, priority = order.partner_id, order.priority or type_.priority

    def choose() -> ResolvedSender:
        with schema.explained(host_engine()), session.no_autoflush:
            sender = choose_sender(
                session,
                partner_id,
                type_.name,
                priority,
                order.sender,
                senders=known_senders_of,
            ).sender
            if sender.partner_id != partner_id:
                _check_partner(partner_id)
        return sender

    return once(session, ("sender", partner_id, type_.name, priority, order.sender), choose)


def _check_partner(partner_id: str) -> None:
    """Whether mail in the system's name may stand in for this partner's: only if there is one."""
    if installation().host.partner(partner_id) is None:
        raise MessageError(
            f"There is no partner {partner_id[:100]!r}, so the mail was not queued.",
            hint="Host.partner() did not find it. The system's own mail has no partner_id.",
        )


def message_from_type(
    type_: EmailType,
    to: str | Sequence[str],
    context: Mapping[str, Any],
    *,
    voice: templates.Voice,
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Message:
    """The message that the templates of *type_* make of *context*.

    A notice to one recipient has a link that ends such mail, unless *context* has one.

    Args:
        voice: whose templates, and in which language.

    Raises:
        MessageError: a value is missing, or a template does not fit.
    """
    if type_.notice and "unsubscribe_url" not in context:
        link = _link(type_, voice, to)
        context = {**context, "unsubscribe_url": link}
        headers = {**list_headers(link), **(headers or {})}
    values = {"app_name": installation().config.app_name, **type_.defaults, **context}
    rendered = templates.render(type_, values, voice)
    return Message(
        subject=rendered.subject,
        recipients=[to] if isinstance(to, str) else list(to),
        body=rendered.text,
        html=rendered.html or None,
        reply_to=reply_to,
        extra_headers=headers or {},
    )


def _link(type_: EmailType, voice: templates.Voice, to: object) -> str:
    """Where the reader of a notice ends such mail; empty where there is no such place."""
    address = only_address(to)
    if not address:
        return ""
    token = token_for(Reader(voice.partner_id, address, type_.name))
    return unsubscribe_url(token, voice.language)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as bytes.

    Attributes:
        stamped: the bytes with the sender's headers, and what belongs to them.
        archive_to: gets a blind copy.
    """

    stamped: Stamped
    archive_to: str

    @property
    def content(self) -> bytes:
        """The finished bytes; without a From header if there is no configured sender yet."""
        return self.stamped["content"]


def render_for(sender: ResolvedSender, message: Message) -> Rendered:
    """The finished bytes of *message* from *sender*.

    Without a configured sender its headers are missing; they are put on before the first send.
    """
    config = installation().config
    from_email = sender.values.from_email
    domain = domain_of(from_email) if from_email else UNKNOWN_DOMAIN
    message_id = f"<{os.urandom(16).hex()}@{domain}>"
    content = mime.build(message, message_id=message_id, limit=config.message_limit)
    return Rendered(
        stamped(sender, content, message_id),
        sender.values.archive_to if sender.configured else "",
    )


def written(
    sender: ResolvedSender, type_: EmailType, message: Message, order: Order, begins: datetime
) -> OutgoingMail:
    """*message* from *sender*, with everything that its type and its order say about it.

    Args:
        begins: now, by the database's clock.

    Raises:
        MessageError: it cannot be built.
        TooLarge: it is larger than a mail may be.
    """
    recipients = mime.recipients_of(message)
    rendered = render_for(sender, message)
    priority = PRIORITIES[order.priority or type_.priority]
    batch_id = order.batch_id
    ends = order.expires_at or expiry(begins, priority, type_.expires_hours, order.send_at)
    return OutgoingMail(
        partner_id=order.partner_id,
        sender_id=sender.sender_id,
        type_name=type_.name,
        subject=message.subject,
        recipients=recipients,
        priority=priority,
        sensitive=type_.sensitive,
        notice=type_.notice,
        on_uncertain=type_.on_uncertain,
        idempotency_key=order.idempotency_key,
        send_at=order.send_at,
        expires_at=ends if order.latest is None else min(ends, order.latest),
        archive_to=rendered.archive_to,
        is_test=order.is_test,
        batch_id=batch_id,
        public_id=order.public_id,
        batch_recipient=None if batch_id is None else recipient_hash(batch_id, recipients[0]),
        **rendered.stamped,
    )
