"""What is kept beside a sender and forgotten with it: tokens, the password of a mailbox."""

from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from smtp_admin.database import changed
from smtp_admin.senders.models import Sender
from smtp_admin.signals import settings_changed


class Belongings:
    """The rows of one table that belong to a sender each.

    Args:
        id_, sender_id: the columns that say which, and whose.
    """

    def __init__(
        self, id_: InstrumentedAttribute[int], sender_id: InstrumentedAttribute[int]
    ) -> None:
        self._id, self._sender_id = id_, sender_id

    def listen(self) -> None:
        """Hear of senders that are deleted."""
        settings_changed.connect(self._forget)

    def forget_leftovers(self, session: Session) -> int:
        """Delete what a worker wrote while its sender was being deleted; the caller commits."""
        gone = exists().where(Sender.id == self._sender_id, Sender.deleted_at.is_not(None))
        ids = session.scalars(select(self._id).where(gone)).all()
        return changed(session, self._delete().where(self._id.in_(ids))) if ids else 0

    def _forget(self, _app: object, *, session: Session, sender_id: int, **_: Any) -> None:
        """In the transaction that deletes the sender."""
        gone = session.scalar(select(Sender.deleted_at).where(Sender.id == sender_id))
        if gone is not None:
            changed(session, self._delete().where(self._sender_id == sender_id))

    def _delete(self) -> Any:
        return delete(self._id.class_)
