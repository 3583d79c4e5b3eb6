"""While a partner's sender cannot send: let the system's step in, where the partner wants that.

Only mail that no server has seen a byte of is moved. It gets bytes of its own, with the system's
From address and the partner's as Reply-To; from then on those never change. What failed first
stays on the delivery, for people to see.
"""

import logging
import re

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from smtp_admin.config import Config
from smtp_admin.database import SYSTEM, changed, database_now, transaction
from smtp_admin.delivery.claim import usable
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.outbox import new_public_id
from smtp_admin.delivery.stamp import from_lines
from smtp_admin.settings.models import Sender
from smtp_admin.settings.sender import ResolvedSender, load_sender, resolve

log = logging.getLogger(__name__)

_AT_ONCE = 200
_FLAGS = re.IGNORECASE | re.MULTILINE
_FROM = re.compile(rb"^(?:From|Reply-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", _FLAGS)
_REPLY_TO = re.compile(rb"^Reply-To:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", _FLAGS)
_KEPT = ("partner_id", "type_name", "subject", "message_id", "sensitive", "on_uncertain")


def fall_back(engine: Engine, config: Config) -> int:
    """Hand over the waiting mail of paused senders that asked for it; how many deliveries."""
    with transaction(engine) as session:
        moment = database_now(session)
        system = load_sender(session, SYSTEM)
        if not system.sender_id or not usable(system, moment):
            return 0
        paused = session.scalars(
            select(Sender).where(Sender.partner_id != SYSTEM, Sender.paused_until > moment)
        ).all()
        moved = 0
        for row in paused:
            sender = resolve(session, row, row.partner_id)
            if sender.values.fallback and sender.configured:
                moved += _move(session, sender, system, config)
    if moved:
        log.warning("%d mails go out by the system's sender instead", moved)
    return moved


def _move(session: Session, sender: ResolvedSender, system: ResolvedSender, config: Config) -> int:
    waiting = session.execute(
        select(Delivery.id, Delivery.message_id)
        .where(
            Delivery.sender_id == sender.sender_id,
            Delivery.state == "queued",
            # An unknown outcome may have arrived: other bytes would be a second mail.
            Delivery.uncertains == 0,
        )
        .limit(_AT_ONCE)
    ).all()
    copies: dict[int, int] = {}
    moved = 0
    for delivery_id, message_pk in waiting:
        if message_pk not in copies:
            copies[message_pk] = _copy(session, message_pk, sender, system, config)
        moved += changed(
            session,
            update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state == "queued")
            .values(
                sender_id=system.sender_id,
                message_id=copies[message_pk],
                fallback_of=sender.sender_id,
                fallback_reason=sender.pause_reason[:500],
            ),
        )
    return moved


def _copy(
    session: Session,
    message_pk: int,
    sender: ResolvedSender,
    system: ResolvedSender,
    config: Config,
) -> int:
    """The same mail, from the system's address and answered to the partner's."""
    before = session.get_one(Message, message_pk)
    others = session.scalar(
        select(Delivery.id).where(Delivery.message_id == message_pk, Delivery.state != "queued")
    )
    head, blank, body = before.content.partition(b"\r\n\r\n")
    head += b"\r\n"
    content = from_lines(system, config.app_name, reply_to=False)
    content += _answers(head, sender)
    content += _FROM.sub(b"", head)[:-2] + blank + body
    if others is None:
        changed(
            session,
            update(Message)
            .where(Message.id == message_pk)
            .values(content=content, size=len(content), from_email=system.values.from_email),
        )
        return message_pk
    # Some of its recipients have the first bytes already: those stay with them.
    values = {name: getattr(before, name) for name in _KEPT}
    result = session.execute(
        insert(Message).values(
            **values,
            public_id=new_public_id(),
            content=content,
            size=len(content),
            from_email=system.values.from_email,
            idempotency_key=None,
            copy_of=before.copy_of or before.id,
        )
    )
    return int(result.inserted_primary_key[0])  # type: ignore[attr-defined]  # an INSERT has one


def _answers(head: bytes, sender: ResolvedSender) -> bytes:
    own = _REPLY_TO.search(head)
    if own is not None:
        return own[0]
    address = sender.values.reply_to or sender.values.from_email
    return f"Reply-To: {address}\r\n".encode("ascii")
