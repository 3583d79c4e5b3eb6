"""How many mails a sender may still send in these sixty minutes and 24 hours.

Counted from the deliveries themselves, under the lock of the claim, so that any number of
workers together never exceed it; losing Redis loses no count.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import bindparam, case, func, select, union_all
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.delivery.models import Delivery
from smtp_admin.senders.values import SenderValues

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
#: What the server may have taken. A mail whose outcome is unknown counts, because it may have
#: arrived; one that was refused does not.
COUNTED = ("sent", "delivered", "bounced", "complained")
_KEPT_FOR_URGENT = 0.1


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many may be claimed now; ``None`` for any number."""

    urgent: int | None
    others: int | None


def used_this_hour(session: Session, sender_id: int, moment: datetime) -> int:
    """Mails of *sender_id* in the hour before *moment*, with those on their way."""
    return _used(session, sender_id, moment - HOUR)


def used_today(session: Session, sender_id: int, moment: datetime) -> int:
    """The same of the 24 hours before *moment*."""
    return _used(session, sender_id, moment - DAY)


def used_by(session: Session, sender_ids: Collection[int], since: datetime) -> dict[int, int]:
    """The same of many senders, for people to read; those that used nothing are left out."""
    weight = Delivery.uncertains + case((Delivery.state.in_(COUNTED), 1), else_=0)
    finished = (
        select(Delivery.sender_id, func.sum(weight))
        .where(among(session, Delivery.sender_id, sender_ids), Delivery.finished_at > since)
        .group_by(Delivery.sender_id)
    )
    under_way = (
        select(Delivery.sender_id, func.count())
        .where(
            Delivery.lease.is_not(None),
            among(session, Delivery.sender_id, sender_ids),
            Delivery.state == "sending",
        )
        .group_by(Delivery.sender_id)
    )
    found: dict[int, int] = {}
    for sender_id, count in session.execute(union_all(finished, under_way)):
        found[int(sender_id)] = found.get(int(sender_id), 0) + int(count or 0)
    return found


def allowance(
    session: Session, sender_id: int, values: SenderValues, moment: datetime
) -> Allowance:
    """What may be claimed for *sender_id*; a tenth of each limit is kept for urgent mail."""
    urgent, others = [], []
    for limit, window in ((values.max_per_hour, HOUR), (values.max_per_day, DAY)):
        if limit is None:
            continue
        left = max(0, limit - _used(session, sender_id, moment - window))
        urgent.append(left)
        others.append(max(0, left - kept_for_urgent(limit)))
    return Allowance(min(urgent), min(others)) if urgent else Allowance(None, None)


def kept_for_urgent(limit: int) -> int:
    """How much of a limit only urgent mail may use; something is left for all."""
    return min(ceil(limit * _KEPT_FOR_URGENT), limit - 1)


def _used(session: Session, sender_id: int, since: datetime) -> int:
    return session.scalar(_USED, {"whose": sender_id, "since": since}) or 0


# One statement sees one state of things: a mail that is just being recorded as sent is counted
# once, either as under way or as finished.
_FINISHED = (
    select(
        # A send whose outcome is unknown may have arrived, whatever came after it.
        func.coalesce(
            func.sum(Delivery.uncertains + case((Delivery.state.in_(COUNTED), 1), else_=0)), 0
        )
    )
    .where(Delivery.sender_id == bindparam("whose"), Delivery.finished_at > bindparam("since"))
    .scalar_subquery()
)
_UNDER_WAY = (
    select(func.count())
    .select_from(Delivery)
    .where(
        Delivery.lease.is_not(None),
        Delivery.sender_id == bindparam("whose"),
        Delivery.state == "sending",
    )
    .scalar_subquery()
)
_USED = select(_FINISHED + _UNDER_WAY)
