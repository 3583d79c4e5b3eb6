"""The kinds of alerts: one table. What a sender's alert is follows from its state.

Nothing here has an opinion of its own about a sender: :mod:`smtp_admin.sender_state` decides how
it is, and this table which of its states somebody must be told of, and after how long.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Literal

from smtp_admin.sender_state.state import Key
from smtp_admin.translation import gettext

Name = Literal[
    "sender_stopped",
    "queue_stuck",
    "limit_near",
    "dead_letters",
    "no_worker",
    "expiring",
    "events_silent",
    "bounces_unread",
    "events_over_limit",
]
Severity = Literal["critical", "warning"]
#: How grave an alert is, for people.
SEVERITIES = {"critical": gettext("Critical"), "warning": gettext("Warning")}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of incident.

    Attributes:
        label: what people call it.
        means: when it opens, as a sentence.
        daily: whether mail goes out each day again, until somebody acknowledges it.
    """

    name: Name
    label: str
    means: str
    daily: bool = False


KINDS: tuple[Kind, ...] = (
    Kind(
        "sender_stopped",
        gettext("Sender problem"),
        gettext("A sender is not usable, stopped, paused or failing."),
    ),
    Kind(
        "queue_stuck",
        gettext("Queue not draining"),
        gettext(
            "Mail has been due for more than a minute, or waits for a sender that is not set up."
        ),
    ),
    Kind(
        "limit_near",
        gettext("Limit reached"),
        gettext("A sender has used its limit, except the tenth that is kept for urgent mail."),
    ),
    Kind(
        "dead_letters",
        gettext("Dead letters"),
        gettext(
            "A partner has more dead letters in 24 hours than SMTP_ADMIN_ALERT_DEAD_LETTERS allows."
        ),
    ),
    Kind("no_worker", gettext("No worker"), gettext("No worker runs.")),
    Kind(
        "expiring",
        gettext("About to expire"),
        gettext("A secret, sign-in, certificate or token ends within 28 days, or has ended."),
        daily=True,
    ),
    Kind(
        "events_silent",
        gettext("Webhook silent"),
        gettext("A sender with a webhook sends mail, but its provider reports no events."),
    ),
    Kind(
        "bounces_unread",
        gettext("Bounces not read"),
        gettext("The mailbox for bounces of a sender could not be read, several times in a row."),
    ),
    Kind(
        "events_over_limit",
        gettext("Too many events"),
        gettext("Webhooks get more events than they may, and the rest is refused for now."),
    ),
)
BY_NAME: dict[str, Kind] = {one.name: one for one in KINDS}

#: When it is not there for so long, an incident has ended: what comes and goes is one.
ENDS_AFTER = timedelta(minutes=5)
_AT_ONCE, _SOON, _LATER = timedelta(), timedelta(minutes=2), timedelta(minutes=10)

#: State of a sender → the kind of alert, and how long it must last; ``None`` where there is none.
OF_STATE: dict[Key, tuple[Name, timedelta] | None] = {
    "problem": ("sender_stopped", _AT_ONCE),
    "unconfigured": ("queue_stuck", _LATER),  # only while mail waits there
    "system": None,
    "system_waits": None,  # it is the system's incident
    "paused_by_hand": None,
    "stopped": ("sender_stopped", _AT_ONCE),
    "rate_limited": None,  # it goes on by itself, and nothing is wrong
    "paused": ("sender_stopped", _SOON),
    "keeping": None,
    "no_worker": None,  # one incident of the system, not one of each sender
    "limit": ("limit_near", _AT_ONCE),
    "late": ("queue_stuck", _SOON),
    "retrying": None,
    "failing": ("sender_stopped", _SOON),
    "held": None,
    "test_failed": None,  # whoever tested it was told
    "delivering": None,
    "ready": None,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """That something is wrong now.

    Attributes:
        whose: of whom, in words.
        subject: what exactly, where one sender may have several of a kind.
        lasts: how long it must last before somebody is told.
    """

    kind: Name
    partner_id: str
    whose: str
    severity: Severity
    headline: str
    detail: str = ""
    sender_id: int = 0
    sender_key: str = ""
    subject: str = ""
    lasts: timedelta = _AT_ONCE

    @property
    def incident(self) -> str:
        """The same for the same incident."""
        parts = (self.kind, self.partner_id, str(self.sender_id), self.subject)
        return sha256("\0".join(parts).encode()).hexdigest()[:32]
