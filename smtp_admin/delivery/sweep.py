"""Every ten seconds: what is due although no bell rang for it.

Lost bells, retries, ended pauses, expired mail and unknown outcomes all end here, so everything
else may forget about them.
"""

from sqlalchemy import Engine, exists, func, or_, select, update

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.models import IS_OPEN, IS_QUEUED, Delivery, Lane, Message
from smtp_admin.delivery.record import erase_sensitive
from smtp_admin.settings.models import Sender

SWEEP_SECONDS = 10.0
_AT_ONCE = 1000


def expire(engine: Engine) -> int:
    """End what is too old to be sent; how many."""
    with transaction(engine) as session:
        moment = database_now(session)
        old = session.execute(
            select(Delivery.id, Delivery.message_id)
            .where(IS_QUEUED, Delivery.expires_at <= moment)
            .limit(_AT_ONCE)
        ).all()
        if not old:
            return 0
        count = changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in old]), Delivery.state == "queued")
            .values(
                state=states.check("queued", "expired"),
                finished_at=moment,
                last_code="expired",
                last_error="It could not be sent before it was too old.",
            ),
        )
        erase_sensitive(session, {row.message_id for row in old})
        return count


def settle_unknown(engine: Engine) -> int:
    """Queue mail again whose outcome stayed unknown, where its type wants that; how many.

    It goes with the same bytes and Message-ID, once. What stays unknown after that, or is to be
    held, waits for a person.
    """
    with transaction(engine) as session:
        moment = database_now(session)
        resend = exists().where(Message.id == Delivery.message_id, Message.on_uncertain == "resend")
        waiting = (
            IS_OPEN,
            Delivery.state == "uncertain",
            Delivery.next_attempt_at <= moment,
            resend,
        )
        changed(
            session,
            update(Delivery)
            .where(*waiting, Delivery.uncertains > 1)
            .values(
                state=states.check("uncertain", "dead"),
                last_error="The outcome stayed unknown twice; the recipient may have it.",
            ),
        )
        return changed(
            session,
            update(Delivery)
            .where(*waiting, Delivery.uncertains <= 1)
            # When it was sent stays: it counts against the limit.
            .values(state=states.check("uncertain", "queued")),
        )


def due_senders(engine: Engine) -> list[int]:
    """The senders that have something to send, may send, and have a free lane."""
    with transaction(engine) as session:
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
    with transaction(engine) as session:
        rows = session.execute(
            select(Delivery.sender_id, func.count())
            .where(Delivery.sender_id.in_(senders), IS_QUEUED)
            .group_by(Delivery.sender_id)
        ).all()
        return {int(sender_id): int(count) for sender_id, count in rows}
