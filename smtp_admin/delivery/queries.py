"""What pages and commands ask about mail. Totals come from counters, never from counting mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery import held
from smtp_admin.delivery.hops import sender_name
from smtp_admin.delivery.limits import HOUR, used_by
from smtp_admin.delivery.models import (
    IS_OPEN,
    IS_QUEUED,
    PRIORITY_NAMES,
    Delivery,
    Message,
)
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.delivery.tallies import Day, Open, Scope, Tally
from smtp_admin.senders.routing import choose_sender
from smtp_admin.translation import listed


@dataclass(frozen=True, slots=True)
class Summary:
    """The delivery of one partner's mail, or of all mail.

    Attributes:
        average_seconds: from queued to accepted, over the last 24 hours; ``None`` without mail.
        hourly: mails accepted and failed in each of the last 24 hours, oldest first.
    """

    pending: int
    sending: int
    uncertain: int
    dead: int
    sent: int
    sent_24h: int
    failed_24h: int
    bounced_24h: int
    complained_24h: int
    sent_this_hour: int
    average_seconds: float | None
    oldest_pending_seconds: float | None
    hourly: tuple[tuple[int, int], ...]


def summary(
    session: Session, partner_id: str | None, sender_id: int = 0, *, of_sender: bool = False
) -> Summary:
    """The numbers of *partner_id*, or of everybody for ``None``.

    Args:
        sender_id: whose hourly limit ``sent_this_hour`` belongs to; 0 counts by partner.
        of_sender: only of what is with that sender, or was sent by it.
    """
    scope = Scope(partner_id, sender_id if of_sender else None)
    return summaries(session, [(scope, sender_id)])[0]


def summaries(session: Session, asked: Sequence[tuple[Scope, int]]) -> list[Summary]:
    """The numbers of each scope; the number of queries does not grow with them.

    Args:
        asked: each with the id of the sender whose hourly limit ``sent_this_hour`` belongs to; 0
            counts what the scope sent.
    """
    moment = database_now(session)
    scopes = [scope for scope, _ in asked]
    limited = {sender_id for _, sender_id in asked if sender_id}
    used = used_by(session, limited, moment - HOUR) if limited else {}
    tally = Tally(session, scopes)
    is_open, days, sent = tally.open_mail(), tally.last_day(moment), tally.ever_sent()
    return [
        _summary(
            is_open[scope],
            days[scope],
            sent[scope],
            used.get(sender_id, 0) if sender_id else None,
            moment,
        )
        for scope, sender_id in asked
    ]


def _summary(
    waiting: Open, day: Day, sent: int, used_this_hour: int | None, moment: datetime
) -> Summary:
    hourly = tuple(day.hourly or ())
    return Summary(
        pending=waiting.queued,
        sending=waiting.sending,
        uncertain=waiting.uncertain,
        dead=waiting.dead,
        sent=sent,
        sent_24h=day.sent,
        failed_24h=day.failed,
        bounced_24h=day.bounced,
        complained_24h=day.complained,
        sent_this_hour=hourly[-1][0] if used_this_hour is None else used_this_hour,
        average_seconds=day.average_seconds,
        oldest_pending_seconds=_age(waiting.oldest, moment),
        hourly=hourly,
    )


def _age(since: datetime | None, moment: datetime) -> float | None:
    return None if since is None else round(max(0.0, (moment - since).total_seconds()), 1)


@dataclass(frozen=True, slots=True)
class Followed:
    """How far one mail got, for the page that sent it."""

    public_id: str
    subject: str
    recipient: str
    state: str
    error: str
    reply: str
    code: str
    cause: str
    uncertains: int
    sender_id: int
    queued_at: datetime
    next_attempt_at: datetime

    @property
    def held(self) -> bool:
        """Whether the sandbox holds it, so that nothing will come of waiting."""
        return self.state == "queued" and self.code == held.CODE


#: The columns of a :class:`Followed`.
FOLLOWED = (
    Message.public_id,
    Message.subject,
    Delivery.recipient,
    Delivery.state,
    Delivery.last_error,
    Delivery.last_reply,
    Delivery.last_code,
    Delivery.last_cause,
    Delivery.uncertains,
    Delivery.sender_id,
    Message.created_at,
    Delivery.next_attempt_at,
)


def next_try(state: str, code: str, at: datetime, moment: datetime) -> datetime | None:
    """When a mail that failed is tried again; ``None`` where it is not, or no time is known.

    Args:
        at: its next attempt, as it was written down. A time that has passed says nothing: the mail
            waits for its sender.
    """
    waits = state == "queued" and code not in {"", held.CODE}
    return at if waits and at > moment else None


def follow(session: Session, public_id: str, partner_id: str) -> Followed | None:
    """The first delivery of a mail of *partner_id*, or ``None`` if there is no such mail."""
    if not is_public_id(public_id):
        return None
    row = session.execute(
        select(*FOLLOWED)
        .join(Delivery, Delivery.message_pk == Message.id)
        .where(Message.public_id == public_id, Message.partner_id == partner_id)
        .order_by(Delivery.id)
        .limit(1)
    ).first()
    values: Sequence[Any] = () if row is None else row
    return Followed(*values) if values else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would have to move if a sender were deleted.

    Attributes:
        count: deliveries that wait or are on their way, and that no server can have.
        unknown: those whose outcome nobody knows, which are left to a person.
        goes_to: who would take over what waits, in words; empty where nothing waits, or nobody
            that is set up would.
    """

    count: int
    unknown: int
    goes_to: str


def waiting_of(session: Session, sender_id: int) -> Waiting:
    """What the deletion of a sender would do with its mail."""
    at_it = (Delivery.sender_id == sender_id, IS_OPEN)
    unknown = session.scalar(
        select(func.count()).where(
            *at_it, or_(Delivery.state == "uncertain", IS_QUEUED & (Delivery.uncertains > 0))
        )
    )
    kinds = session.execute(
        select(Delivery.partner_id, Message.type_name, Delivery.priority, func.count())
        .join(Message, Message.id == Delivery.message_pk)
        .where(*at_it, Delivery.state.in_(("queued", "sending")), Delivery.uncertains == 0)
        .group_by(Delivery.partner_id, Message.type_name, Delivery.priority)
    ).all()
    names = {
        sender_name(target.partner_id, target.key, target.label)
        for partner_id, type_name, priority, _ in kinds
        for target in [
            choose_sender(
                session, partner_id, type_name, PRIORITY_NAMES[priority], without=sender_id
            ).sender
        ]
        if target.configured
    }
    return Waiting(sum(row[3] for row in kinds), unknown or 0, listed(sorted(names)))
