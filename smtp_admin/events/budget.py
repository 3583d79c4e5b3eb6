"""How much the webhooks of one owner take in a time, so that a noisy one leaves room for others.

Genuine requests and those that are not are counted apart: whoever knows an address but not its
secret cannot use up what its provider may send. What is too much is answered with 429, and
providers send it again.
"""

from typing import Literal

from smtp_admin.config import Rate
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.request_counts import kept_counts
from smtp_admin.errors import RateLimited
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

COUNTS = kept_counts("events")
#: Requests of one webhook that come to nothing; of more nobody writes anything down. Those that are
#: not genuine, and those that cannot be read, have as many each.
NOTED = Rate(60, 60)
_TOO_MANY = gettext("This webhook gets too many events at once. Send it again later.")
#: ``SMTP_ADMIN_EVENT_LIMIT``, or ``SMTP_ADMIN_EVENT_DAY_LIMIT``.
Limit = Literal["rate", "day"]


class OverLimit(RateLimited):
    """There was all that is taken.

    Attributes:
        limit: which one is reached.
        seconds: in how many there is room again.
    """

    def __init__(self, limit: Limit, seconds: int) -> None:
        super().__init__(_TOO_MANY, retry_after=seconds)
        self.limit: Limit = limit
        self.seconds = seconds


def begin(webhook_id: int, owner: str) -> None:
    """Return if a genuine request may be taken in; it counts for one event.

    The last that may is taken as a whole, however many events it brings: a batch that is larger
    than the limit would else never come in.

    Raises:
        OverLimit: there was all that is taken; it knows when there is room again.
    """
    counts = COUNTS.of(installation())
    for limit, who, rate in _limits(webhook_id, owner):
        standing = counts.take(who, rate)
        if standing.over:
            raise OverLimit(limit, standing.resets_in)


def count_more(webhook_id: int, owner: str, events: int) -> None:
    """Count the further *events* of a request that is taken in."""
    if events > 0:
        counts = COUNTS.of(installation())
        for _, who, rate in _limits(webhook_id, owner):
            counts.take(who, rate, events)


def count_forged(webhook_id: int) -> None:
    """Count a request that is not genuine.

    Raises:
        RateLimited: there were so many that this one is not even noted.
    """
    standing = COUNTS.of(installation()).take(f"{webhook_id} forged", NOTED)
    if standing.over:
        raise RateLimited(_TOO_MANY, retry_after=standing.resets_in)


def unreadable_is_noted(webhook_id: int) -> bool:
    """Count a genuine request that cannot be read; whether it is one of those that are noted."""
    return not COUNTS.of(installation()).take(f"{webhook_id} unreadable", NOTED).over


def _limits(webhook_id: int, owner: str) -> tuple[tuple[Limit, str, Rate], ...]:
    """Who counts, and how much that may be.

    A partner may have as many senders as it likes, so all its webhooks share what one may. In a day
    it may fill so much of the table and no more. The system's own have no limit of a day.
    """
    config = installation().config
    if owner == SYSTEM:
        return (("rate", f"{webhook_id}", config.event_limit),)
    day = Rate(config.event_day_limit, 24 * 3600)
    return (("rate", f"of {owner}", config.event_limit), ("day", f"day of {owner}", day))
