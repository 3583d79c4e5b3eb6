"""What pages and alerts ask about webhooks and events."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery.models import Counter, Delivery, Message
from smtp_admin.events.models import HAS_TURNED, MailEvent, Webhook
from smtp_admin.sender_state.words import span_words
from smtp_admin.translation import gettext

#: So many events of a mail are shown.
MOST_SHOWN = 50
_LATEST = 10
_DAY = timedelta(hours=24)
#: What was accepted within this time may have no event yet.
_GRACE = timedelta(hours=1)
#: Whoever reached a limit sends again some time after there is room.
_STILL_OVER = timedelta(minutes=2)
#: Of so few mails, none may have been reported by chance.
LEAST_MAILS = 10
_MINUTES_WITH_SECONDS = 10
#: Origin of an event → who told it; every other one is a provider's webhook.
_BY: dict[str, Literal["link", "bounce"]] = {"link": "link", "bounces": "bounce"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An event, and the mail that it is about, where that is known."""

    event: MailEvent
    public_id: str = ""
    delivery_id: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """How the end of a mail is known.

    Attributes:
        by: a person who used the link in it, a provider's event, or a bounce in a mailbox.
        after: how long after it was written that was.
    """

    by: Literal["link", "provider", "bounce"]
    after: timedelta

    @property
    def words(self) -> str:
        """How long, for people: to the second, as long as seconds matter."""
        minutes, seconds = divmod(int(self.after.total_seconds()), 60)
        if 0 < minutes < _MINUTES_WITH_SECONDS:
            return gettext("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=seconds)
        return span_words(self.after)


def told(session: Session, public_id: str, state: str) -> Told | None:
    """Who told first that a mail came to *state*, and when; ``None`` while nobody did."""
    when = func.coalesce(MailEvent.at, MailEvent.received_at)
    row = session.execute(
        select(Message.created_at, when, MailEvent.origin)
        .join(Delivery, Delivery.message_pk == Message.id)
        .join(MailEvent, MailEvent.delivery_id == Delivery.id)
        .where(Message.public_id == public_id, MailEvent.kind == state)
        .order_by(when, MailEvent.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    # Another clock than ours may be a little behind.
    after = max(timedelta(), row[1] - row[0])
    return Told(_BY.get(row[2], "provider"), after)


def events_of(session: Session, delivery_id: int) -> Sequence[MailEvent]:
    """What was told of a delivery, oldest first; of very many the newest."""
    found = session.scalars(
        select(MailEvent)
        .where(MailEvent.delivery_id == delivery_id)
        .order_by(MailEvent.id.desc())
        .limit(MOST_SHOWN)
    ).all()
    return sorted(found, key=lambda one: (one.at or one.received_at, one.id))


def told_of(session: Session, delivery_ids: Sequence[int]) -> dict[int, list[MailEvent]]:
    """What was told of each of these deliveries, oldest first; the newest of very many."""
    rows = session.scalars(
        select(MailEvent)
        .where(MailEvent.delivery_id.in_(delivery_ids))
        .order_by(MailEvent.id.desc())
        .limit(MOST_SHOWN * max(1, len(delivery_ids)))
    ).all()
    found: dict[int, list[MailEvent]] = {}
    for one in reversed(rows):
        found.setdefault(one.delivery_id or 0, []).append(one)
    return found


def told_of_mail(session: Session, public_id: str) -> dict[str, list[MailEvent]]:
    """The same for each recipient of a mail."""
    rows = session.execute(
        select(Delivery.id, Delivery.recipient)
        .join(Message, Message.id == Delivery.message_pk)
        .where(Message.public_id == public_id)
    )
    recipients = {row[0]: row[1] for row in rows}
    told = told_of(session, list(recipients))
    return {recipients[delivery_id]: some for delivery_id, some in told.items()}


def latest(session: Session, webhook: Webhook) -> list[Shown]:
    """The newest events of a webhook."""
    rows = session.execute(
        select(MailEvent, Message.public_id, Delivery.id)
        .outerjoin(Delivery, Delivery.id == MailEvent.delivery_id)
        .outerjoin(Message, Message.id == Delivery.message_pk)
        .where(*_came_by(webhook))
        .order_by(MailEvent.id.desc())
        .limit(_LATEST)
    )
    return [Shown(event, public_id or "", delivery or 0) for event, public_id, delivery in rows]


def _came_by(webhook: Webhook) -> tuple[ColumnElement[bool], ...]:
    """Only by this one: the sender may have had another before."""
    return (
        MailEvent.origin == f"sender {webhook.sender_id}",
        MailEvent.received_at >= webhook.created_at,
    )


def counts(session: Session, webhook: Webhook) -> dict[str, int]:
    """How many events of each kind came in the last 24 hours."""
    since = database_now(session) - _DAY
    rows = session.execute(
        select(MailEvent.kind, func.count())
        .where(*_came_by(webhook), MailEvent.received_at > since)
        .group_by(MailEvent.kind)
    )
    return {kind: int(count) for kind, count in rows}


@dataclass(frozen=True, slots=True)
class Silence:
    """That a webhook says nothing although mail goes out.

    Attributes:
        sent: mails that were accepted in the time that was looked at.
        since: since when nothing has come; ``None`` for ever.
    """

    sent: int
    since: datetime | None


def silences(session: Session, webhooks: Collection[Webhook] | None = None) -> dict[int, Silence]:
    """Id of a sender → the silence of its webhook, of those that are silent; two queries."""
    moment = database_now(session)
    if webhooks is None:
        webhooks = session.scalars(select(Webhook).where(_quiet(moment))).all()
    quiet = {
        one.sender_id: one
        for one in webhooks
        if (one.last_event_at or one.created_at) < moment - _DAY
        or (one.last_event_at is None and one.created_at < moment - _GRACE)
    }
    if not quiet:
        return {}
    rows = session.execute(
        select(Counter.sender_id, Counter.minute, Counter.sent).where(
            Counter.sender_id.in_(sorted(quiet)),
            Counter.minute > moment - _DAY,
            Counter.minute < moment - _GRACE,
            Counter.sent > 0,
        )
    ).all()
    sent: dict[int, int] = {}
    for sender_id, minute, count in rows:
        # Of what was sent before there was a webhook, nothing can come.
        if minute >= quiet[sender_id].created_at:
            sent[sender_id] = sent.get(sender_id, 0) + int(count)
    return {
        sender_id: Silence(count, quiet[sender_id].last_event_at)
        for sender_id, count in sent.items()
        if count >= LEAST_MAILS
    }


def over_limits(session: Session) -> dict[int, Webhook]:
    """Id of a sender → its webhook, of those that get more events than are taken."""
    over = Webhook.limited_until > database_now(session) - _STILL_OVER
    return {one.sender_id: one for one in session.scalars(select(Webhook).where(over))}


def _quiet(moment: datetime) -> ColumnElement[bool]:
    return func.coalesce(Webhook.last_event_at, Webhook.created_at) < moment - _GRACE


def turned(kind: Literal["bounced", "complained"], since: datetime) -> ColumnElement[bool]:
    """Which deliveries became that since then, as the counters have it: by their first such event.

    A bounce after a complaint changes nothing, and neither does one that comes with it.
    """
    # Found by its events since then, of which there are few; then it must be the first of them.
    told_since = select(MailEvent.delivery_id).where(
        HAS_TURNED, MailEvent.kind == literal_column(f"'{kind}'"), MailEvent.applied_at >= since
    )
    began = and_(Delivery.id.in_(told_since), _applied_first(kind) >= since)
    if kind == "complained":
        return and_(Delivery.state == literal_column("'complained'"), began)
    complained = _applied_first("complained")
    ended = Delivery.state.in_([literal_column("'bounced'"), literal_column("'complained'")])
    return and_(ended, began, or_(complained.is_(None), complained > _applied_first(kind)))


def _applied_first(kind: str) -> Any:
    return (
        select(func.min(MailEvent.applied_at))
        .where(MailEvent.delivery_id == Delivery.id, MailEvent.kind == kind)
        .scalar_subquery()
    )
