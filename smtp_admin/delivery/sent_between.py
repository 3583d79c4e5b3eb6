"""How many mails a sender sent while each of its revisions was in use.

Nothing counts mail by revision, so this adds up the sender's counters between one save and the
next. They stand for a minute each, later for an hour or a day. What a save falls into is told
apart by the mails themselves while they are kept. After that, or where there are too many, it is
shared out by time: then the numbers are about right and say so.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Counter, Delivery
from smtp_admin.delivery.tries import ACCEPTED

#: So many mails are looked at to tell whose one counter was; of more, shares are near enough.
_MOST_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class SentBetween:
    """What was sent in one stretch of time; ``exact`` unless it was shared out by time."""

    sent: int = 0
    exact: bool = True


def sent_between(
    session: Session, sender_id: int, times: Sequence[datetime]
) -> tuple[SentBetween, ...]:
    """For each of *times*, in order, what was sent from it to the next, or until now."""
    if not times:
        return ()
    times = list(accumulate(times, max))  # the clock may have been set back
    counts, exact = [0] * len(times), [True] * len(times)
    rows = session.execute(
        select(Counter.span, Counter.minute, func.sum(Counter.sent))
        .where(Counter.sender_id == sender_id, Counter.sent > 0)
        .where(Counter.minute > times[0] - timedelta(days=1))
        .group_by(Counter.span, Counter.minute)
    ).all()
    for span, start, sent in rows:
        end = start + timedelta(minutes=span)
        first, last = (
            bisect_right(times, one) - 1 for one in (start, end - timedelta(microseconds=1))
        )
        if first == last:
            if last >= 0:
                counts[last] += int(sent)
            continue
        cuts = [start, *times[first + 1 : last + 1], end]
        parts = _by_mails(session, sender_id, cuts, int(sent))
        known = parts is not None
        for place, part in enumerate(parts or _by_time(cuts, int(sent)), first):
            if place >= 0:
                counts[place] += part
                exact[place] &= known
    return tuple(map(SentBetween, counts, exact))


def _by_mails(
    session: Session, sender_id: int, cuts: Sequence[datetime], sent: int
) -> list[int] | None:
    """What was accepted between each of *cuts* and the next; ``None`` if not all are there."""
    if sent > _MOST_LOOKED_AT:
        return None
    found = session.scalars(
        select(Delivery.finished_at).where(
            Delivery.sender_id == sender_id,
            Delivery.finished_at >= cuts[0],
            Delivery.finished_at < cuts[-1],
            Delivery.state.in_(sorted(ACCEPTED)),
        )
    ).all()
    if len(found) != sent:
        return None
    parts = [0] * (len(cuts) - 1)
    for at in filter(None, found):
        parts[bisect_right(cuts, at) - 1] += 1
    return parts


def _by_time(cuts: Sequence[datetime], sent: int) -> list[int]:
    """*sent* shared out by how long each part was; together they are all of it."""
    whole = cuts[-1] - cuts[0]
    upto = [round(sent * ((one - cuts[0]) / whole)) for one in cuts]
    return [after - before for before, after in pairwise(upto)]
