"""Which events are applied next: the oldest, and of very many some of each owner in turn.

Whoever gets a hundred thousand events at once must not keep those of all others waiting. In which
order events are applied makes no difference to what comes of them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice, zip_longest

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from smtp_admin.events.models import MailEvent
from smtp_admin.steps import owner_after

#: Events of one transaction, and owners who share it.
AT_ONCE = 500
_OWNERS_AT_ONCE = 10
#: Owners who are asked for; what others of them have waits for a later time.
_OWNERS_ASKED = 200


class Turns:
    """Whose turn it was last, while more waits than is applied at once.

    Attributes:
        more: whether more was due than was chosen last.
    """

    def __init__(self) -> None:
        self.more = False
        self._last: str | None = None

    def next_ids(self, session: Session, moment: datetime) -> list[int]:
        """The events that are due and come next, not locked yet."""
        oldest = _ids(session, moment)
        self.more = len(oldest) == AT_ONCE
        if not self.more:
            return oldest
        of_each: list[list[int]] = []
        count = 0
        for owner in islice(self._owners(session), _OWNERS_ASKED):
            if ids := _ids(session, moment, MailEvent.partner_id == owner):
                of_each.append(ids)
                count += len(ids)
            if count >= AT_ONCE and len(of_each) >= _OWNERS_AT_ONCE:
                break
        mixed = chain.from_iterable(zip_longest(*of_each))
        return list(islice((one for one in mixed if one is not None), AT_ONCE)) or oldest

    def _owners(self, session: Session) -> Iterator[str]:
        """Each owner with events that wait, once, beginning after whose turn was last."""
        seen: set[str] = set()
        waiting = MailEvent.state == "waiting"
        while True:
            owner = owner_after(session, self._last, MailEvent.partner_id, waiting)
            if owner is None or owner in seen:
                return
            seen.add(owner)
            self._last = owner
            yield owner


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
