"""Forget the bounce mailbox of a sender that is deleted, and its password with it."""

from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.events.models import BounceMailbox
from smtp_admin.senders.models import Sender
from smtp_admin.signals import settings_changed

_IS_GONE = exists().where(Sender.id == BounceMailbox.sender_id, Sender.deleted_at.is_not(None))


def listen() -> None:
    """Hear of senders that are deleted."""
    settings_changed.connect(_forget)


def forget_leftovers(session: Session) -> int:
    """Delete mailboxes whose sender is gone, however they were left over; the caller commits."""
    ids = session.scalars(select(BounceMailbox.id).where(_IS_GONE)).all()
    return changed(session, delete(BounceMailbox).where(BounceMailbox.id.in_(ids))) if ids else 0


def _forget(_app: object, *, session: Session, sender_id: int, **_: Any) -> None:
    """In the transaction that deletes the sender; a worker that reads just now keeps nothing."""
    gone = session.scalar(select(Sender.deleted_at).where(Sender.id == sender_id))
    if gone is not None:
        changed(session, delete(BounceMailbox).where(BounceMailbox.sender_id == sender_id))
