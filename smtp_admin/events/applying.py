"""Apply what providers told: a delivery goes up its ladder, whatever comes first or twice.

Everything about an event is one transaction: its delivery's state, the counters, who listens, and
that it is done. So a worker that dies has done all of it or nothing.
"""

import logging
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Engine, bindparam, func, literal_column, select, update
from sqlalchemy.orm import Session

from smtp_admin import signals
from smtp_admin.database import among, changed, database_now, transaction
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery import states
from smtp_admin.delivery.announcements import tell
from smtp_admin.delivery.copies import counted_for
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.queue_ends import count_batches_again
from smtp_admin.delivery.record import add_to_counter, count_as_sent
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.states import State
from smtp_admin.delivery.tries import ACCEPTED
from smtp_admin.events.applied import Applied
from smtp_admin.events.matching import find_deliveries
from smtp_admin.events.models import MailEvent
from smtp_admin.events.reacting import suppress_addresses
from smtp_admin.events.severity import cause_of
from smtp_admin.events.turns import Turns, locked
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)

#: When an event is looked at again that came before its mail was known as sent; at last it is put
#: aside. A mail's result is written within seconds, or minutes after a worker died.
_AGAIN = tuple(timedelta(seconds=one) for one in (2, 5, 15, 60, 300, 1800, 3600, 4 * 3600))
_ENDS: dict[str, State] = {
    "delivered": "delivered",
    "bounced": "bounced",
    "complained": "complained",
}
#: What is not sent yet, as far as is known here.
_NOT_YET: frozenset[State] = frozenset({"queued", "sending"})
_WORDS = {
    "bounced": gettext("The mail came back after it was accepted."),
    "complained": gettext("The recipient marked it as spam."),
}
#: What is behind it, where nobody knows better: keys of ``diagnosis/causes.toml``.
_CAUSES = {"bounced": "came_back", "complained": "marked_as_spam"}


#: Told each event once, in the transaction that applies it; sorted by their ids.
Listener = Callable[[Session, Sequence[Applied]], None]
LISTENERS: list[Listener] = [suppress_addresses]


def apply_waiting(engine: Engine, stopping: Callable[[], bool] = lambda: False) -> int:
    """Apply the events that wait; how many were looked at. Needs an app context."""
    total = 0
    turns = Turns()
    while not stopping():
        looked_at, applied = _apply_some(engine, turns)
        for one in applied:
            _announce(one)
        total += looked_at
        if not looked_at or not turns.more:  # what others have locked is theirs
            break
    return total


def _apply_some(engine: Engine, turns: Turns) -> tuple[int, list[Applied]]:
    """Apply a handful; two that get in each other's way begin again."""

    def apply_once() -> tuple[int, list[Applied]]:
        with transaction(engine) as session:
            return _apply(session, turns)

    return begin_again(apply_once)


def _apply(session: Session, turns: Turns) -> tuple[int, list[Applied]]:
    moment = database_now(session)
    events = locked(session, turns.next_ids(session, moment))
    if not events:
        return 0, []
    of = find_deliveries(session, [one for one in events if one.kind != "sample"])
    rows = _deliveries(session, sorted(set(of.values())))
    # Another worker may have had these mails until now, and what came first is told by the times.
    moment = database_now(session)
    changes = _Changes({delivery_id: row.state for delivery_id, row in rows.items()})
    applied: list[Applied] = []
    later: dict[int, list[int]] = {}
    for one in events:
        row = rows.get(of.get(one.id, 0))
        if row is None and one.kind != "sample":
            if one.tries < len(_AGAIN):
                later.setdefault(one.tries, []).append(one.id)
            else:
                one.state = "unknown"
            continue
        one.delivery_id = None if row is None else row.id
        early = row is not None and one.kind in _ENDS and changes.state(row.id) in _NOT_YET
        if early and one.tries < len(_AGAIN):
            later.setdefault(one.tries, []).append(one.id)
            continue
        one.state, one.applied_at = "applied", moment
        if row is not None:
            applied.append(_applied(one, row, changes.note(one, row.id)))
    changes.write(session, rows, moment)
    session.flush()
    _look_again(session, later, moment)
    for listener in LISTENERS:
        listener(session, applied)
    session.expunge_all()
    return len(events), applied


def _deliveries(session: Session, ids: Sequence[int]) -> dict[int, Any]:
    """These deliveries, which nobody else changes meanwhile."""
    if not ids:
        return {}
    rows = session.execute(
        select(
            Delivery.id, Delivery.state, Delivery.partner_id, Delivery.sender_id,
            Delivery.recipient, Delivery.message_pk, Delivery.batch_id, Delivery.created_at,
            Delivery.finished_at, Message.public_id, Message.type_name,
        )
        .join(Message, Message.id == Delivery.message_pk)
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    )  # fmt: skip
    return {row.id: row for row in rows}


