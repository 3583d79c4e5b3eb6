"""How long a batch takes, by the limits of its sender: said before it begins, and lived by."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.database import about_now
from smtp_admin.delivery.limits import DAY, HOUR, kept_for_urgent
from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.delivery.outbox import expiry
from smtp_admin.installation import installation
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be expected of a batch.

    Attributes:
        ahead: what waits at the sender already, copies to its archive too.
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
    """How long one delivery of a batch takes by the limits of its sender, on average."""
    limits = ((values.max_per_hour, HOUR), (values.max_per_day, DAY))
    return max(
        (
            window.total_seconds() / (limit - kept_for_urgent(limit))
            for limit, window in limits
            if limit is not None
        ),
        default=0.0,
    )


def deliveries_each(values: SenderValues, *, sensitive: bool) -> int:
    """How many deliveries one mail is: limits count the copy to an archive like any other."""
    copied = values.archive_to and not sensitive and installation().config.sandbox is None
    return 2 if copied else 1


def waiting_at(session: Session, sender_id: int) -> int:
    """How much waits at a sender."""
    waiting = select(func.count()).select_from(Delivery)
    return session.scalar(waiting.where(Delivery.sender_id == sender_id, IS_QUEUED)) or 0


def expiry_at(
    begins: datetime,
    priority: int,
    hours: float | None,
    send_at: datetime | None,
    place: int,
    each: float,
) -> datetime:
    """When the mail at *place* of the line is too old: its turn and the usual time after it.

    A type that says itself how long its mail lives is obeyed.

    Args:
        begins: now, by the database's clock.
        hours: what the type says.
        place: how many deliveries go before it, its own too.
        each: seconds that one of them takes.
    """
    usual = expiry(begins, priority, hours, send_at)
    return usual if hours is not None else usual + timedelta(seconds=place * each)


def plan(
    session: Session,
    sender: ResolvedSender,
    count: int,
    *,
    priority: int,
    hours: float | None,
    send_at: datetime | None,
    sensitive: bool,
) -> Plan:
    """What is to be expected of *count* mails."""
    ahead = waiting_at(session, sender.sender_id) if sender.sender_id else 0
    each = seconds_each(sender.values)
    every = deliveries_each(sender.values, sensitive=sensitive)
    place = ahead + count * every
    seconds = place * each
    begins = about_now(session)
    ends = expiry_at(begins, priority, hours, send_at, place, each)
    late = max(begins, send_at or begins) + timedelta(seconds=seconds) - ends
    too_old = 0
    if each and late > timedelta():
        too_old = min(count, int(late.total_seconds() / (each * every)) + 1)
    return Plan(count, sender, ahead, seconds, ends, too_old)
