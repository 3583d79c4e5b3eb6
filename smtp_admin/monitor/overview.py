"""A sender's state and numbers, as the pages and the API show them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.queries import Summary, summary
from smtp_admin.diagnosis.explanation import Explanation, explain_pause
from smtp_admin.errors import NotFound
from smtp_admin.installation import installation
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import PRIORITIES
from smtp_admin.senders.pauses import BY_HAND
from smtp_admin.senders.resolve import ResolvedSender, load_sender, password_trouble
from smtp_admin.senders.routing import sender_for_mail, senders_of

#: What is paused for longer waits for a person.
_FOR_GOOD = timedelta(days=365)
Health = Literal["unconfigured", "problem", "paused", "ready", "delivering"]


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on top of a tab.

    Attributes:
        through: whose sender carries the mail while there is none of its own; ``None`` if its
            own does.
        explanation: why it is paused, and what to do about it.
        bars: the last 24 hours as heights from 0 to 1, accepted and failed.
    """

    sender: ResolvedSender
    numbers: Summary
    health: Health
    headline: str
    detail: str
    through: ResolvedSender | None
    explanation: Explanation | None = None

    @property
    def bars(self) -> list[tuple[float, float]]:
        """The last 24 hours, scaled to the busiest of them."""
        most = max((sent + failed for sent, failed in self.numbers.hourly), default=0) or 1
        return [(sent / most, failed / most) for sent, failed in self.numbers.hourly]

    @property
    def max_per_hour(self) -> int | None:
        """The hourly limit."""
        return self.sender.values.max_per_hour

    @property
    def again_in_minutes(self) -> int | None:
        """When a paused sender is tried again."""
        until = self.sender.paused_until
        if self.health != "paused" or until is None or until - now() > _FOR_GOOD:
            return None
        return max(0, int((until - now()).total_seconds() // 60))

    @property
    def drains_in_minutes(self) -> int | None:
        """When the queue will be empty at the rate of the limit; ``None`` if nobody can say."""
        limit = self.max_per_hour
        if not limit or not self.numbers.pending or self.health == "paused":
            return None
        left = max(0, limit - self.numbers.sent_this_hour)
        over = max(0, self.numbers.pending - left)
        return ceil(over / limit * 60)


def card(session: Session, sender: ResolvedSender) -> Card:
    """The card of *sender*: of one among several its own numbers, else its partner's."""
    own = sender.sender_id if sender.configured else 0
    several = len(senders_of(session, sender.partner_id)) > 1 or bool(sender.key)
    numbers = summary(session, sender.partner_id, sender.sender_id if several else own,
                      of_sender=several)  # fmt: skip
    through = None
    if not sender.configured and sender.partner_id != SYSTEM and not sender.key:
        system = sender_for_mail(session, sender.partner_id)
        through = system if system.configured else None
    health, headline, detail = _state(sender, numbers, through)
    by_hand = sender.pause_code == BY_HAND  # who did it is no riddle
    why = explain_pause(session, sender) if health == "paused" and not by_hand else None
    return Card(sender, numbers, health, headline, detail, through, why)


def status_json(
    session: Session, partner_id: str | None, sender_key: str | None = None
) -> dict[str, Any]:
    """The answer of ``GET /api/email/status``; ``None`` for all mail together.

    Args:
        sender_key: one sender of that partner only.

    Raises:
        NotFound: there is no such sender.
    """
    owner = partner_id or SYSTEM
    if sender_key is not None:
        sender = load_sender(session, owner, sender_key)
        if sender.deleted or (not sender.sender_id and not sender.configured):
            raise NotFound(f"There is no sender {sender_key[:40]!r}.")
        return {"ok": True, **_of_sender(session, sender)}
    sender = sender_for_mail(session, owner)
    own = sender.sender_id if sender.partner_id == owner else 0
    numbers = summary(session, partner_id, own if partner_id is not None else 0)
    senders = [one for one in senders_of(session, owner) if one.sender_id]
    return {
        "ok": True,
        **_numbers(numbers, sender),
        "senders": [_of_sender(session, one) for one in senders],
    }


def _of_sender(session: Session, sender: ResolvedSender) -> dict[str, Any]:
    numbers = summary(session, sender.partner_id, sender.sender_id, of_sender=True)
    return {"sender": sender.key, "label": sender.label, **_numbers(numbers, sender)}


def _numbers(numbers: Summary, sender: ResolvedSender) -> dict[str, Any]:
    return {
        "pending": numbers.pending,
        "sending": numbers.sending,
        "sent": numbers.sent,
        "failed": numbers.dead,
        "dead": numbers.dead,
        "uncertain": numbers.uncertain,
        "sent_this_hour": numbers.sent_this_hour,
        "max_per_hour": sender.values.max_per_hour,
        "sent_24h": numbers.sent_24h,
        "failed_24h": numbers.failed_24h,
        "average_seconds": numbers.average_seconds,
        "queue_limit": installation().config.queue_limit,
        "paused": is_paused(sender),
        "oldest_pending_seconds": numbers.oldest_pending_seconds,
    }


def blocked_kinds() -> tuple[str, ...]:
    """What people miss while no sender is configured: the kinds of mail, the urgent ones first.

    Test mails are left out: they can be sent with settings that are not saved.
    """
    kinds = sorted(registry(), key=lambda one: PRIORITIES[one.priority])
    return tuple(one.label for one in kinds if one.name != "test")


def is_paused(sender: ResolvedSender) -> bool:
    """Whether nothing is sent for now."""
    return sender.paused_until is not None and sender.paused_until > now()


def ago(moment: datetime) -> str:
    """How long ago *moment* was, in words."""
    seconds = max(0, int((now() - moment).total_seconds()))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = seconds // size
        if count:
            return f"{count} {word}{'' if count == 1 else 's'} ago"
    return "just now"


def _state(
    sender: ResolvedSender, numbers: Summary, through: ResolvedSender | None
) -> tuple[Health, str, str]:
    if sender.problems:
        return "problem", "Not usable", " ".join(sender.problems)
    if not sender.configured:
        if through is not None:
            return (
                "ready",
                "Using the system's sender",
                f"Mail goes out from {through.values.from_email} until this tab is filled in.",
            )
        mails = "1 mail is" if numbers.pending == 1 else f"{numbers.pending:,} mails are"
        waiting = f" {mails} waiting." if numbers.pending else ""
        return "unconfigured", "No sender yet", f"Mail is queued and not sent.{waiting}"
    if is_paused(sender):
        return "paused", "Paused", sender.pause_text
    trouble, hint = password_trouble(sender)
    if trouble:
        return "problem", "Not usable", f"{trouble} {hint}".strip()
    if sender.values.kind.keeps_mail:
        return "ready", "Keeping mail", "Mail is kept in the worker's memory, and not sent."
    if sender.last_accepted_at is not None:
        when = ago(sender.last_accepted_at)
        return "delivering", "Delivering", f"Last accepted {when} by {sender.values.place()}."
    return "ready", "Ready", "Nothing has been sent yet."
