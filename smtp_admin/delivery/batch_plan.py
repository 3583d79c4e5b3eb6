"""How long a batch takes, by the limits of its sender: said before it begins, and lived by."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.delivery.limits import DAY, HOUR, kept_for_urgent
from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.delivery.outbox import expiry
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be expected of a batch.

    Attributes:
        ahead: mails that wait at the sender already.
        seconds: how long its limits make all of them take; 0 where it has none.
        expires_at: when the last mail is too old to be sent.
        too_old: how many will be too old before their turn, since their type does not live longer.
    """

    count: int
    sender: ResolvedSender
    ahead: int
    seconds: float
    expires_at: datetime
    too_old: int


def seconds_each(values: SenderValues) -> float:
    """How long one mail of a batch takes by the limits of its sender, on average."""
    limits = ((values.max_per_hour, HOUR), (values.max_per_day, DAY))
    return max(
        (
            window.total_seconds() / (limit - kept_for_urgent(limit))
            for limit, window in limits
            if limit is not None
        ),
        default=0.0,
    )


def waiting_at(session: Session, sender_id: int) -> int:
    """How much waits at a sender."""
    waiting = select(func.count()).select_from(Delivery)
    return session.scalar(waiting.where(Delivery.sender_id == sender_id, IS_QUEUED)) or 0


def expiry_at(
    priority: int,
    hours: float | None,
    send_at: datetime | None,
    place: int,
    each: float,
) -> datetime:
    """When the mail at *place* of the line is too old: its turn and the usual time after it.

    A type that says itself how long its mail lives is obeyed.

    Args:
        hours: what the type says.
        each: seconds that one mail takes.
    """
    usual = expiry(priority, hours, send_at)
    return usual if hours is not None else usual + timedelta(seconds=place * each)


def plan(
    session: Session,
    sender: ResolvedSender,
    count: int,
    *,
    priority: int,
    hours: float | None,
    send_at: datetime | None,
) -> Plan:
    """What is to be expected of *count* mails."""
    ahead = waiting_at(session, sender.sender_id) if sender.sender_id else 0
    each = seconds_each(sender.values)
    seconds = (ahead + count) * each
    ends = expiry_at(priority, hours, send_at, ahead + count, each)
    late = max(now(), send_at or now()) + timedelta(seconds=seconds) - ends
    too_old = min(count, int(late.total_seconds() / each) + 1) if each and late > timedelta() else 0
    return Plan(count, sender, ahead, seconds, ends, too_old)
