"""The states of mail in words, each with a tone and a shape, for lists and pages."""

from dataclasses import dataclass
from datetime import datetime

from smtp_admin.delivery.batch_ends import CODE as BATCH_CANCELLED
from smtp_admin.delivery.checks import NOT_NEEDED
from smtp_admin.delivery.held import CODE as HELD
from smtp_admin.delivery.held_actions import DROPPED
from smtp_admin.delivery.logged_mail import LoggedMail
from smtp_admin.delivery.mail_actions import CANCELLED
from smtp_admin.delivery.mail_log import Group
from smtp_admin.delivery.states import State
from smtp_admin.translation import gettext, ngettext, number

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
    "sending": StateWords(gettext("Sending"), "ready"),
    "sent": StateWords(gettext("Sent"), "good"),
    "delivered": StateWords(gettext("Delivered"), "good"),
    "bounced": StateWords(gettext("Bounced"), "bad"),
    "complained": StateWords(gettext("Marked as spam"), "bad"),
    "dead": StateWords(gettext("Not delivered"), "bad"),
    "uncertain": StateWords(gettext("Unknown"), "warn", gettext("The server did not confirm it.")),
    "suppressed": StateWords(gettext("Kept back"), "off"),
    "cancelled": StateWords(gettext("Cancelled"), "off"),
    "expired": StateWords(gettext("Too old"), "bad"),
}
#: What was not delivered, apart: never accepted, or accepted and then reported by its provider.
FAILED_LABELS: dict[State, str] = {
    "dead": gettext("Dead letters"),
    "bounced": gettext("Bounced"),
    "complained": gettext("Marked as spam"),
}
GROUP_LABELS: dict[Group, str] = {
    "waiting": gettext("Waiting"),
    "sent": gettext("Sent"),
    "failed": gettext("Not delivered"),
    "unknown": gettext("Unknown"),
    "ended": gettext("Not sent: cancelled, too old or kept back"),
}


def state_words(one: LoggedMail, moment: datetime, *, paused: bool = False) -> StateWords:
    """How the state of *one* is shown at *moment*; its sender is *paused*, if that may be told."""
    if one.state == "queued":
        return _queued(one, moment, paused=paused)
    if one.state == "cancelled" and one.code not in _CANCELLED:
        return StateWords(gettext("Discarded"), "off")
    return _PLAIN[one.state]


def _queued(one: LoggedMail, moment: datetime, *, paused: bool) -> StateWords:
    if one.code == HELD:
        return StateWords(gettext("Held"), "warn", gettext("The sandbox holds it."))
    if paused:
        return StateWords(gettext("Sender paused"), "warn")
    if one.tries or one.code:
        return StateWords(gettext("Trying again"), "warn")
    if one.next_attempt_at > moment:
        return StateWords(gettext("Scheduled"), "ready")
    return StateWords(gettext("Waiting"), "ready")


def next_try(one: LoggedMail, moment: datetime) -> datetime | None:
    """When it is tried again; what is due and waits for something else has no time."""
    again = one.state == "queued" and one.code != HELD and (one.tries or one.code)
    return one.next_attempt_at if again and one.next_attempt_at > moment else None


def took(one: LoggedMail) -> str:
    """How long it took, or how often it was tried."""
    if one.state in {"sent", "delivered"} and one.finished_at is not None:
        return seconds_words((one.finished_at - one.created_at).total_seconds())
    if one.tries:
        return ngettext("%(number)s try", "%(number)s tries", one.tries)
    return "–"


def seconds_words(seconds: float) -> str:
    """So many seconds in one unit."""
    seconds = max(0.0, seconds)
    if seconds < 60:  # noqa: PLR2004 - a minute
        return gettext("%(seconds)s s", seconds=number(seconds, 1))
    minutes = seconds / 60
    if minutes < 60:  # noqa: PLR2004 - an hour
        return gettext("%(minutes)s min", minutes=number(minutes))
    hours = minutes / 60
    if hours < 48:  # noqa: PLR2004 - two days
        return gettext("%(hours)s h", hours=number(hours))
    return gettext("%(days)s d", days=number(hours / 24))
