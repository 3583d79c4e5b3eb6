"""While a sender cannot send: let the next of its list step in, with the mail that is due.

The list of the sender that a mail was meant for counts, also where one of the list pauses in turn;
each sender has the mail at most once. A sender that only sends too much keeps its mail.
"""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, exists, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now, reading, transaction
from smtp_admin.delivery.claim import usable
from smtp_admin.delivery.fallbacks import Fallback, calls_for_help, fallbacks_of, first_usable
from smtp_admin.delivery.hops import ways
from smtp_admin.delivery.maintenance.moving import Move, is_movable, move_mail
from smtp_admin.delivery.models import PRIORITY_NAMES, TEST_TYPE, Delivery, Hop, Message
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.cleaning import SYSTEMS
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id, resolve
from smtp_admin.senders.routing import senders_of

log = logging.getLogger(__name__)

#: Mails that are looked at together, and in one round of a sender.
_AT_ONCE = 200
#: Mails in one transaction, and how long it may go on: on SQLite others hardly write meanwhile, and
#: the worker's other duties wait. What is left has its turn ten seconds later.
_STEP, _LONGEST_SECONDS = 20, 2.0

#: A mail, those of its deliveries that go, and where.
_Planned = tuple[int, list[int], Move]


def fall_back(engine: Engine) -> int:
    """Hand over the waiting mail of senders that cannot send; how many deliveries."""
    if not may_act(engine):
        return 0
    with reading(engine) as session:
        moment = database_now(session)
        rows = session.scalars(
            select(Sender).where(Sender.paused_until > moment, Sender.deleted_at.is_(None))
        ).all()
        paused = [resolve(session, row, row.partner_id, row.key) for row in rows]
    ends = time.monotonic() + _LONGEST_SECONDS
    moved = 0
    # In any order: time may be up before all had their turn.
    for sender in random.sample(paused, len(paused)):
        if calls_for_help(sender, moment):
            moved += _hand_over(engine, sender, moment, ends)
        if time.monotonic() >= ends:
            break
    if moved:
        log.warning("deliveries that another sender takes over: %d", moved)
    return moved


def _hand_over(engine: Engine, sender: ResolvedSender, moment: datetime, ends: float) -> int:
    moved = after = 0
    while True:
        with reading(engine) as session:
            look = _Look(session, sender, moment)
            found = look.waiting(after)
            planned = list(look.plan(set(found.values())))
        while planned:
            with transaction(engine) as session:
                for message_pk, delivery_ids, move in planned[:_STEP]:
                    moved += move_mail(session, message_pk, delivery_ids, move)
            del planned[:_STEP]
            if time.monotonic() >= ends:
                return moved
        # What nobody can take stays first in line, and must not hide what is behind it.
        if len(found) < _AT_ONCE or moved >= _AT_ONCE or time.monotonic() >= ends:
            return moved
        after = max(found)


@dataclass(slots=True)
class _Look:
    """Which of the mail that waits at one sender goes where."""

    session: Session
    sender: ResolvedSender
    moment: datetime
    _origins: dict[int, ResolvedSender | None] = field(default_factory=dict)
    _options: dict[tuple[int, str, str], list[Fallback]] = field(default_factory=dict)

    def waiting(self, after: int) -> dict[int, int]:
        """Deliveries that may go, beyond *after*, each with its mail."""
        worth_a_look = self._worth_a_look()
        if worth_a_look is None:
            return {}
        rows = self.session.execute(
            select(Delivery.id, Delivery.message_pk)
            .where(*worth_a_look, Delivery.id > after)
            .order_by(Delivery.id)
            .limit(_AT_ONCE)
        )
        return {row.id: row.message_pk for row in rows}

    def plan(self, message_pks: Collection[int]) -> Iterator[_Planned]:
        """Where each of these mails goes, with all its recipients for whom it is due."""
        if not message_pks:
            return
        rows = self.session.execute(
            select(Delivery.id, Delivery.message_pk, Delivery.priority, Message.type_name)
            .join(Message, Message.id == Delivery.message_pk)
            .where(
                *self._due(),
                Delivery.message_pk.in_(message_pks),
                # It is to show whether this sender works; another would hide that it does not.
                Message.type_name != TEST_TYPE,
            )
            .order_by(Delivery.id)
        ).all()
        been = ways(self.session, self.sender.sender_id, [row.id for row in rows])
        groups: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
        senders: dict[int, ResolvedSender] = {}
        for row in rows:
            way = been[row.id]
            options = self._of(way.origin, row.type_name, PRIORITY_NAMES[row.priority])
            target = first_usable(options, self.moment, way.been)
            if target is not None:
                senders[target.sender_id] = target
                groups[row.message_pk, way.origin, target.sender_id].append(row.id)
        for (message_pk, origin_id, target_id), delivery_ids in groups.items():
            origin = self._origin(origin_id) or self.sender
            move = Move(self.sender, senders[target_id], origin, "fallback", self.sender.pause_text)
            yield message_pk, delivery_ids, move

    def _due(self) -> tuple[ColumnElement[bool], ...]:
        # What is for later may find its own sender well again.
        return (*is_movable(self.sender.sender_id), Delivery.next_attempt_at <= self.moment)

    def _worth_a_look(self) -> tuple[ColumnElement[bool], ...] | None:
        """Which deliveries are worth a look; ``None`` for none at all."""
        due = self._due()
        if self._may_have_help():
            return due
        # Only mail that it took over itself, which follows the list of another.
        me = self.sender.sender_id
        if not self.session.scalar(select(exists().where(Hop.to_sender_id == me))):
            return None
        moved = exists().where(Hop.delivery_id == Delivery.id, Hop.to_sender_id == me)
        return (*due, moved)

    def _may_have_help(self) -> bool:
        """Whether anybody of its own list can send now."""
        names = self.sender.values.fallbacks
        owners = [self.sender.partner_id, *([SYSTEM] if SYSTEMS in names else [])]
        return bool(names) and any(
            usable(one, self.moment) and one.sender_id != self.sender.sender_id
            for owner in dict.fromkeys(owners)
            for one in senders_of(self.session, owner)
        )

    def _of(self, origin_id: int, type_name: str, priority: str) -> list[Fallback]:
        key = (origin_id, type_name, priority)
        if key not in self._options:
            origin = self._origin(origin_id)
            self._options[key] = (
                [] if origin is None else fallbacks_of(self.session, origin, type_name, priority)
            )
        return self._options[key]

    def _origin(self, origin_id: int) -> ResolvedSender | None:
        if origin_id == self.sender.sender_id:
            return self.sender
        if origin_id not in self._origins:
            self._origins[origin_id] = load_sender_by_id(self.session, origin_id)
        return self._origins[origin_id]
