"""How much one webhook takes in a time, so that a noisy one leaves room for all others.

Genuine requests and those that are not are counted apart: whoever knows an address but not its
secret cannot use up what its provider may send. What is too much is answered with 429, and
providers send it again.
"""

from smtp_admin.config import Rate
from smtp_admin.delivery.request_counts import Standing, kept_counts
from smtp_admin.errors import RateLimited
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

COUNTS = kept_counts("events")
#: Requests of one webhook that come to nothing; of more nobody writes anything down. Those that are
#: not genuine, and those that cannot be read, have as many each.
NOTED = Rate(60, 60)


def begin(webhook_id: int) -> None:
    """Return if a genuine request may be taken in; it counts for one event.

    The last that may is taken as a whole, however many events it brings: a batch that is larger
    than the limit would else never come in.

    Raises:
        RateLimited: this webhook had all that it takes; it knows when there is room again.
    """
    _refuse_if_over(COUNTS.of(installation()).take(f"{webhook_id}", _limit()))


def count_more(webhook_id: int, events: int) -> None:
    """Count the further *events* of a request that is taken in."""
    if events > 0:
        COUNTS.of(installation()).take(f"{webhook_id}", _limit(), events)


def count_forged(webhook_id: int) -> None:
    """Count a request that is not genuine.

    Raises:
        RateLimited: there were so many that this one is not even noted.
    """
    _refuse_if_over(COUNTS.of(installation()).take(f"{webhook_id} forged", NOTED))


def unreadable_is_noted(webhook_id: int) -> bool:
    """Count a genuine request that cannot be read; whether it is one of those that are noted."""
    return not COUNTS.of(installation()).take(f"{webhook_id} unreadable", NOTED).over


def _limit() -> Rate:
    return installation().config.event_limit


def _refuse_if_over(standing: Standing) -> None:
    if standing.over:
        raise RateLimited(
            gettext("This webhook gets too many events at once. Send it again later."),
            retry_after=standing.resets_in,
        )
