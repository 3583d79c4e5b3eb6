"""A sender's state and numbers, as its own pages and the API show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.limits import kept_for_urgent
from smtp_admin.delivery.queries import Summary, summaries, summary
from smtp_admin.delivery.tallies import Scope
from smtp_admin.diagnosis.explanation import Explanation, explain_pause
from smtp_admin.errors import NotFound
from smtp_admin.installation import installation
from smtp_admin.mail import security_types
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import PRIORITIES
from smtp_admin.sender_state import words
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import PAUSED, State
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.routing import sender_for_mail, senders_of
from smtp_admin.translation import gettext

#: Who paused a sender by hand is no riddle; why it paused itself may be one.
_ITS_OWN = PAUSED - {"paused_by_hand"}
#: Kinds of mail that the plugin itself sends; nobody misses them while no sender is configured.
OUR_OWN = frozenset({"test", "alert", "weekly_summary"})
#: Of the shipped types, those that everybody knows.
_MISSED = frozenset({"password_reset", "renewal"})


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on top of a tab.

    Attributes:
        scope: whose mail the numbers count.
        explanation: why it is paused, and what to do about it.
        bars: the last 24 hours as heights from 0 to 1, accepted and failed.
    """

    sender: ResolvedSender
    numbers: Summary
    state: State
    scope: Scope
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
    def for_all(self) -> int:
        """How much of the hourly limit is not kept for urgent mail."""
        most = self.max_per_hour
        return most - kept_for_urgent(most) if most else 0

    @property
    def by_system(self) -> bool:
        """Whether the system's sender carries the mail, because there is none of its own."""
        own = self.sender.configured or self.sender.partner_id == SYSTEM
        return not own and self.state.key != "unconfigured"

    @property
    def drains_in_minutes(self) -> int | None:
        """When what is due will be gone at the rate of the limit; ``None`` if nobody can say."""
        return drains_in_minutes(self.state, self.max_per_hour, self.numbers.sent_this_hour)


def drains_in_minutes(state: State, limit: int | None, used: int) -> int | None:
    """The same for a sender of this state that has sent *used* in this hour.

    What is kept for urgent mail takes no part: few of what waits in numbers are.
    """
    if not limit or not state.due or state.key not in {"delivering", "limit"}:
        return None
    usable = limit - kept_for_urgent(limit)
    return ceil(max(0, state.due - max(0, usable - used)) / usable * 60)


def card(session: Session, sender: ResolvedSender) -> Card:
    """The card of *sender*: of one among several its own numbers, else its partner's."""
    (state,) = states_of(session, [sender])
    alone = len(senders_of(session, sender.partner_id)) <= 1
    scope = scope_of(sender, alone=alone)
    own = scope.sender_id or (sender.sender_id if sender.configured else 0)
    (numbers,) = summaries(session, [(scope, own)])
    if state.key == "ready" and numbers.sent_24h and sender.last_accepted_at is None:
        # It may have sent its first mail after it was read, and must not be told to have sent none.
        session.refresh(session.get_one(Sender, sender.sender_id))
        sender = load_sender(session, sender.partner_id, sender.key)
        (state,) = states_of(session, [sender])
    why = explain_pause(session, sender) if state.key in _ITS_OWN else None
    return Card(sender, numbers, state, scope, why)


def scope_of(sender: ResolvedSender, *, alone: bool) -> Scope:
    """Which mail the numbers beside *sender* count.

    Args:
        alone: whether its owner has no other, so that all of the owner's mail is meant.
    """
    if sender.partner_id == SYSTEM and sender.sender_id:
        # Whoever's mail it is: it says of this sender when mail was last accepted, too.
        return Scope(None, sender.sender_id)
    if alone and sender.key == DEFAULT_KEY:
        return Scope(sender.partner_id)
    return Scope(sender.partner_id, sender.sender_id)


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
            raise NotFound(
                gettext("There is no sender %(sender_key)s.", sender_key=repr(sender_key[:40]))
            )
        return {"ok": True, **_of_senders(session, [sender])[0]}
    sender = sender_for_mail(session, owner)
    own = sender.sender_id if sender.partner_id == owner else 0
    numbers = summary(session, partner_id, own if partner_id is not None else 0)
    senders = [one for one in senders_of(session, owner) if one.sender_id]
    # A partner's state is that of its own default sender, which may be to use the system's.
    asked = sender if sender.partner_id == owner else load_sender(session, owner)
    return {
        "ok": True,
        **_numbers(numbers, sender, states_of(session, [asked])[0]),
        "senders": _of_senders(session, senders),
    }


def _of_senders(session: Session, senders: Sequence[ResolvedSender]) -> list[dict[str, Any]]:
    scopes = [
        Scope(None if one.partner_id == SYSTEM else one.partner_id, one.sender_id)
        for one in senders
    ]
    asked = [(scope, one.sender_id) for scope, one in zip(scopes, senders, strict=True)]
    found = zip(senders, states_of(session, senders), summaries(session, asked), strict=True)
    return [
        {"sender": sender.key, "label": sender.label} | _numbers(numbers, sender, state)
        for sender, state, numbers in found
    ]


def _numbers(numbers: Summary, sender: ResolvedSender, state: State) -> dict[str, Any]:
    return {
        **state.as_json(),
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
        "bounced_24h": numbers.bounced_24h,
        "complained_24h": numbers.complained_24h,
        "average_seconds": numbers.average_seconds,
        "queue_limit": installation().config.queue_limit,
        "paused": is_paused(sender),
        "oldest_pending_seconds": numbers.oldest_pending_seconds,
    }


def blocked_kinds() -> tuple[str, ...]:
    """What people miss while no sender is configured: the kinds of mail, the urgent ones first.

    Test mails are left out: they can be sent with settings that are not saved. So is what the
    plugin itself tells: of that no app's feature depends.
    """
    kinds = sorted(registry(), key=lambda one: PRIORITIES[one.priority])
    missed = _MISSED.union(security_types.names())
    return tuple(one.label for one in kinds if one.name in missed or not one.shipped)


def is_paused(sender: ResolvedSender) -> bool:
    """Whether nothing is sent for now."""
    return sender.paused_until is not None and sender.paused_until > now()


def ago(moment: datetime) -> str:
    """How long ago *moment* was, in words."""
    return words.ago(moment, now())
