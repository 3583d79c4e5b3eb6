"""Send to many: a batch that is filled step by step, streamed, with each recipient once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import SYSTEM, about_now, host_engine
from smtp_admin.delivery import batch_plan, batches, outbox
from smtp_admin.delivery.acts import NOBODY, Doer
from smtp_admin.delivery.batch_ends import resume_batch
from smtp_admin.delivery.models import BULK
from smtp_admin.errors import Conflict, MessageError
from smtp_admin.mail import compose
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.compose import Order
from smtp_admin.mail.message import Message, from_any
from smtp_admin.mail.passed import kind_of, several_in, values_in
from smtp_admin.mail.service import READY, registry, type_called, voice_for
from smtp_admin.mail.types import EmailType
from smtp_admin.mail.unsubscribing import only_address
from smtp_admin.suppression.reading import address_hash, languages_of
from smtp_admin.translation import gettext

#: Mails of one INSERT, and of one commit where nobody else decides that.
STEP = 500
#: So much of ready messages is held at a time, if they are large.
_STEP_BYTES = 4 * 1024 * 1024
_LONGEST_KEY, _LONGEST_SENDER = 200, 40
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of many: an address, and what the templates may use.

    Attributes:
        address: ``a@b.example``, ``Name <a@b.example>`` or the two as a pair.
        language: such as ``de``; types with a variable of that name have it in their values too.
    """

    address: Any
    context: Mapping[str, Any] = field(default_factory=dict)
    language: str = ""


class RecipientError(MessageError):
    """One of many cannot get its mail.

    Attributes:
        position: which of those that were given, from 0.
    """

    def __init__(self, position: int, address: object, error: MessageError) -> None:
        super().__init__(
            f"Recipient {position + 1} ({str(address)[:100]}): {error.message}", hint=error.hint
        )
        self.position = position
        self.reason = error.message


@dataclass(slots=True)
class Filling:
    """A batch while mail is put into it.

    Attributes:
        seen: recipients that were given so far, also those that it had already.
        queued: those that are new in it.
        every: how many deliveries one mail is, and ``each``: seconds that one of them takes.
        suppressed: those of them whose mail a suppression or a limit for recipients kept back.
        resumed: how many that were cancelled with it are queued again.
    """

    session: Session
    type_: EmailType
    order: Order
    batch: batches.Begun
    ahead: int
    each: float
    every: int
    seen: int = 0
    queued: int = 0
    suppressed: int = 0
    resumed: int = 0

    def add(self, recipients: Sequence[Recipient]) -> None:
        """Put some more into it; the caller commits.

        Raises:
            RecipientError: one of them cannot have the mail; none of these is queued.
            Conflict: the batch was cancelled meanwhile.
            TooLarge: it has more mails than a batch may.
        """
        mails = []
        order = replace(self.order, expires_at=self.order.expires_at or self._expiry())
        recipients = self._in_their_languages(recipients)
        for position, one in self._not_yet(recipients):
            try:
                message = _message(self.session, self.type_, one, self.order.partner_id)
                mails.append(compose.compose(self.session, self.type_, message, order))
            except MessageError as error:
                raise RecipientError(position, one.address, error) from error
        with schema.explained(host_engine()):
            made = outbox.add_of_batch(self.session, mails) if mails else []
            queued = sum(one.new for one in made)
            suppressed = sum(one.new and one.kept_back for one in made)
            batches.note_queued(self.session, self.batch.id, queued, suppressed)
        self.seen += len(recipients)
        self.queued += queued
        self.suppressed += suppressed

    def _in_their_languages(self, recipients: Sequence[Recipient]) -> Sequence[Recipient]:
        """*recipients* of notices in the languages that they chose themselves, where they did."""
        if not self.type_.notice:
            return recipients
        addresses = [only_address([one.address]) for one in recipients]
        with schema.explained(host_engine()):
            chosen = languages_of(self.session, self.order.partner_id, addresses)
        if not chosen:
            return recipients
        languages = [chosen.get(address_hash(one), "") for one in addresses]
        return [
            replace(one, language=own or one.language)
            for one, own in zip(recipients, languages, strict=True)
        ]

    def finish(self) -> None:
        """Everybody was given; the caller commits."""
        batches.note_complete(self.session, self.batch.id)

    def _expiry(self) -> datetime:
        place = self.ahead + (self.queued + STEP) * self.every
        return batch_plan.expiry_at(
            about_now(self.session),
            BULK,
            self.type_.expires_hours,
            self.order.send_at,
            place,
            self.each,
        )

    def _not_yet(self, recipients: Sequence[Recipient]) -> Iterator[tuple[int, Recipient]]:
        """Those that the batch does not have, with their positions."""
        hashes = []
        for position, one in enumerate(recipients, self.seen):
            try:
                hashes.append(batches.recipient_hash(self.batch.id, address_of(one.address)[1]))
            except MessageError as error:
                raise RecipientError(position, one.address, error) from error
        known: set[str] = set()
        if not self.batch.new:  # rendering what is there already would be for nothing
            known = batches.known_recipients(self.session, self.batch.id, hashes)
        for position, (name, one) in enumerate(zip(hashes, recipients, strict=True), self.seen):
            if name not in known:
                known.add(name)
                yield position, one


