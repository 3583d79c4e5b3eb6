"""Cancel a batch, and let a cancelled one go on.

Both in small steps: a batch may be large, and nobody waits for its locks.
"""

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, case, func, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery import states
from smtp_admin.delivery.acts import NOBODY, Doer, note
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.batches import find_batch
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.held import as_before_the_end
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.errors import Conflict
from smtp_admin.translation import gettext

#: The code of a delivery whose batch was cancelled; a person's own has another.
CODE = "batch_cancelled"
_AT_ONCE = 1000


def cancel_batch(
    engine: Engine, public_id: str, partner_id: str | None = None, by: Doer = NOBODY
) -> int:
    """Send nothing more of a batch; how many deliveries of it were still waiting.

    Committed in steps. What a worker has in its hands goes out, and nobody can add to the batch
    from the first step on.

    Raises:
        NotFound: there is no such batch, or it is not this partner's.
        Conflict: it was cancelled before.
    """
    with transaction(engine) as session:
        batch_id = find_batch(session, public_id, partner_id).id
        mine = (Batch.id == batch_id, Batch.cancelled_at.is_(None))
        now = database_now(session)
        cancelled = (
            update(Batch)
            .where(*mine)
            .values(cancelled_at=now, cancelled_by_id=by.id, cancelled_by=by.name)
        )
        if not changed(session, cancelled):
            raise Conflict(gettext("This batch was cancelled already."))
    return cancel_the_rest(engine, batch_id)


def cancel_the_rest(engine: Engine, batch_id: int) -> int:
    """Cancel what waits of a batch that was cancelled; how many deliveries."""
    total = 0
    while (done := begin_again(partial(_cancel_some, engine, batch_id))) is not None:
        total += done
    return total


def _cancel_some(engine: Engine, batch_id: int) -> int | None:
    """One step of it; how many deliveries, or ``None`` where none is left to cancel."""
    with transaction(engine) as session:
        mine = select(Batch.cancelled_by_id, Batch.cancelled_by).where(
            Batch.id == batch_id, Batch.cancelled_at.is_not(None)
        )
        by = session.execute(mine.with_for_update()).first()
        if by is None:
            return None  # somebody resumed it
        rows = session.execute(
            select(Delivery.id, Delivery.message_pk, Delivery.archive)
            .where(Delivery.batch_id == batch_id, Delivery.state == "queued")
            .limit(_AT_ONCE)
            # What a worker is just claiming is its own.
            .with_for_update(skip_locked=True)
        ).all()
        if not rows:
            return None
        ids, moment = [row.id for row in rows], database_now(session)
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "queued")
            .values(
                state=states.check("queued", "cancelled"),
                finished_at=moment,
                last_code=CODE,
                last_error=gettext("Its batch was cancelled before it was sent."),
            ),
        )
        note(session, ids, "batch_cancel", moment, Doer(*by), Delivery.finished_at == moment)
        erase_sensitive(session, {row.message_pk for row in rows})
        # Whoever lists it now wants to see what this did, not what was counted before.
        changed(session, update(Batch).where(Batch.id == batch_id).values(counted_at=None))
        return sum(not row.archive for row in rows)


def resume_batch(session: Session, batch_id: int, expires_at: datetime, by: Doer = NOBODY) -> int:
    """Let a cancelled batch go on: queue what was not sent of it; how many deliveries.

    What a person cancelled one by one stays so. What was sensitive is erased by then: it leaves the
    batch, so that whoever gives its recipients again has new mail queued for them. The caller
    commits.

    Args:
        expires_at: when that is too old.
    """
    resumed = update(Batch).where(Batch.id == batch_id)
    changed(
        session,
        resumed.values(
            cancelled_at=None, cancelled_by_id="", cancelled_by="", counted_at=None, settled=False
        ),
    )
    _let_go_of_erased(session, batch_id)
    cancelled, moment = _cancelled(batch_id), database_now(session)
    total = 0
    while rows := session.execute(cancelled).all():
        ids = [row.id for row in rows]
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "cancelled")
            .values(
                state=states.check("cancelled", "queued"),
                # A send whose outcome is unknown counts against the sender's limit all the same.
                finished_at=case((Delivery.uncertains > 0, Delivery.finished_at), else_=None),
                expires_at=expires_at,
                **as_before_the_end(),
            ),
        )
        # Some may have unsubscribed since it was cancelled.
        suppress_again(session, ids, moment)
        note(session, ids, "batch_resume", moment, by, Delivery.state == "queued")
        total += sum(not row.archive for row in rows)
        for sender_id in {row.sender_id for row in rows}:
            ring_after_commit(session, sender_id)
    return total


def _cancelled(batch_id: int) -> Any:
    """Some deliveries that were cancelled with their batch, and are still in it.

    Read with locks: MariaDB's snapshot may be older than what cancelled them.
    """
    return (
        select(Delivery.id, Delivery.message_pk, Delivery.sender_id, Delivery.archive)
        .where(
            Delivery.batch_id == batch_id,
            Delivery.state == "cancelled",
            Delivery.last_code == CODE,
        )
        .limit(_AT_ONCE)
        .with_for_update()
    )


def _let_go_of_erased(session: Session, batch_id: int) -> None:
    """Take mail without its text out of a batch: there is nothing left of it to send."""
    erased = (
        _cancelled(batch_id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(func.length(Message.content) == 0)
    )
    while rows := session.execute(erased).all():
        ids, messages = [row.id for row in rows], {row.message_pk for row in rows}
        changed(session, update(Delivery).where(Delivery.id.in_(ids)).values(batch_id=None))
        gone = update(Message).where(Message.id.in_(messages))
        changed(session, gone.values(batch_id=None, batch_recipient=None))
        fewer = update(Batch).where(Batch.id == batch_id)
        changed(session, fewer.values(queued=Batch.queued - len(messages)))
