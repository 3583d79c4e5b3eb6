"""Which events are applied next: the oldest, and of very many some of each owner in turn.

Whoever gets a hundred thousand events at once must not keep those of all others waiting. In which
order events are applied makes no difference to what comes of them.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import chain, islice, zip_longest

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from smtp_admin.events.models import MailEvent

#: Events of one transaction, and owners who share it.
AT_ONCE = 500
_OWNERS_AT_ONCE = 10


class Turns:
    """The owners whose turn has not come yet, while more waits than is applied at once.

    Attributes:
        more: whether more was due than was chosen last.
    """

    def __init__(self) -> None:
        self.more = False
        self._waiting: deque[str] = deque()

    def next_ids(self, session: Session, moment: datetime) -> list[int]:
        """The events that are due and come next, not locked yet."""
        oldest = _ids(session, moment)
        self.more = len(oldest) == AT_ONCE
        if not self.more:
            return oldest
        if not self._waiting:
            due = select(MailEvent.partner_id).where(*_due(moment)).distinct()
            self._waiting.extend(sorted(session.scalars(due)))
        of_each: list[list[int]] = []
        count = 0
        while self._waiting and (len(of_each) < _OWNERS_AT_ONCE or count < AT_ONCE):
            mine = MailEvent.partner_id == self._waiting.popleft()
            of_each.append(_ids(session, moment, mine))
            count += len(of_each[-1])
        mixed = chain.from_iterable(zip_longest(*of_each))
        return list(islice((one for one in mixed if one is not None), AT_ONCE))


def _due(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (MailEvent.state == "waiting", MailEvent.next_try_at <= moment)


def _ids(session: Session, moment: datetime, *which: ColumnElement[bool]) -> list[int]:
    due = select(MailEvent.id).where(*_due(moment), *which)
    return list(session.scalars(due.order_by(MailEvent.next_try_at).limit(AT_ONCE)))


def locked(session: Session, ids: Sequence[int]) -> Sequence[MailEvent]:
    """Those of these events that still wait and that nobody else applies just now.

    They are looked for first and locked by their keys: a search that locks would, on MariaDB, keep
    what it skipped in its index locked, and others would wait for that.
    """
    if not ids:
        return ()
    return session.scalars(
        select(MailEvent)
        .where(MailEvent.id.in_(ids), MailEvent.state == "waiting")
        .order_by(MailEvent.id)
        .with_for_update(skip_locked=True)
    ).all()
