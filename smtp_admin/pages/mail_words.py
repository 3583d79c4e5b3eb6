"""The states of mail in words, each with a tone and a shape, for lists and pages."""

from dataclasses import dataclass
from datetime import datetime

from smtp_admin.delivery.batch_ends import CODE as BATCH_CANCELLED
from smtp_admin.delivery.checks import NOT_NEEDED
from smtp_admin.delivery.held import CODE as HELD
from smtp_admin.delivery.held_actions import DROPPED
from smtp_admin.delivery.mail_actions import CANCELLED
from smtp_admin.delivery.mail_log import Group, LoggedMail

#: Codes of what was cancelled as it waited; a dead letter that somebody put aside has another.
_CANCELLED = frozenset({CANCELLED, BATCH_CANCELLED, DROPPED, NOT_NEEDED})


@dataclass(frozen=True, slots=True)
class StateWords:
    """How a state is shown.

    Attributes:
        tone: ``good``, ``bad``, ``warn``, ``ready`` or ``off``; each has a shape of its own.
        note: what more there is to know, or ``""``.
    """

    label: str
    tone: str
    note: str = ""


_PLAIN: dict[str, StateWords] = {
    "sending": StateWords("Sending", "ready"),
    "sent": StateWords("Sent", "good"),
    "delivered": StateWords("Delivered", "good"),
    "bounced": StateWords("Bounced", "bad"),
    "complained": StateWords("Marked as spam", "bad"),
    "dead": StateWords("Not delivered", "bad"),
    "uncertain": StateWords("Unknown", "warn", "The server did not confirm it."),
    "suppressed": StateWords("Kept back", "off"),
    "cancelled": StateWords("Cancelled", "off"),
    "expired": StateWords("Too old", "bad"),
}
GROUP_LABELS: dict[Group, str] = {
    "waiting": "Waiting",
    "sent": "Sent",
    "failed": "Not delivered",
    "unknown": "Unknown",
    "ended": "Cancelled or too old",
}


def state_words(one: LoggedMail, moment: datetime) -> StateWords:
    """How the state of *one* is shown at *moment*."""
    if one.state == "queued":
        return _queued(one, moment)
    if one.state == "cancelled" and one.code not in _CANCELLED:
        return StateWords("Discarded", "off")
    return _PLAIN[one.state]


def _queued(one: LoggedMail, moment: datetime) -> StateWords:
    if one.code == HELD:
        return StateWords("Held", "warn", "The sandbox holds it.")
    if one.tries or one.code:
        return StateWords("Trying again", "warn")
    if one.next_attempt_at > moment:
        return StateWords("Scheduled", "ready")
    return StateWords("Waiting", "ready")


def took(one: LoggedMail) -> str:
    """How long it took, or how often it was tried."""
    if one.state in {"sent", "delivered"} and one.finished_at is not None:
        return seconds_words((one.finished_at - one.created_at).total_seconds())
    if one.tries:
        return f"{one.tries} {'try' if one.tries == 1 else 'tries'}"
    return "–"


def seconds_words(seconds: float) -> str:
    """So many seconds in one unit."""
    seconds = max(0.0, seconds)
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"  # noqa: PLR2004 - two days
