"""Decide about mail whose outcome stayed unknown: send it again, or give it up."""

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Flask
from sqlalchemy import ColumnElement, Engine, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.announcements import DeadLetter, announce_dead
from smtp_admin.delivery.copies import counted_for
from smtp_admin.delivery.models import IS_OPEN, Delivery, Message
from smtp_admin.delivery.record import add_to_counter
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

_AT_ONCE = 1000
#: From the present moment to which of it may yet be settled otherwise, and is left alone: a room
#: that is told what became of mail adds its own.
MAY_BE_TOLD: list[Callable[[datetime], ColumnElement[bool]]] = []
_UNKNOWN_TWICE = gettext("The outcome was unknown twice. The recipient may have it.")


def settle_unknown(app: Flask, engine: Engine) -> int:
    """Queue mail again whose outcome stayed unknown, where its type wants that; how many.

    It goes with the same bytes and Message-ID, once. What stays unknown after that is a dead
    letter. What is to be held waits for a person, and so does what a deleted sender sent: nobody
    else may send its bytes.
    """
    with reading(engine) as session:
        moment = database_now(session)
        due = (Delivery.state == "uncertain", Delivery.next_attempt_at <= moment)
        found = session.scalars(
            select(Delivery.id)
            .join(Message, Message.id == Delivery.message_pk)
            .join(Sender, Sender.id == Delivery.sender_id)
            .where(IS_OPEN, *due, Message.on_uncertain == "resend", Sender.deleted_at.is_(None))
            .where(*(~may_be_told(moment) for may_be_told in MAY_BE_TOLD))
            .limit(_AT_ONCE)
        ).all()
    if not found:
        return 0
    with transaction(engine) as session:
        rows = session.scalars(
            select(Delivery)
            .where(Delivery.id.in_(found), *due)
            # What another clock settles, or a person, is left to them: nobody waits for anybody.
            .with_for_update(skip_locked=True)
        ).all()
        again = changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in rows if row.uncertains <= 1]))
            # When it was sent stays: it counts against the limit.
            .values(state=states.check("uncertain", "queued")),
        )
        suppress_again(session, [row.id for row in rows], moment)
        dead = _give_up(session, [row for row in rows if row.uncertains > 1], moment)
    for letter in dead:
        announce_dead(app, letter)
    return again


def _give_up(session: Session, rows: Sequence[Delivery], moment: datetime) -> list[DeadLetter]:
    if not rows:
        return []
    changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_([row.id for row in rows]))
        .values(state=states.check("uncertain", "dead"), last_error=_UNKNOWN_TWICE),
    )
    minute = moment.replace(second=0, microsecond=0)
    owners = counted_for(session, rows)
    tallies = Tally((row.sender_id, owners[row.id]) for row in rows)
    for (sender_id, partner_id), number in sorted(tallies.items()):
        add_to_counter(session, sender_id, partner_id, minute, Tally(dead=number))
    messages = select(Message.id, Message.public_id).where(
        Message.id.in_([row.message_pk for row in rows])
    )
    public_ids = {row.id: row.public_id for row in session.execute(messages)}
    return [
        DeadLetter(
            public_ids[row.message_pk],
            row.recipient,
            row.partner_id,
            row.last_code,
            _UNKNOWN_TWICE,
        )
        for row in rows
    ]
