"""Empty deleted senders: their waiting mail goes to who sends such mail now, or to a person.

Nothing is lost and nothing is sent twice: what may have arrived has bytes that only the deleted
sender may send, so a person decides about it.
"""

import time
from collections import defaultdict

from sqlalchemy import Engine, exists, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.hops import sender_name
from smtp_admin.delivery.maintenance.moving import Move, is_movable, move_mail
from smtp_admin.delivery.models import IS_QUEUED, PRIORITY_NAMES, Delivery, Message
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, resolve
from smtp_admin.senders.routing import choose_sender
from smtp_admin.translation import gettext

_AT_ONCE, _STEP, _LONGEST_SECONDS = 200, 20, 2.0
_FOR_A_PERSON = gettext(
    "Its sender was deleted while the outcome of an earlier attempt was "
    "unknown. The recipient may have it."
)

#: What a sender is chosen by: partner, type and priority.
_Asked = tuple[str, str, str]


def empty_deleted(engine: Engine) -> int:
    """Move the waiting mail of deleted senders; how many deliveries.

    Mail without a From address is left to :mod:`.reassign`, which routes it as if it were new.
    """
    with reading(engine) as session:
        waits = exists().where(Delivery.sender_id == Sender.id, IS_QUEUED)
        rows = session.scalars(select(Sender).where(Sender.deleted_at.is_not(None), waits)).all()
        gone = [resolve(session, row, row.partner_id, row.key) for row in rows]
    ends = time.monotonic() + _LONGEST_SECONDS
    moved = 0
    for sender in gone:
        _leave_to_a_person(engine, sender.sender_id)
        moved += _move_all(engine, sender, ends)
    return moved


def _leave_to_a_person(engine: Engine, sender_id: int) -> None:
    maybe = (Delivery.sender_id == sender_id, IS_QUEUED, Delivery.uncertains > 0)
    with reading(engine) as session:
        found = session.scalars(select(Delivery.id).where(*maybe).limit(_AT_ONCE)).all()
    if not found:
        return
    with transaction(engine) as session:
        ids = session.scalars(
            select(Delivery.id)
            .where(Delivery.id.in_(found), *maybe)
            .with_for_update(skip_locked=True)
        ).all()
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "queued")
            # When it was sent stays: it counts against the limit.
            .values(state=states.check("queued", "uncertain"), last_error=_FOR_A_PERSON),
        )


def _move_all(engine: Engine, sender: ResolvedSender, ends: float) -> int:
    moved = 0
    while True:
        with reading(engine) as session:
            planned = _plan(session, sender)
        if not planned:
            return moved
        before = moved
        while planned:
            with transaction(engine) as session:
                for message_pk, delivery_ids, move in planned[:_STEP]:
                    moved += move_mail(session, message_pk, delivery_ids, move)
            del planned[:_STEP]
            if time.monotonic() >= ends:
                return moved
        if moved == before:
            return moved  # somebody else has them locked


def _plan(session: Session, sender: ResolvedSender) -> list[tuple[int, list[int], Move]]:
    waits = (*is_movable(sender.sender_id), Message.from_email.is_not(None))
    is_of = Message.id == Delivery.message_pk
    some = select(Delivery.message_pk).join(Message, is_of).where(*waits)
    mails = session.scalars(some.order_by(Delivery.id).limit(_AT_ONCE)).all()
    if not mails:
        return []
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.message_pk,
            Delivery.partner_id,
            Delivery.priority,
            Message.type_name,
        )
        .join(Message, is_of)
        .where(*waits, Delivery.message_pk.in_(set(mails)))
        .order_by(Delivery.id)
    ).all()
    groups: defaultdict[tuple[int, _Asked], list[int]] = defaultdict(list)
    for row in rows:
        asked = (row.partner_id, row.type_name, PRIORITY_NAMES[row.priority])
        groups[row.message_pk, asked].append(row.id)
    name = sender_name(sender.partner_id, sender.key, sender.label)
    reason = f"{name[0].upper()}{name[1:]} was deleted."
    moves = {
        asked: Move(sender, choose_sender(session, *asked).sender, sender, "deleted", reason)
        for asked in {asked for _, asked in groups}
    }
    return [(message_pk, ids, moves[asked]) for (message_pk, asked), ids in groups.items()]
