"""Send a mail that failed to a corrected address: a new mail with the same text.

The first one keeps what happened to it. A dead letter is put aside; what bounced or was kept back
stays as it is. Each address gets it once, whoever asks and however often.
"""

import os
import re
from dataclasses import replace

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from smtp_admin.database import about_now, database_now
from smtp_admin.delivery import outbox
from smtp_admin.delivery.acts import NOBODY, Doer, note
from smtp_admin.delivery.mail_actions import discard
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.rows import Inserted
from smtp_admin.delivery.states import State
from smtp_admin.errors import Conflict, InvalidInput, MessageError, NotFound
from smtp_admin.mail.addresses import address_of
from smtp_admin.senders.resolve import load_sender_by_id
from smtp_admin.smtp.headers import header_fields
from smtp_admin.suppression.reading import address_hash
from smtp_admin.translation import gettext

#: What did not reach its address, at once or in the end, or was kept back because of it.
READDRESSED: frozenset[State] = frozenset({"dead", "bounced", "suppressed"})
_ENDED_UNSENT: frozenset[State] = frozenset({"cancelled", "expired"})
_NAMES = frozenset({b"to", b"cc", b"message-id"})


def send_corrected(session: Session, delivery_id: int, text: str, by: Doer = NOBODY) -> Inserted:
    """Queue what was not delivered, for another address. The caller commits.

    The mail goes by the same sender, with the same sender's headers. The same address again gets
    nothing, and is told the mail that it gets already.

    Args:
        text: the address, ``a@b.example`` or ``Name <a@b.example>``.

    Raises:
        NotFound: there is no such delivery.
        InvalidInput: no mail can go to this address.
        Conflict: it did not fail, or its text was erased.
        QueueFull: the partner has too much waiting.
    """
    try:
        address = address_of(text)[1]
    except MessageError as error:
        raise InvalidInput(fields={"address": [error.message]}) from error
    found = session.execute(
        select(Delivery, Message)
        .join(Message, Message.id == Delivery.message_pk)
        .where(Delivery.id == delivery_id)
    ).first()
    if found is None:
        raise NotFound
    delivery, message = found
    before, key = _before(session, message.partner_id, delivery_id, address)
    if before:
        return Inserted(before, new=False)
    if delivery.archive or delivery.state not in READDRESSED:
        raise Conflict(gettext("Only mail that was not delivered can be sent to another address."))
    if message.sensitive:
        # Whoever may look after mail may not read it, at an address of their own neither.
        raise Conflict(
            gettext("Mail that carries secrets goes to nobody but the one it was made for."),
            hint=gettext("Correct the address in the app, and send it again from the app."),
        )
    if not message.content:
        raise Conflict(
            gettext("The text of this mail was erased, so it cannot be sent again."),
            hint=gettext("Send it again from the app."),
        )
    mail = replace(_mail(session, delivery, message, address), idempotency_key=key)
    # Whoever puts the first one aside sends the other: of two at once, one is too late.
    dead, moment = delivery.state == "dead", database_now(session)
    if not dead:
        note(session, [delivery.id], "corrected", moment, by)
    elif not discard(session, [delivery.id], moment, by, "corrected"):
        before, _ = _before(session, message.partner_id, delivery_id, address, newest=True)
        if before:
            return Inserted(before, new=False)
        raise Conflict(gettext("Someone else changed this mail just now. Look at it again."))
    return outbox.put(session, [mail])[0]


def _before(
    session: Session, partner_id: str, delivery_id: int, address: str, *, newest: bool = False
) -> tuple[str, str]:
    """The mail that went to this address before, if one did, and else the key for one.

    One that was never tried and cannot be sent again is none.

    Args:
        newest: also see what was committed after this transaction first looked at the database.
    """
    lock = newest and session.connection().dialect.name in {"mysql", "mariadb"}
    stem = f"corrected:{delivery_id}:{address_hash(address)}"
    number = 0
    while True:
        key = f"{stem}:{number}"
        mine = (
            select(Message.public_id, Delivery.state)
            .outerjoin(Delivery, and_(Delivery.message_pk == Message.id, ~Delivery.archive))
            .where(Message.partner_id == partner_id, Message.idempotency_key == key)
            .limit(1)
        )
        # A repeatable read would not see it; a locking one does.
        found = session.execute(mine.with_for_update(read=True) if lock else mine).first()
        if found is None:
            return "", key
        if found.state not in _ENDED_UNSENT:
            return found.public_id, key
        number += 1


def _mail(session: Session, before: Delivery, message: Message, address: str) -> OutgoingMail:
    sender = load_sender_by_id(session, before.sender_id)
    domain = message.message_id.rpartition("@")[2].rstrip(">") or "localhost.invalid"
    message_id = f"<{os.urandom(16).hex()}@{domain}>"
    content = _readdressed(
        message.content, {before.recipient: address, message.message_id: message_id}
    )
    return OutgoingMail(
        partner_id=message.partner_id,
        sender_id=before.sender_id,
        type_name=message.type_name,
        subject=message.subject,
        content=content,
        size=len(content),
        message_id=message_id,
        from_email=message.from_email,
        recipients=[address],
        priority=before.priority,
        sensitive=message.sensitive,
        notice=message.notice,
        on_uncertain=message.on_uncertain,
        envelope_from=message.envelope_from,
        # Nothing in front of the other headers was changed.
        sender_head=message.sender_head,
        archive_to=sender.values.archive_to if sender is not None and sender.configured else "",
        expires_at=outbox.expiry(about_now(session), before.priority),
    )


def _readdressed(content: bytes, instead: dict[str, str]) -> bytes:
    """*content* with other words in its To, Cc and Message-ID."""
    fields, body = header_fields(content)
    return b"".join(_other(one, instead) for one in fields) + body


def _other(field: bytes, instead: dict[str, str]) -> bytes:
    name, colon, value = field.partition(b":")
    if name.strip().lower() not in _NAMES:
        return field
    for before, after in instead.items():
        word = re.escape(before.encode())
        # Not as a part of a longer one.
        whole = re.compile(rb"(?<![\w.+-])" + word + rb"(?![\w.-])", re.IGNORECASE)
        value = whole.sub(after.encode().replace(b"\\", b"\\\\"), value)
    return name + colon + value
