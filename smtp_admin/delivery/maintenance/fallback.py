"""While a partner's sender cannot send: let the system's step in, where the partner wants that.

Only mail that no server has seen a byte of is moved. It gets bytes of its own, with the system's
From address and the partner's as Reply-To; from then on those never change. What failed first
stays on the delivery, for people to see.
"""

import logging
import random
import re
import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, func, insert, select, update
from sqlalchemy.orm import Session

from smtp_admin.config import Config
from smtp_admin.database import SYSTEM, changed, database_now, reading, transaction
from smtp_admin.delivery.claim import usable
from smtp_admin.delivery.models import IS_QUEUED, Delivery, Message
from smtp_admin.delivery.outbox import new_public_id
from smtp_admin.delivery.sender_headers import from_lines
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, load_sender, resolve

log = logging.getLogger(__name__)

_AT_ONCE = 200
#: Mails in one transaction, and how long it may go on: on SQLite others hardly write meanwhile, and
#: the worker's other duties wait. What is left has its turn ten seconds later.
_STEP, _LONGEST_SECONDS = 20, 2.0
_FLAGS = re.IGNORECASE | re.MULTILINE
_FROM = re.compile(rb"^(?:From|Reply-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", _FLAGS)
_REPLY_TO = re.compile(rb"^Reply-To:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", _FLAGS)
_KEPT = ("partner_id", "type_name", "subject", "message_id", "sensitive", "on_uncertain")


def fall_back(engine: Engine, config: Config) -> int:
    """Hand over the waiting mail of paused senders that asked for it; how many deliveries."""
    with reading(engine) as session:
        moment = database_now(session)
        system = load_sender(session, SYSTEM)
        if not system.sender_id or not usable(system, moment):
            return 0
        rows = session.scalars(
            select(Sender).where(Sender.partner_id != SYSTEM, Sender.paused_until > moment)
        ).all()
        paused = [resolve(session, row, row.partner_id) for row in rows]
    ends = time.monotonic() + _LONGEST_SECONDS
    moved = 0
    # In any order: time may be up before all had their turn.
    for sender in random.sample(paused, len(paused)):
        if sender.values.fallback and sender.configured:
            moved += _move(engine, sender, system, config, moment, ends)
        if time.monotonic() >= ends:
            break
    if moved:
        log.warning("%d mails go out by the system's sender instead", moved)
    return moved


def _move(
    engine: Engine,
    sender: ResolvedSender,
    system: ResolvedSender,
    config: Config,
    moment: datetime,
    ends: float,
) -> int:
    waiting = (
        Delivery.sender_id == sender.sender_id,
        IS_QUEUED,
        # What is for later may find its own sender well again.
        Delivery.next_attempt_at <= moment,
        # An unknown outcome may have arrived: other bytes would be a second mail.
        Delivery.uncertains == 0,
    )
    due = select(Delivery.message_pk).where(*waiting).order_by(Delivery.id).limit(_AT_ONCE)
    with reading(engine) as session:
        mails = list(dict.fromkeys(session.scalars(due)))
    moved = 0
    while mails:
        with transaction(engine) as session:
            for message_pk in mails[:_STEP]:
                moved += _move_mail(session, message_pk, waiting, sender, system, config)
        del mails[:_STEP]
        if time.monotonic() >= ends:
            break
    return moved


def _move_mail(
    session: Session,
    message_pk: int,
    waiting: Sequence[ColumnElement[bool]],
    sender: ResolvedSender,
    system: ResolvedSender,
    config: Config,
) -> int:
    # All recipients of a mail at once, and locked: the pause may end just now, and a worker
    # that claims one of them must not find its bytes changed.
    mine = select(Delivery.id).where(*waiting, Delivery.message_pk == message_pk)
    ids = session.scalars(mine.with_for_update(skip_locked=True)).all()
    if not ids:
        return 0
    everybody = session.scalar(
        select(func.count()).select_from(Delivery).where(Delivery.message_pk == message_pk)
    )
    copy = _copy(session, message_pk, sender, system, config, shared=everybody != len(ids))
    return changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == "queued")
        .values(
            sender_id=system.sender_id,
            message_id=copy,
            fallback_of=sender.sender_id,
            fallback_reason=sender.pause_reason[:500],
        ),
    )


def _copy(
    session: Session,
    message_pk: int,
    sender: ResolvedSender,
    system: ResolvedSender,
    config: Config,
    *,
    shared: bool,
) -> int:
    """The same mail, from the system's address and answered to the partner's.

    Args:
        shared: whether other recipients need the first bytes: those stay with them.
    """
    before = session.get_one(Message, message_pk)
    head, blank, body = before.content.partition(b"\r\n\r\n")
    head += b"\r\n"
    content = from_lines(system, config.app_name, reply_to=False)
    content += _answers(head, sender)
    content += _FROM.sub(b"", head)[:-2] + blank + body
    if not shared:
        changed(
            session,
            update(Message)
            .where(Message.id == message_pk)
            .values(content=content, size=len(content), from_email=system.values.from_email),
        )
        return message_pk
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
