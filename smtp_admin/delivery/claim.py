"""Claim due deliveries in one short transaction, and load what they need.

The claim itself registers the attempt: whatever happens afterwards, a delivery that may have
been sent is never again simply ``queued``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import database_now, transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.limits import allowance
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.settings.models import Sender
from smtp_admin.settings.sender import ResolvedSender, load_sender_by_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery that is ours to send, with its bytes."""

    id: int
    message_pk: int
    public_id: str
    partner_id: str
    recipient: str
    priority: int
    attempts: int
    releases: int
    uncertains: int
    created_at: datetime
    content: bytes
    message_id: str
    from_email: str | None
    sensitive: bool
    on_uncertain: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim got, and the sender that it is to be sent with."""

    sender: ResolvedSender
    deliveries: list[Claimed]


def claim(engine: Engine, lane: HeldLane, size: int) -> Batch | None:
    """Up to *size* due deliveries of the lane's sender, most urgent first.

    Returns ``None`` when there is nothing to do: nothing due, the sender paused or not
    configured, its limit reached, or the lane lost.
    """
    with transaction(engine) as session:
        # The sender's row is the lock under which limits are counted.
        session.execute(select(Sender.id).where(Sender.id == lane.sender_id).with_for_update())
        if not lanes.beat(session, lane):
            return None
        sender = load_sender_by_id(session, lane.sender_id)
        moment = database_now(session)
        if sender is None or not usable(sender, moment):
            return None
        allowed = allowance(session, lane.sender_id, sender.values.max_per_hour, moment)
        if allowed.urgent is None:
            claimed = _claim(session, lane, moment, size, None)
        else:
            claimed = _claim(session, lane, moment, min(size, allowed.urgent), True)
            rest = min(size - len(claimed), (allowed.others or 0) - len(claimed))
            claimed += _claim(session, lane, moment, rest, False)
        if not claimed:
            return None
        return Batch(sender, _load(session, claimed))


def usable(sender: ResolvedSender, moment: datetime) -> bool:
    """Whether anything can be sent for *sender* at *moment*."""
    paused = sender.paused_until is not None and sender.paused_until > moment
    return sender.configured and not sender.problems and not paused


def _claim(
    session: Session, lane: HeldLane, moment: datetime, size: int, urgent: bool | None
) -> list[int]:
    if size <= 0:
        return []
    conditions = [
        Delivery.sender_id == lane.sender_id,
        Delivery.state == "queued",
        Delivery.next_attempt_at <= moment,
        or_(Delivery.expires_at.is_(None), Delivery.expires_at > moment),
    ]
    if urgent is not None:
        conditions.append(Delivery.priority == 0 if urgent else Delivery.priority > 0)
    order = (Delivery.priority, Delivery.next_attempt_at, Delivery.id)
    due = select(Delivery.id).where(*conditions).order_by(*order).limit(size)
    dialect = session.connection().dialect.name
    if dialect in {"mysql", "mariadb"}:
        # MariaDB cannot update through a limited subquery; the rows are locked here instead.
        ids = list(session.scalars(due.with_for_update(skip_locked=True)))
        if ids:
            session.execute(_take(Delivery.id.in_(ids), lane))
        return ids
    if dialect == "postgresql":
        due = due.with_for_update(skip_locked=True)
    taken = _take(Delivery.id.in_(due.scalar_subquery()), lane).returning(
        Delivery.id, Delivery.priority, Delivery.next_attempt_at
    )
    rows = session.execute(taken).all()
    return [row.id for row in sorted(rows, key=lambda row: (row[1], row[2], row[0]))]


def _take(condition: Any, lane: HeldLane) -> Any:
    return (
        update(Delivery)
        .where(condition, Delivery.state == "queued")
        .values(state="sending", lease=lane.lease)
        .execution_options(synchronize_session=False)
    )


def _load(session: Session, ids: list[int]) -> list[Claimed]:
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.message_id.label("message_pk"),
            Message.public_id,
            Delivery.partner_id,
            Delivery.recipient,
            Delivery.priority,
            Delivery.attempts,
            Delivery.releases,
            Delivery.uncertains,
            Delivery.created_at,
            Message.content,
            Message.message_id,
            Message.from_email,
            Message.sensitive,
            Message.on_uncertain,
        )
        .join(Message, Message.id == Delivery.message_id)
        .where(Delivery.id.in_(ids))
    ).all()
    by_id = {row.id: Claimed(**row._mapping) for row in rows}
    return [by_id[one] for one in ids]