def trouble_of(session: Session, type_: EmailType, one: Recipient, order: Order) -> str:
    """Why *one* cannot have this mail; empty where they can. Nothing is queued."""
    try:
        message = _message(session, type_, one, order.partner_id)
        compose.compose(session, type_, message, order)
    except MessageError as error:
        return error.message
    return ""


def _message(session: Session, type_: EmailType, one: Recipient, partner_id: str) -> Message:
    voice = voice_for(session, type_, partner_id, one.language)
    return compose.message_from_type(type_, [one.address], context_of(type_, one), voice=voice)


def context_of(type_: EmailType, one: Recipient) -> Mapping[str, Any]:
    """What the templates of *type_* may use for *one*."""
    if one.language and "language" in type_.variables:
        return {"language": one.language, **one.context}
    return one.context


def begin(
    session: Session,
    type_name: str,
    *,
    partner_id: str = SYSTEM,
    batch_key: str | None = None,
    label: str = "",
    sender: str | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    total: int = 0,
    created_by: str = "",
    resume: bool = False,
    by: Doer = NOBODY,
) -> Filling:
    """Begin a batch, or go on with the one of this key; the caller commits.

    Raises:
        MessageError: there is no such partner or sender, or an argument cannot be used.
        Conflict: it was cancelled and is not to be resumed, or is of another type.
        TooLarge: it is to have more mails than a batch may.
    """
    type_ = type_called(type_name)
    text = compose.is_name(batch_key) and 0 < len(batch_key or "") <= _LONGEST_KEY
    if batch_key is not None and not text:
        raise MessageError("A batch_key is text of 1 to 200 characters.")
    if not compose.is_name(label):
        raise MessageError("The label of a batch is text.")
    if resume and batch_key is None:
        raise MessageError("Only a batch with a batch_key can be resumed.")
    order = Order(partner_id, sender, send_at=send_at, expires_at=expires_at, priority="bulk")
    if sender is not None and len(sender) > _LONGEST_SENDER:
        raise MessageError(f"There is no sender {sender[:40]!r}.")
    found = compose.sender_for(session, type_, order)
    with schema.explained(host_engine()):
        ahead = batch_plan.waiting_at(session, found.sender_id) if found.sender_id else 0
        each = batch_plan.seconds_each(found.values)
        every = batch_plan.deliveries_each(found.values, sensitive=type_.sensitive)
        resumed = 0
        if resume and batch_key is not None:
            ends = expires_at or batch_plan.expiry_at(
                about_now(session), BULK, type_.expires_hours, send_at, ahead + total * every, each
            )
            resumed = resume_by_key(session, partner_id, type_.name, batch_key, ends, by)
        batch = batches.begin(
            session,
            partner_id,
            type_.name,
            key=batch_key,
            label=label,
            sender_key=sender,
            total=total,
            created_by=created_by,
        )
    # Who names another one means it: the batch's own may be deleted by now.
    order = replace(order, sender=batch.sender_key if sender is None else sender, batch_id=batch.id)
    return Filling(session, type_, order, batch, ahead, each, every, resumed=resumed)


