"""What waits at senders, counted along the index of what is due.

Plain tuples, not objects: a list of all senders reads a thousand of them at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, null, select, union_all
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among
from smtp_admin.delivery.held import as_held
from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.sender_state.which import these
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender

#: How many wait; how many of them are due, and since when; how many are held; and when the next of
#: the rest is due.
Queue = tuple[int, int, datetime | None, int, datetime | None]
EMPTY: Queue = (0, 0, None, 0, None)
#: Later than that is no time: the sandbox holds it.
_HELD_AT: datetime = as_held()["next_attempt_at"]
_READ_AT_ONCE = 250
#: All that is asked of it stands in there. MariaDB would rather look at each mail.
_DUE = "FORCE INDEX (ix_smtp_admin_delivery_due)"


@dataclass(frozen=True, slots=True)
class Queues:
    """Queues by sender, and those of the system's senders also by sender and partner."""

    of_sender: dict[int, Queue] = field(default_factory=dict)
    of_partner: dict[tuple[int, str], Queue] = field(default_factory=dict)


def queues_of(session: Session, senders: Sequence[ResolvedSender], moment: datetime) -> Queues:
    """What waits at *senders*: one query. Only the system's carry mail of several partners."""
    own = [one.sender_id for one in senders if one.partner_id != SYSTEM]
    systems = [one.sender_id for one in senders if one.partner_id == SYSTEM]
    numbers = _numbers(moment)
    arms: list[Any] = []
    if own:
        arms.append(
            select(Sender.id, null(), *numbers)
            .join(Delivery, and_(Delivery.sender_id == Sender.id, IS_QUEUED))
            .with_hint(Delivery, _DUE, "mysql")
            .with_hint(Delivery, _DUE, "mariadb")
            .where(Sender.partner_id != SYSTEM, these(session, Sender.id, own))
            .group_by(Sender.id)
        )
    if systems:
        arms.append(
            select(Delivery.sender_id, Delivery.partner_id, *numbers)
            .where(IS_QUEUED, among(session, Delivery.sender_id, systems))
            .group_by(Delivery.sender_id, Delivery.partner_id)
        )
    found = Queues()
    if not arms:
        return found
    statement: Any = arms[0] if len(arms) == 1 else union_all(*arms)
    rows = session.connection().execute(statement).yield_per(_READ_AT_ONCE)
    shared = frozenset(systems)
    for sender_id, partner_id, count, due, since, held, later in rows:
        queue = (count, due, since, held, later)
        if sender_id in shared:
            found.of_partner[sender_id, partner_id] = queue
            queue = _both(queue, found.of_sender.get(sender_id, EMPTY))
        found.of_sender[sender_id] = queue
    return found


def _numbers(moment: datetime) -> tuple[Any, ...]:
    at = Delivery.next_attempt_at
    return (
        func.count(),
        func.count(case((at <= moment, 1))),
        func.min(case((at <= moment, at))),
        func.count(case((at >= _HELD_AT, 1))),
        func.min(case((and_(at > moment, at < _HELD_AT), at))),
    )


def _both(one: Queue, other: Queue) -> Queue:
    return (
        one[0] + other[0],
        one[1] + other[1],
        _first(one[2], other[2]),
        one[3] + other[3],
        _first(one[4], other[4]),
    )


def _first(*times: datetime | None) -> datetime | None:
    return min((one for one in times if one is not None), default=None)
