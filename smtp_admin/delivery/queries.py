"""What pages and commands ask about mail. Totals come from counters, never from counting mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery import held
from smtp_admin.delivery.hops import sender_name
from smtp_admin.delivery.limits import HOUR, used_this_hour
from smtp_admin.delivery.models import (
    IS_OPEN,
    IS_QUEUED,
    PRIORITY_NAMES,
    Counter,
    Delivery,
    Message,
)
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.senders.routing import choose_sender

_DAY = timedelta(hours=24)


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
    moment = database_now(session)
    asked = _Asked(partner_id, sender_id if of_sender else None)
    states = _open_states(session, asked)
    hours = _hours(session, asked, moment)
    totals = session.execute(
        asked.counted(select(func.coalesce(func.sum(Counter.sent), 0)))
    ).scalar_one()
    sent_24h = sum(hour[0] for hour in hours)
    seconds = sum(hour[2] for hour in hours)
    if sender_id:
        this_hour = used_this_hour(session, sender_id, moment)
    else:
        this_hour = _sent_since(session, asked, moment - HOUR)
    return Summary(
        pending=states.get("queued", 0),
        sending=states.get("sending", 0),
        uncertain=states.get("uncertain", 0),
        dead=states.get("dead", 0),
        sent=int(totals),
        sent_24h=sent_24h,
        failed_24h=sum(hour[1] for hour in hours),
        sent_this_hour=this_hour,
        average_seconds=round(seconds / sent_24h, 3) if sent_24h else None,
        oldest_pending_seconds=_oldest(session, asked, moment),
        hourly=tuple((hour[0], hour[1]) for hour in hours),
    )


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

    @property
    def held(self) -> bool:
        """Whether the sandbox holds it, so that nothing will come of waiting."""
        return self.state == "queued" and self.code == held.CODE


def follow(session: Session, public_id: str, partner_id: str) -> Followed | None:
    """The first delivery of a mail of *partner_id*, or ``None`` if there is no such mail."""
    if not is_public_id(public_id):
        return None
    row = session.execute(
        select(
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
        )
        .join(Delivery, Delivery.message_pk == Message.id)
        .where(Message.public_id == public_id, Message.partner_id == partner_id)
        .order_by(Delivery.id)
        .limit(1)
    ).first()
    values: Sequence[Any] = () if row is None else row
    return Followed(*values) if values else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose mail is meant, and of which sender; ``None`` for all."""

    partner_id: str | None
    sender_id: int | None

    def counted(self, statement: Any) -> Any:
        """*statement* about counters, for what is meant only."""
        return self._only(statement, Counter)

    def delivered(self, statement: Any) -> Any:
        """The same about deliveries."""
        return self._only(statement, Delivery)

    def _only(self, statement: Any, table: type[Counter] | type[Delivery]) -> Any:
        if self.partner_id is not None:
            statement = statement.where(table.partner_id == self.partner_id)
        if self.sender_id is not None:
            statement = statement.where(table.sender_id == self.sender_id)
        return statement


def _open_states(session: Session, asked: _Asked) -> dict[str, int]:
    # Each of these is small: the queue has a limit, and dead letters are looked at.
    statement = select(Delivery.state, func.count()).where(IS_OPEN).group_by(Delivery.state)
    rows = session.execute(asked.delivered(statement)).all()
    return {str(state): int(count) for state, count in rows}


def _hours(session: Session, asked: _Asked, moment: datetime) -> list[tuple[int, int, float]]:
    statement = select(Counter.minute, Counter.sent, Counter.failed, Counter.seconds).where(
        Counter.minute > moment - _DAY
    )
    hours = [(0, 0, 0.0)] * 24
    for minute, sent, failed, seconds in session.execute(asked.counted(statement)):
        position = 23 - min(23, int((moment - minute).total_seconds() // 3600))
        before = hours[position]
        hours[position] = (before[0] + sent, before[1] + failed, before[2] + seconds)
    return hours


def _sent_since(session: Session, asked: _Asked, since: datetime) -> int:
    statement = select(func.coalesce(func.sum(Counter.sent), 0)).where(Counter.minute > since)
    return int(session.scalar(asked.counted(statement)) or 0)


def _oldest(session: Session, asked: _Asked, moment: datetime) -> float | None:
    statement = select(func.min(Delivery.created_at)).where(IS_OPEN, Delivery.state == "queued")
    oldest = session.scalar(asked.delivered(statement))
    return None if oldest is None else round(max(0.0, (moment - oldest).total_seconds()), 1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would have to move if a sender were deleted.

    Attributes:
        count: deliveries that wait or are on their way, and that no server can have.
        unknown: those whose outcome nobody knows, which are left to a person.
        goes_to: who would take over what waits, in words; empty where nothing waits.
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
    }
    return Waiting(sum(row[3] for row in kinds), unknown or 0, " and ".join(sorted(names)))
