"""Forget the tokens of a sender that is deleted.

They are not revoked at the vendor: Google ends all that a person granted to the client then, other
senders' sign-ins with it. Whoever wants that does it in their account there.
"""

from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.models import Sender
from smtp_admin.signals import settings_changed

_IS_GONE = exists().where(Sender.id == OAuthGrant.sender_id, Sender.deleted_at.is_not(None))


def listen() -> None:
    """Hear of senders that are deleted."""
    settings_changed.connect(_forget)


def forget_leftovers(session: Session) -> int:
    """Delete what a worker wrote while its sender was being deleted; the caller commits."""
    ids = session.scalars(select(OAuthGrant.id).where(_IS_GONE)).all()
    return changed(session, delete(OAuthGrant).where(OAuthGrant.id.in_(ids))) if ids else 0


def _forget(_app: object, *, session: Session, sender_id: int, **_: Any) -> None:
    """In the transaction that deletes the sender."""
    gone = session.scalar(select(Sender.deleted_at).where(Sender.id == sender_id))
    if gone is not None:
        changed(session, delete(OAuthGrant).where(OAuthGrant.sender_id == sender_id))
