"""Every ten seconds: what is due although no bell rang for it.

Lost bells, retries and ended pauses all end here, so everything else may forget about them.
"""

from sqlalchemy import Engine, exists, func, or_, select

from smtp_admin.database import database_now, reading
from smtp_admin.delivery.models import IS_QUEUED, Delivery, Lane
from smtp_admin.senders.models import Sender

SWEEP_SECONDS = 10.0


def due_senders(engine: Engine) -> list[int]:
    """The senders that have something to send, may send, and have a free lane."""
    with reading(engine) as session:
        moment = database_now(session)
        waiting = exists().where(
            Delivery.sender_id == Sender.id,
            IS_QUEUED,
            Delivery.next_attempt_at <= moment,
        )
        free = exists().where(Lane.sender_id == Sender.id, Lane.lease.is_(None))
        return list(
            session.scalars(
                select(Sender.id)
                .where(
                    Sender.deleted_at.is_(None),
                    or_(Sender.paused_until.is_(None), Sender.paused_until <= moment),
                    free,
                    waiting,
                )
                .order_by(Sender.id)
            )
        )


def due_counts(engine: Engine) -> dict[int, int]:
    """How much each sender of :func:`due_senders` has waiting."""
    senders = due_senders(engine)
    with reading(engine) as session:
        rows = session.execute(
            select(Delivery.sender_id, func.count())
            .where(Delivery.sender_id.in_(senders), IS_QUEUED)
            .group_by(Delivery.sender_id)
        ).all()
        return {int(sender_id): int(count) for sender_id, count in rows}
