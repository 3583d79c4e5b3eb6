"""How many mails a sender sent while each of its revisions was in use.

Nothing counts mail by revision, so this adds up the sender's counters between one save and the
next. They stand for a minute each, later for an hour or a day: one that a save falls into belongs
to both sides, and then the numbers are about right and say so.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Counter


@dataclass(frozen=True, slots=True)
class SentBetween:
    """What was sent in one stretch of time; ``exact`` unless a counter reaches beyond it."""

    sent: int = 0
    exact: bool = True


def sent_between(
    session: Session, sender_id: int, times: Sequence[datetime]
) -> tuple[SentBetween, ...]:
    """For each of *times*, in order, what was sent from it to the next, or until now."""
    if not times:
        return ()
    counts, exact = [0] * len(times), [True] * len(times)
    rows = session.execute(
        select(Counter.span, Counter.minute, func.sum(Counter.sent))
        .where(Counter.sender_id == sender_id, Counter.sent > 0)
        .where(Counter.minute > times[0] - timedelta(days=1))
        .group_by(Counter.span, Counter.minute)
    )
    for span, start, sent in rows:
        last = start + timedelta(minutes=span) - timedelta(microseconds=1)
        first_in, last_in = (bisect_right(times, one) - 1 for one in (start, last))
        if last_in < 0:
            continue
        counts[max(first_in, 0)] += int(sent)
        if first_in != last_in:
            for place in range(max(first_in, 0), last_in + 1):
                exact[place] = False
    return tuple(map(SentBetween, counts, exact))
