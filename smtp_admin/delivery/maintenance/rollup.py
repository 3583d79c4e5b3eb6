"""Fold old counters: minutes into hours after three hours, hours into days after KEEP_DAYS.

So the totals stay right for ever and the table stays small. Two workers doing it at once do no
harm: each period is folded in one transaction, under the lock of its rows.
"""

from collections import Counter as Tally
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from smtp_admin.config import Config
from smtp_admin.database import database_now, transaction
from smtp_admin.delivery.models import Counter
from smtp_admin.delivery.record import add_to_counter

_MINUTES_KEPT, _HOURS_KEPT = timedelta(hours=3), timedelta(hours=48)
_MINUTE, _HOUR, _DAY = 1, 60, 1440


def roll_up(engine: Engine, config: Config) -> int:
    """Fold what is old enough; how many rows went."""
    keep = max(timedelta(days=config.keep_days), _HOURS_KEPT)
    return _fold(engine, _MINUTE, _HOUR, _MINUTES_KEPT) + _fold(engine, _HOUR, _DAY, keep)


def _fold(engine: Engine, span: int, into: int, keep: timedelta) -> int:
    total = 0
    while step := _fold_some(engine, span, into, keep):
        total += step
    return total


def _fold_some(engine: Engine, span: int, into: int, keep: timedelta) -> int:
    with transaction(engine) as session:
        rows = session.scalars(
            select(Counter)
            .where(Counter.span == span, Counter.minute < database_now(session) - keep)
            .limit(1000)
            .with_for_update(skip_locked=True)
        ).all()
        sums: dict[tuple[int, str, datetime], Tally[str]] = {}
        for row in rows:
            start = row.minute.replace(minute=0, second=0, microsecond=0)
            start = start.replace(hour=0) if into == _DAY else start
            tally = sums.setdefault((row.sender_id, row.partner_id, start), Tally())
            tally.update(
                sent=row.sent,
                failed=row.failed,
                dead=row.dead,
                bounced=row.bounced,
                complained=row.complained,
            )
            tally["milliseconds"] += round(row.seconds * 1000)
            session.delete(row)
        session.flush()
        for (sender_id, partner_id, start), tally in sums.items():
            add_to_counter(session, sender_id, partner_id, start, tally, into)
        return len(rows)
