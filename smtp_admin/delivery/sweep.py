"""Every ten seconds: what is due although no bell rang for it.

Lost bells, retries, ended pauses, expired mail and unknown outcomes all end here, so everything
else may forget about them.
"""

from collections import Counter as Tally
from datetime import datetime

from flask import Flask
from sqlalchemy import ColumnElement, Engine, exists, func, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.announcements import DeadLetter, announce_dead
from smtp_admin.delivery.models import IS_OPEN, IS_QUEUED, Delivery, Lane, Message
from smtp_admin.delivery.record import add_to_counter, erase_sensitive
from smtp_admin.settings.models import Sender

SWEEP_SECONDS = 10.0
_AT_ONCE = 1000
_UNKNOWN_TWICE = "The outcome stayed unknown twice; the recipient may have it."


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


def settle_unknown(app: Flask, engine: Engine) -> int:
    """Queue mail again whose outcome stayed unknown, where its type wants that; how many.

    It goes with the same bytes and Message-ID, once. What stays unknown after that is a dead
    letter, and what is to be held waits for a person.
    """
    with transaction(engine) as session:
        moment = database_now(session)
        resend = (
            exists()
            .where(Message.id == Delivery.message_id, Message.on_uncertain == "resend")
            .correlate(Delivery)
        )
        waiting = (
            IS_OPEN,
            Delivery.state == "uncertain",
            Delivery.next_attempt_at <= moment,
            resend,
        )
        dead = _give_up(session, waiting, moment)
        again = changed(
            session,
            update(Delivery)
            .where(*waiting, Delivery.uncertains <= 1)
            # When it was sent stays: it counts against the limit.
            .values(state=states.check("uncertain", "queued")),
        )
    for letter in dead:
        announce_dead(app, letter)
    return again


def _give_up(
    session: Session, waiting: tuple[ColumnElement[bool], ...], moment: datetime
) -> list[DeadLetter]:
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.sender_id,
            Delivery.partner_id,
            Delivery.recipient,
            Message.public_id,
            Delivery.last_code,
        )
        .join(Message, Message.id == Delivery.message_id)
        .where(*waiting, Delivery.uncertains > 1)
        .limit(_AT_ONCE)
        # Each is announced by who ends it: another clock leaves them alone.
        .with_for_update(of=Delivery, skip_locked=True)
    ).all()
    if not rows:
        return []
    changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_([row.id for row in rows]))
        .values(state=states.check("uncertain", "dead"), last_error=_UNKNOWN_TWICE),
    )
    minute = moment.replace(second=0, microsecond=0)
    tallies = Tally((row.sender_id, row.partner_id) for row in rows)
    for (sender_id, partner_id), number in sorted(tallies.items()):
        add_to_counter(session, sender_id, partner_id, minute, Tally(dead=number))
    return [
        DeadLetter(row.public_id, row.recipient, row.partner_id, row.last_code, _UNKNOWN_TWICE)
        for row in rows
    ]


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
