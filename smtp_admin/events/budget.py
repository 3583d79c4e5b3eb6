"""How much the webhooks of one owner take in a time, so that a noisy one leaves room for others.

Genuine requests and those that are not are counted apart: whoever knows an address but not its
secret cannot use up what its provider may send. What is too much is answered with 429, and
providers send it again.
"""

from smtp_admin.config import Rate
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.request_counts import Standing, kept_counts
from smtp_admin.errors import RateLimited
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

COUNTS = kept_counts("events")
#: Requests of one webhook that come to nothing; of more nobody writes anything down. Those that are
#: not genuine, and those that cannot be read, have as many each.
NOTED = Rate(60, 60)


def begin(webhook_id: int, owner: str) -> None:
    """Return if a genuine request may be taken in; it counts for one event.

    The last that may is taken as a whole, however many events it brings: a batch that is larger
    than the limit would else never come in.

    Raises:
        RateLimited: there was all that is taken; it knows when there is room again.
    """
    counts = COUNTS.of(installation())
    for who, rate in _limits(webhook_id, owner):
        _refuse_if_over(counts.take(who, rate))


def count_more(webhook_id: int, owner: str, events: int) -> None:
    """Count the further *events* of a request that is taken in."""
    if events > 0:
        counts = COUNTS.of(installation())
        for who, rate in _limits(webhook_id, owner):
            counts.take(who, rate, events)


def count_forged(webhook_id: int) -> None:
    """Count a request that is not genuine.

    Raises:
        RateLimited: there were so many that this one is not even noted.
    """
    _refuse_if_over(COUNTS.of(installation()).take(f"{webhook_id} forged", NOTED))


def unreadable_is_noted(webhook_id: int) -> bool:
    """Count a genuine request that cannot be read; whether it is one of those that are noted."""
    return not COUNTS.of(installation()).take(f"{webhook_id} unreadable", NOTED).over


def _limits(webhook_id: int, owner: str) -> tuple[tuple[str, Rate], ...]:
    """Who counts, and how much that may be.

    A partner may have as many senders as it likes, so all its webhooks share what one may. In a day
    it may fill so much of the table and no more. The system's own have no limit of a day.
    """
    config = installation().config
    if owner == SYSTEM:
        return ((f"{webhook_id}", config.event_limit),)
    day = Rate(config.event_day_limit, 24 * 3600)
    return ((f"of {owner}", config.event_limit), (f"day of {owner}", day))


def _refuse_if_over(standing: Standing) -> None:
    if standing.over:
        raise RateLimited(
            gettext("This webhook gets too many events at once. Send it again later."),
            retry_after=standing.resets_in,
        )
