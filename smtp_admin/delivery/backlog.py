"""How much mail a partner has waiting, and the limit for it."""

import time
from collections import Counter as Tally
from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import IS_OPEN, URGENT, Delivery
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.errors import QueueFull
from smtp_admin.installation import installation
from smtp_admin.translation import gettext, ngettext, number

_COUNT_IS_FRESH_SECONDS = 2.0


def check_backlog(session: Session, mails: Iterable[OutgoingMail]) -> None:
    """Return if there is room for all of these.

    Raises:
        QueueFull: a partner has too much waiting; urgent mail is taken all the same.
    """
    more: Tally[str] = Tally()
    for one in mails:
        if one.priority != URGENT:
            more[one.partner_id] += len(one.recipients)
    for partner_id, count in more.items():
        _check(session, partner_id, count)


def _check(session: Session, partner_id: str, more: int) -> None:
    # Soft: the number is counted at most every two seconds per process, and in between only
    # what this process adds is known. Counting at every insert would make each one slower.
    here = installation()
    cache = here.backlog
    at, count = cache.get(partner_id, (0.0, 0))
    if time.monotonic() - at > _COUNT_IS_FRESH_SECONDS:
        at, count = time.monotonic(), backlog(session, partner_id)
    limit = here.config.queue_limit
    if count + more > limit:
        cache[partner_id] = (at, count)
        raise QueueFull(
            ngettext(
                "%(number)s mail is already waiting. The limit is %(limit)s.",
                "%(number)s mails are already waiting. The limit is %(limit)s.",
                count,
                limit=number(limit),
            ),
            hint=gettext(
                "Wait until some are sent, or ask the platform's operator to raise "
                "SMTP_ADMIN_QUEUE_LIMIT."
            ),
            retry_after=30,
        )
    cache[partner_id] = (at, count + more)


def backlog(session: Session, partner_id: str) -> int:
    """How many deliveries of *partner_id* are not over, without batches and archive copies."""
    waiting = (
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.partner_id == partner_id,
            IS_OPEN,
            Delivery.state.in_(("queued", "sending")),
            # Batches have a limit of their own, and may be very large.
            Delivery.batch_id.is_(None),
            Delivery.archive.is_(False),
        )
    )
    return session.scalar(waiting) or 0
