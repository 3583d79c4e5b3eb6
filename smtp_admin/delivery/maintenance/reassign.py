"""When a partner's settings change: waiting mail without a From address joins that sender.

It was queued while nobody could send it, and was filed under the system's sender.
"""

from typing import Any

from sqlalchemy import Engine, exists, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, changed, transaction
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.models import Delivery, Lane, Message
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from smtp_admin.signals import settings_changed


def _adopt(_app: Any, *, session: Session, sender_id: int, partner_id: str, revision: int) -> None:
    del revision
    _ensure_lanes(session, sender_id, load_sender(session, partner_id).values.max_connections)
    _take_over(session, partner_id, sender_id)
    ring_after_commit(session, sender_id)


def reassign_strays(engine: Engine) -> int:
    """Hand over what was being queued in the very moment that its sender was saved; how many."""
    with transaction(engine) as session:
        lost = session.execute(
            select(Sender.partner_id, Sender.id)
            .join(Delivery, Delivery.partner_id == Sender.partner_id)
            .join(Message, Message.id == Delivery.message_pk)
            .where(
                Sender.partner_id != SYSTEM,
                Sender.current_revision > 0,
                Delivery.sender_id != Sender.id,
                Delivery.state == "queued",
                Message.from_email.is_(None),
            )
            .distinct()
        ).all()
        return sum(_take_over(session, partner_id, sender_id) for partner_id, sender_id in lost)


def _take_over(session: Session, partner_id: str, sender_id: int) -> int:
    unstamped = exists().where(Message.id == Delivery.message_pk, Message.from_email.is_(None))
    # What an open transaction has just queued is skipped: saving waits for nobody.
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.partner_id == partner_id,
            Delivery.state == "queued",
            Delivery.sender_id != sender_id,
            unstamped,
        )
        .with_for_update(of=Delivery, skip_locked=True)
    )
    ids = session.scalars(waiting).all()
    if not ids:
        return 0
    moved = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == "queued")
    return changed(session, moved.values(sender_id=sender_id))


def _ensure_lanes(session: Session, sender_id: int, count: int) -> None:
    # More than wanted stay: they may be held just now. Nobody takes one beyond the number.
    have = set(session.scalars(select(Lane.slot).where(Lane.sender_id == sender_id)))
    session.add_all(
        Lane(sender_id=sender_id, slot=slot) for slot in range(count) if slot not in have
    )
    session.flush()


def listen() -> None:
    """Listen to changed settings; calling it again changes nothing."""
    settings_changed.connect(_adopt)
