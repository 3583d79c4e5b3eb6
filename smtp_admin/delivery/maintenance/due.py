"""Every ten seconds: what is due although no bell rang for it.

Lost bells, retries and ended pauses all end here, so everything else may forget about them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, and_, case, exists, func, or_, select

from smtp_admin.database import database_now, reading
from smtp_admin.delivery.models import IS_QUEUED, URGENT, Delivery, Lane
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision

SWEEP_SECONDS = 10.0
#: How a sender's server did: it took mail of late; a test of its settings succeeded; nobody knows;
#: it could not be reached.
Health = Literal["well", "tested", "new", "failing"]
#: For how long it counts that a server took mail.
_OF_LATE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DueSender:
    """A sender with something to send, as those who share out the work see it.

    Attributes:
        urgent: whether mail is due that is urgent.
    """

    sender_id: int
    partner_id: str
    health: Health
    urgent: bool = False


def due_senders(engine: Engine, only: int | None = None) -> list[DueSender]:
    """The senders that have something to send, may send, and have a free lane.

    Args:
        only: the id of the one that is asked about.
    """
    with reading(engine) as session:
        moment = database_now(session)
        waiting = (
            Delivery.sender_id == Sender.id,
            IS_QUEUED,
            Delivery.next_attempt_at <= moment,
        )
        urgent = exists().where(*waiting, Delivery.priority == URGENT)
        rows: Any = session.execute(
            select(*_about(moment), urgent)
            .where(
                Sender.deleted_at.is_(None),
                or_(Sender.paused_until.is_(None), Sender.paused_until <= moment),
                exists().where(Lane.sender_id == Sender.id, Lane.lease.is_(None)),
                exists().where(*waiting),
                *(() if only is None else (Sender.id == only,)),
            )
            .order_by(Sender.id)
        )
        return [DueSender(*row) for row in rows]


def senders_of(engine: Engine, ids: Collection[int], *, urgent: bool = False) -> list[DueSender]:
    """The senders with these ids, for which somebody says that they have something to send."""
    with reading(engine) as session:
        about: Any = select(*_about(database_now(session)))
        rows: Any = session.execute(about.where(Sender.id.in_(ids)))
        return [DueSender(one, whose, health, urgent) for one, whose, health in rows]


def due_counts(engine: Engine) -> dict[int, int]:
    """How much each sender of :func:`due_senders` has waiting."""
    senders = [one.sender_id for one in due_senders(engine)]
    with reading(engine) as session:
        rows = session.execute(
            select(Delivery.sender_id, func.count())
            .where(Delivery.sender_id.in_(senders), IS_QUEUED)
            .group_by(Delivery.sender_id)
        ).all()
        return {int(sender_id): int(count) for sender_id, count in rows}


_TESTED = (
    select(RevisionTest.revision_id)
    .join(SenderRevision, SenderRevision.id == RevisionTest.revision_id)
    .where(
        SenderRevision.sender_id == Sender.id,
        SenderRevision.number == Sender.current_revision,
        RevisionTest.ok,
    )
    .correlate(Sender)
)


def _about(moment: datetime) -> tuple[Any, ...]:
    accepted = Sender.last_accepted_at
    of_late = and_(accepted.is_not(None), accepted > moment - _OF_LATE)
    health = case(
        (Sender.pauses > 0, "failing"), (of_late, "well"), (exists(_TESTED), "tested"), else_="new"
    )
    return (Sender.id, Sender.partner_id, health)
