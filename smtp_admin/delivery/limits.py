"""How many mails a sender may still send in this window of sixty minutes.

Counted from the deliveries themselves, under the lock of the claim, so that any number of
workers together never exceed it; losing Redis loses no count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Delivery

WINDOW = timedelta(hours=1)
#: What the server may have taken. A mail whose outcome is unknown counts, because it may have
#: arrived; one that was refused does not.
COUNTED = ("sent", "delivered", "bounced", "complained", "uncertain")
_KEPT_FOR_URGENT = 0.1


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many may be claimed now; ``None`` for any number."""

    urgent: int | None
    others: int | None


def used_this_hour(session: Session, sender_id: int, moment: datetime) -> int:
    """Mails of *sender_id* in the hour before *moment*, with those on their way."""
    finished = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.sender_id == sender_id,
            Delivery.finished_at > moment - WINDOW,
            Delivery.state.in_(COUNTED),
        )
    )
    under_way = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.lease.is_not(None),
            Delivery.sender_id == sender_id,
            Delivery.state == "sending",
        )
    )
    return (finished or 0) + (under_way or 0)


def allowance(
    session: Session, sender_id: int, max_per_hour: int | None, moment: datetime
) -> Allowance:
    """What may be claimed for *sender_id*; a tenth of the limit is kept for urgent mail."""
    if max_per_hour is None:
        return Allowance(None, None)
    left = max(0, max_per_hour - used_this_hour(session, sender_id, moment))
    kept = ceil(max_per_hour * _KEPT_FOR_URGENT)
    return Allowance(left, max(0, left - kept))