def resume_by_key(
    session: Session,
    partner_id: str,
    type_name: str,
    key: str,
    expires_at: datetime,
    by: Doer = NOBODY,
) -> int:
    """Let the cancelled batch of this type and key go on, if there is one; how many deliveries."""
    row = batches.cancelled_with_key(session, partner_id, type_name, key)
    return 0 if row is None else resume_batch(session, row, expires_at, by)


def resume(session: Session, public_id: str, partner_id: str, by: Doer = NOBODY) -> int:
    """Let a cancelled batch go on; how many deliveries of it are queued again. The caller commits.

    Raises:
        NotFound: there is no such batch, or it is not this partner's.
        Conflict: it is not cancelled.
    """
    row = batches.find_batch(session, public_id, partner_id)
    if row.cancelled_at is None:
        raise Conflict(gettext("This batch is not cancelled; nothing was changed."))
    type_ = registry().get(row.type_name)
    order = Order(partner_id, row.sender_key, priority="bulk")
    found = compose.sender_for(session, type_, order)
    place = batch_plan.deliveries_each(found.values, sensitive=type_.sensitive) * int(row.total)
    if found.sender_id:
        place += batch_plan.waiting_at(session, found.sender_id)
    each = batch_plan.seconds_each(found.values)
    moment = about_now(session)
    ends = batch_plan.expiry_at(moment, BULK, type_.expires_hours, None, place, each)
    return resume_batch(session, row.id, ends, by)


def send_many(session: Session, type_name: str, recipients: Iterable[Any], **how: Any) -> str:
    """Queue mail of a type to many; see :meth:`smtp_admin.SMTPAdmin.send_many`."""
    wanted = "a list, or anything to read one after the other, of Recipient"
    several = several_in(recipients, "recipients", wanted)
    filling = begin(session, type_name, **how)
    for some in in_steps(several):
        filling.add([as_recipient(one) for one in some])
    filling.finish()
    return filling.batch.public_id


def as_recipient(one: Any) -> Recipient:
    """*one* as our own class; it may be a pair of address and context."""
    if isinstance(one, Recipient):
        values_in(one.context)
        return one
    if isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], Mapping):  # noqa: PLR2004
        return Recipient(*one)
    raise MessageError(
        f"{str(one)[:100]!r} ({kind_of(one)}) is no recipient. "
        "Pass Recipient(address, context), or the two as a pair."
    )


def send_messages(session: Session, messages: Iterable[Any], order: Order) -> list[str]:
    """Queue ready messages; see :meth:`smtp_admin.SMTPAdmin.send_messages`."""
    ids: list[str] = []
    mails, size = [], 0
    for message in several_in(messages, "messages", "a list of messages"):
        try:
            mails.append(compose.compose(session, READY, from_any(message), order))
        except MessageError as error:
            number = len(ids) + len(mails) + 1
            raise MessageError(f"Message {number}: {error.message}", hint=error.hint) from error
        size += mails[-1].size
        if len(mails) >= STEP or size >= _STEP_BYTES:
            with schema.explained(host_engine()):
                ids += outbox.add_all(session, mails)
            mails, size = [], 0
    if mails:
        with schema.explained(host_engine()):
            ids += outbox.add_all(session, mails)
    return ids


def send_first_to(
    session: Session, type_: EmailType, first: Recipient, address: str, order: Order
) -> str:
    """Queue the mail that *first* will have to somebody who wants to see it before; its id.

    Raises:
        MessageError: it cannot be built, or nobody can have it.
        QueueFull: the partner has too much waiting.
    """
    message = _message(session, type_, replace(first, address=address), order.partner_id)
    mail = compose.compose(session, type_, message, order)
    with schema.explained(host_engine()):
        return outbox.add(session, mail)


def in_steps(items: Iterable[T], size: int = STEP) -> Iterator[list[T]]:
    """*items* in lists of *size*."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
