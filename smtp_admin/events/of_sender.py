"""What a sender has one of: its webhook, its mailbox for bounces."""

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.errors import Conflict
from smtp_admin.events.models import BounceMailbox, Webhook
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

T = TypeVar("T", Webhook, BounceMailbox)


def of_sender(
    session: Session, kind: type[T], sender_id: int, *, to_change: bool = False
) -> T | None:
    """The one of this sender, if it has one.

    Args:
        to_change: who changes one waits for who does already, and has what they left.

    Raises:
        Conflict: somebody deleted the sender meanwhile; only for who changes one.
    """
    found = select(kind).where(kind.sender_id == sender_id)
    if to_change:
        # The sender first, for there may be none to wait at. MariaDB shows its newest state only to
        # who asks for a lock.
        mine = select(Sender.deleted_at).where(Sender.id == sender_id).with_for_update()
        if session.scalar(mine) is not None:
            raise Conflict(gettext("This sender no longer exists. Nothing was changed."))
        found = found.with_for_update().execution_options(populate_existing=True)
    return session.scalar(found)
