"""What is known of a sender that may explain what somebody notices: its queue, failures, limits.

Nobody outside is asked for it: what DNS says is what was lately looked up, or nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, database_now
from smtp_admin.deliverability.check import Deliverability
from smtp_admin.deliverability.service import dns_remembered
from smtp_admin.delivery.limits import used_this_hour, used_today
from smtp_admin.delivery.refusals import Refusal, refusals
from smtp_admin.diagnosis.causes import SIGNS
from smtp_admin.installation import installation
from smtp_admin.monitor.overview import Card, card
from smtp_admin.providers.catalogue import provider_of_sender
from smtp_admin.providers.provider import Provider
from smtp_admin.sender_state.facts import systems_sender
from smtp_admin.sender_state.state import PAUSED
from smtp_admin.senders.resolve import ResolvedSender

#: Mail that waits for longer than this, while none goes out, is stuck.
_LONG = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one sender.

    Attributes:
        refusals: how attempts failed in the last 24 hours, the newest kind first.
        provider: whose server it sends through, with the limits that are documented.
        dns: what was found when DNS was last asked; ``None`` if it was not.
        signs: what of this makes some causes likely, by the names of ``causes.toml``.
    """

    card: Card
    refusals: tuple[Refusal, ...]
    used_this_hour: int
    used_today: int
    provider: Provider | None
    dns: Deliverability | None
    signs: frozenset[str]

    @property
    def oldest_since(self) -> datetime | None:
        """Since when the oldest waiting mail waits."""
        seconds = self.card.numbers.oldest_pending_seconds
        return None if seconds is None else now() - timedelta(seconds=seconds)

    def as_json(self) -> dict[str, Any]:
        """The numbers and the state; failures stand with their symptoms."""
        numbers, values = self.card.numbers, self.card.sender.values
        return {
            **self.card.state.as_json(),
            "queue": {
                "pending": numbers.pending,
                "oldest_pending_seconds": numbers.oldest_pending_seconds,
                "uncertain": numbers.uncertain,
                "dead": numbers.dead,
            },
            "limits": {
                "used_this_hour": self.used_this_hour,
                "max_per_hour": values.max_per_hour,
                "used_24h": self.used_today,
                "max_per_day": values.max_per_day,
                "max_connections": values.max_connections or None,
                "provider": [
                    {"who": one.who, "limit": one.words, "source": one.source}
                    for one in (self.provider.limits if self.provider else ())
                ],
            },
            "dns": self.dns and {
                "checked_at": self.dns.checked_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "checks": {one.subject: one.status for one in self.dns.checks},
            },
        }  # fmt: skip


def gather(session: Session, sender: ResolvedSender) -> Evidence:
    """What is known of *sender*, or of its partner's mail where another one carries it."""
    shown = card(session, sender)
    carrier = sender if not shown.by_system else systems_sender(session)
    sender_id = carrier.sender_id if carrier.configured else 0
    # Through the system's sender go other partners' mails too, which are nobody's business here.
    whose = None if carrier is sender or sender.partner_id == SYSTEM else sender.partner_id
    failures = refusals(session, sender_id, whose) if sender_id else ()
    own = sender.sender_id if sender.configured else 0
    moment = database_now(session)
    hour = used_this_hour(session, own, moment) if own else 0
    day = used_today(session, own, moment) if own else 0
    known = provider_of_sender(sender.values.kind, sender.values.host) if own else None
    dns = dns_remembered(sender) if sender.configured else None
    found = Evidence(shown, failures, hour, day, known, dns, frozenset())
    return replace(found, signs=frozenset(_signs(found)))


def _signs(found: Evidence) -> Iterator[str]:
    shown, values = found.card, found.card.sender.values
    if shown.state.key == "unconfigured" and shown.numbers.pending:
        yield "unset"
    if shown.state.key in PAUSED:
        yield "paused"
    limited = _reached(found.used_this_hour, values.max_per_hour) or _reached(
        found.used_today, values.max_per_day
    )
    if limited:
        yield "limit"
    if found.provider and any(
        _reached(found.used_this_hour, one.per_hour) or _reached(found.used_today, one.per_day)
        for one in found.provider.limits
    ):
        yield "provider_limit"
    oldest = shown.numbers.oldest_pending_seconds or 0
    waits = oldest > _LONG.total_seconds() and not installation().config.sandbox
    moves = limited or shown.numbers.sent_this_hour or found.refusals
    if waits and not moves and shown.state.key not in PAUSED | {"unconfigured", "problem"}:
        yield "stuck"
    if shown.numbers.uncertain:
        yield "unknown"
    for check in found.dns.checks if found.dns else ():
        if check.subject in SIGNS and check.status in {"missing", "warning"}:
            yield check.subject


def _reached(used: int, limit: int | None) -> bool:
    return limit is not None and used >= limit
