"""Waiting mail without a From address follows settings and routes: it was not anybody's yet.

Most of it was queued while nobody could send it, and was filed under the system's sender. Mail
with a From address stays with its sender.
"""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, exists, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, reading, transaction
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.models import IS_QUEUED, PRIORITY_NAMES, Delivery, Lane, Message
from smtp_admin.senders.resolve import load_sender_by_id
from smtp_admin.senders.routing import choose_sender
from smtp_admin.signals import routes_changed, settings_changed

#: While senders are looked up for many partners, the worker's other duties wait.
_LONGEST_SECONDS = 2.0


def _adopt(_app: Any, *, session: Session, sender_id: int, partner_id: str, revision: int) -> None:
    del revision
    sender = load_sender_by_id(session, sender_id)
    if sender is not None and not sender.deleted:
        _ensure_lanes(session, sender_id, sender.values.max_connections)
    _take_over(session, _misplaced(session, Delivery.partner_id == partner_id))
    ring_after_commit(session, sender_id)


def _reroute(_sender: Any, *, session: Session, partner_id: str) -> None:
    _take_over(session, _misplaced(session, Delivery.partner_id == partner_id))


def reassign_strays(engine: Engine) -> int:
    """Hand over what the signals could not, to whom it belongs now; how many.

    That is what was being queued in the very moment that its sender or a route was saved, and
    mail of partners that have the system's sender, after a change of the system's.
    """
    with reading(engine) as session:
        found = _misplaced(session)
    if not found:
        return 0
    with transaction(engine) as session:
        return _take_over(session, found)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Mail of one partner, type and priority at one sender, and who should have it."""

    partner_id: str
    type_name: str
    priority: int
    sender_id: int
    target_id: int


def _misplaced(session: Session, *conditions: ColumnElement[bool]) -> list[_Kind]:
    rows = session.execute(
        select(Delivery.partner_id, Message.type_name, Delivery.priority, Delivery.sender_id)
        .join_from(Message, Delivery, Delivery.message_pk == Message.id)
        .where(Message.from_email.is_(None), IS_QUEUED, *conditions)
        .distinct()
    ).all()
    ends = time.monotonic() + _LONGEST_SECONDS
    targets: dict[tuple[str, str, int], int] = {}
    found = []
    # In any order: time may be up before all had their turn.
    for row in random.sample(rows, len(rows)):
        asked = (row.partner_id, row.type_name, row.priority)
        if asked not in targets:
            if time.monotonic() >= ends:
                continue
            priority = PRIORITY_NAMES[row.priority]
            choice = choose_sender(session, row.partner_id, row.type_name, priority)
            targets[asked] = choice.sender.sender_id
        if targets[asked] != row.sender_id:
            found.append(_Kind(*row, targets[asked]))
    return found


def _take_over(session: Session, kinds: Iterable[_Kind]) -> int:
    moved = 0
    for one in kinds:
        is_such_mail = exists().where(
            Message.id == Delivery.message_pk,
            Message.from_email.is_(None),
            Message.type_name == one.type_name,
        )
        # What an open transaction has just queued is skipped: saving waits for nobody.
        waiting = (
            select(Delivery.id)
            .where(
                Delivery.partner_id == one.partner_id,
                Delivery.priority == one.priority,
                Delivery.sender_id == one.sender_id,
                Delivery.state == "queued",
                is_such_mail,
            )
            .with_for_update(of=Delivery, skip_locked=True)
        )
        ids = session.scalars(waiting).all()
        if not ids:
            continue
        mine = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == "queued")
        moved += changed(session, mine.values(sender_id=one.target_id))
        ring_after_commit(session, one.target_id)
    return moved


def _ensure_lanes(session: Session, sender_id: int, count: int) -> None:
    # More than wanted stay: they may be held just now. Nobody takes one beyond the number.
    have = set(session.scalars(select(Lane.slot).where(Lane.sender_id == sender_id)))
    session.add_all(
        Lane(sender_id=sender_id, slot=slot) for slot in range(count) if slot not in have
    )
    session.flush()


def listen() -> None:
    """Listen to changed settings and routes; calling it again changes nothing."""
    settings_changed.connect(_adopt)
    routes_changed.connect(_reroute)
