"""End mail that is queued, whatever the reason: cancelled by a person, or suppressed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.delivery import states
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.states import State

_UNSENT: tuple[State, ...] = ("cancelled", "expired", "suppressed")


def end_queued(
    session: Session,
    ids: Sequence[int],
    state: Literal["cancelled", "suppressed"],
    moment: datetime,
    code: str,
    words: str,
) -> int:
    """Do not send what of *ids* is queued; how many deliveries. The caller commits.

    The copy to an archive ends with the last recipient, and goes out all the same if somebody has
    the mail.
    """
    values: dict[str, object] = {
        "state": states.check("queued", state),
        "finished_at": moment,
        "last_code": code,
        "last_cause": "",
        "last_error": words,
    }
    messages = session.scalars(
        select(Delivery.message_pk).where(Delivery.id.in_(ids)).distinct()
    ).all()
    count = _end(session, Delivery.id.in_(ids), values)
    anybody = select(Delivery.message_pk).where(
        Delivery.message_pk.in_(messages),
        Delivery.archive.is_(False),
        Delivery.state.not_in(_UNSENT),
    )
    needed = set(session.scalars(anybody))
    ended = [one for one in messages if one not in needed]
    _end(session, and_(Delivery.message_pk.in_(ended), Delivery.archive.is_(True)), values)
    erase_sensitive(session, messages)
    count_batches_again(session, ids)
    return count


def _end(session: Session, which: ColumnElement[bool], values: dict[str, object]) -> int:
    # Looked for first: MariaDB keeps the lock of every row that an UPDATE asks about, and results
    # of what is under way would wait for the caller's commit.
    queued = Delivery.state == "queued"
    waiting = session.scalars(select(Delivery.id).where(which, queued)).all()
    return changed(
        session, update(Delivery).where(Delivery.id.in_(waiting), queued).values(**values)
    )


def count_batches_again(session: Session, ids: Sequence[int]) -> None:
    """Let the batches of these deliveries be counted once more."""
    batches = select(Delivery.batch_id).where(Delivery.id.in_(ids), Delivery.batch_id.is_not(None))
    found = session.scalars(batches.distinct()).all()
    if found:
        changed(session, update(Batch).where(Batch.id.in_(found)).values(settled=False))