def _look_again(session: Session, later: dict[int, list[int]], moment: datetime) -> None:
    """Let these wait a little longer, by how often they were looked at: all alike at once.

    Most of a flood are about no mail that is known, and one by one that would cost most of all.
    """
    for tries, ids in sorted(later.items()):
        changed(
            session,
            update(MailEvent)
            .where(among(session, MailEvent.id, ids))
            .values(tries=tries + 1, next_try_at=moment + _AGAIN[tries]),
        )


class _Changes:
    """What becomes of deliveries: the highest that any event says, told once."""

    def __init__(self, before: dict[int, State]) -> None:
        self._now = dict(before)
        self._by: dict[int, MailEvent] = {}

    def state(self, delivery_id: int) -> State:
        """What it is so far."""
        return self._now[delivery_id]

    def note(self, one: MailEvent, delivery_id: int) -> State | None:
        """Take *one* into account; the new state if it changes it."""
        after = _ENDS.get(one.kind)
        if after is None or not states.may(self._now[delivery_id], after):
            return None
        self._now[delivery_id] = after
        self._by[delivery_id] = one
        return after

    def write(self, session: Session, rows: dict[int, Any], moment: datetime) -> None:
        """Do it: each only from a state below, which the UPDATE asks itself."""
        for after in ("delivered", "bounced", "complained"):
            some = sorted(one for one in self._by if self._now[one] == after)
            if some:
                session.connection().execute(
                    _UPDATES[after], [self._values(one, moment) for one in some]
                )
        changed = [rows[one] for one in sorted(self._by)]
        self._count(session, changed, moment)
        erase_sensitive(session, sorted({row.message_pk for row in changed}))
        batches = [row.id for row in changed if row.batch_id is not None]
        if batches:
            count_batches_again(session, batches)

    def _values(self, delivery_id: int, moment: datetime) -> dict[str, Any]:
        one, after = self._by[delivery_id], self._now[delivery_id]
        said = {"code": "", "cause": "", "error": "", "reply": ""}
        if after in _WORDS:
            cause = _CAUSES[after]
            if after == "bounced":
                cause = cause_of(_reply(one))[:60] or cause
            said = {
                "code": after, "cause": cause, "error": _WORDS[after][:500], "reply": _reply(one),
            }  # fmt: skip
        return {"which": delivery_id, "moment": moment, **said}

    def _count(self, session: Session, changed: Sequence[Any], moment: datetime) -> None:
        minute = moment.replace(second=0, microsecond=0)
        owners = counted_for(session, changed)
        tallies: dict[tuple[int, str], Tally[str]] = {}
        for row in changed:
            after = self._now[row.id]
            if after in _WORDS:
                tallies.setdefault((row.sender_id, owners[row.id]), Tally())[after] += 1
        for (sender_id, partner_id), tally in sorted(tallies.items()):
            add_to_counter(session, sender_id, partner_id, minute, tally)
        # What was taken for lost or dead had been accepted after all.
        count_as_sent(session, [row for row in changed if row.state not in ACCEPTED], moment)


def _update(after: State) -> Any:
    # The words themselves: a list of parameters cannot be executed for many at once.
    below: list[Any] = [literal_column(f"'{one}'") for one in states.before(after)]
    changes: dict[str, Any] = {
        "state": after,
        "finished_at": func.coalesce(Delivery.finished_at, bindparam("moment")),
        "last_code": bindparam("code"),
        "last_cause": bindparam("cause"),
        "last_error": bindparam("error"),
    }
    if after in _WORDS:
        changes["last_reply"] = bindparam("reply")
    return (
        update(Delivery)
        .where(Delivery.id == bindparam("which"), Delivery.state.in_(below))
        .values(changes)
    )


_UPDATES: dict[str, Any] = {after: _update(after) for after in _ENDS.values()}


def _reply(one: MailEvent) -> str:
    words = one.words if one.code in one.words else f"{one.code} {one.words}"
    return words.strip()[:300]


def _applied(one: MailEvent, row: Any, moved: State | None) -> Applied:
    return Applied(
        one, row.id, row.public_id, row.partner_id, row.sender_id, row.recipient, row.type_name,
        moved,
    )  # fmt: skip


def _announce(one: Applied) -> None:
    """Tell the host, after it is committed."""
    event = one.event
    if one.moved in _WORDS:
        log.info("mail %s: %s %s", one.public_id, one.moved, event.code)
    tell(
        current_app._get_current_object(),  # type: ignore[attr-defined]  # the app itself
        signals.mail_event,
        public_id=one.public_id,
        recipient=one.recipient,
        partner_id=one.partner_id,
        kind=event.kind,
        bounce=event.bounce,
    )
