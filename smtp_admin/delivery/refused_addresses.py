"""Give up addresses that a server refused for good while it took the mail: no such mailbox.

What comes back later does the same (:mod:`smtp_admin.events.reacting`). A mail server that is
itself broken may refuse every address, so one is believed only where mail was accepted lately.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.delivery.claim_statements import SUPPRESSIBLE
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.senders.models import Sender

#: A server that accepted a mail so lately works.
_LATELY = timedelta(days=1)


def suppress_refused(
    session: Session, sender_id: int, ids: Collection[int], moment: datetime, *, works: bool
) -> int:
    """Suppress the addresses of these deliveries, which were refused for good; how many.

    The caller commits.

    Args:
        works: whether the sender's server accepted other mail just now.
    """
    if not ids or not (works or _worked_lately(session, sender_id, moment)):
        return 0
    new = 0
    # In one order, so that two workers wait for each other and never in a circle.
    for partner_id, address, reply, public_id in _concerned(session, ids):
        done = suppress(session, partner_id, address, "bounce", detail=reply, mail_id=public_id)
        new += done.new
    return new


def _worked_lately(session: Session, sender_id: int, moment: datetime) -> bool:
    last = session.scalar(select(Sender.last_accepted_at).where(Sender.id == sender_id))
    return last is not None and moment - last < _LATELY


def _concerned(session: Session, ids: Collection[int]) -> Sequence[Any]:
    return session.execute(
        select(Delivery.partner_id, Delivery.recipient, Delivery.last_reply, Message.public_id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(among(session, Delivery.id, ids), Delivery.state == "dead", SUPPRESSIBLE)
        .order_by(Delivery.partner_id, Delivery.recipient)
    ).all()
