"""Keep the numbers of batches that are under way, so that no page counts a large one."""

import json
import time
from datetime import timedelta

from sqlalchemy import Engine, select, update

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery.batch_ends import cancel_the_rest
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.batches import count_states

#: While large ones are counted, the worker's other duties wait.
_LONGEST_SECONDS = 1.0
#: A run that broke off and was not repeated by then will not be.
_GIVEN_UP_AFTER = timedelta(days=1)
_OPEN = ("queued", "sending", "uncertain")


def count_batches(engine: Engine) -> int:
    """Count the batches that are not over, those counted longest ago first; how many."""
    with reading(engine) as session:
        rows = session.execute(
            select(Batch.id, Batch.queued, Batch.total, Batch.cancelled_at, Batch.created_at)
            .where(Batch.settled.is_(False))
            .order_by(Batch.counted_at.is_not(None), Batch.counted_at)
        ).all()
    ends = time.monotonic() + _LONGEST_SECONDS
    done = 0
    for row in rows:
        if row.cancelled_at is not None:
            cancel_the_rest(engine, row.id)  # whoever cancelled it may have been interrupted
        with reading(engine) as session:
            counts = count_states(session, [row.id])[row.id]
            moment = database_now(session)
        whole = row.cancelled_at is not None or row.queued >= row.total
        given_up = row.created_at < moment - _GIVEN_UP_AFTER
        over = (whole or given_up) and not any(counts.get(state) for state in _OPEN)
        # Unless something was added to it, or it was resumed, in between.
        unset = row.cancelled_at is None
        same = Batch.cancelled_at.is_(None) if unset else Batch.cancelled_at.is_not(None)
        mine = update(Batch).where(Batch.id == row.id, Batch.queued == row.queued, same)
        with transaction(engine) as session:
            values = {"counts": json.dumps(counts), "counted_at": moment, "settled": over}
            done += changed(session, mine.values(values))
        if time.monotonic() >= ends:
            break
    return done
