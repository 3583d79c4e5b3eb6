"""How many mails a sender may still send in these sixty minutes and 24 hours.

Counted from the deliveries themselves, under the lock of the claim, so that any number of
workers together never exceed it; losing Redis loses no count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Delivery
from smtp_admin.settings.values import SenderValues

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
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
    return _finished(session, sender_id, moment - HOUR) + _under_way(session, sender_id)


def allowance(
    session: Session, sender_id: int, values: SenderValues, moment: datetime
) -> Allowance:
    """What may be claimed for *sender_id*; a tenth of each limit is kept for urgent mail."""
    limits = [
        (limit, window)
        for limit, window in ((values.max_per_hour, HOUR), (values.max_per_day, DAY))
        if limit is not None
    ]
    if not limits:
        return Allowance(None, None)
    under_way = _under_way(session, sender_id)
    urgent, others = [], []
    for limit, window in limits:
        left = max(0, limit - under_way - _finished(session, sender_id, moment - window))
        urgent.append(left)
        kept = min(ceil(limit * _KEPT_FOR_URGENT), limit - 1)  # something is left for all
        others.append(max(0, left - kept))
    return Allowance(min(urgent), min(others))


def _finished(session: Session, sender_id: int, since: datetime) -> int:
    statement = (
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.sender_id == sender_id,
            Delivery.finished_at > since,
            Delivery.state.in_(COUNTED),
        )
    )
    return session.scalar(statement) or 0


def _under_way(session: Session, sender_id: int) -> int:
    statement = (
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.lease.is_not(None),
            Delivery.sender_id == sender_id,
            Delivery.state == "sending",
        )
    )
    return session.scalar(statement) or 0
