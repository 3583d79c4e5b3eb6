"""Forget the texts of mail that carries secrets, as soon as nobody needs them."""

from collections.abc import Collection

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.delivery.models import Delivery, Message


def erase_sensitive(session: Session, message_pks: Collection[int]) -> None:
    """Forget the text of sensitive mail, once none of its recipients still waits for it."""
    if not message_pks:
        return
    # First the lock, then the look: of two connections that end together, each with a recipient of
    # the same mail, the second must see what became of the first's.
    sensitive = (Message.id.in_(message_pks), Message.sensitive)
    locked = select(Message.id).where(*sensitive).order_by(Message.id)
    if not session.scalars(locked.with_for_update(key_share=True)).all():
        return
    still_needed = exists().where(
        Delivery.message_pk == Message.id,
        Delivery.state.in_(("queued", "sending", "uncertain", "dead")),
    )
    changed(
        session,
        update(Message).where(*sensitive, ~still_needed).values(content=b""),
    )
