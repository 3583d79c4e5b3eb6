"""Claim due deliveries in one short transaction, and load what they need.

The claim itself registers the attempt: whatever happens afterwards, a delivery that may have
been sent is never again simply ``queued``.
"""

import json
import math
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, any_, bindparam, func, or_, select, type_coerce, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.clock import sql_now
from smtp_admin.database import SYSTEM, UTCDateTime, is_contention, is_one_of, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.limits import allowance
from smtp_admin.delivery.models import BULK, IS_QUEUED, URGENT, Delivery, Lane, Message
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, resolve


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery that is ours to send, with its bytes."""

    id: int
    message_pk: int
    public_id: str
    type_name: str
    partner_id: str
    recipient: str
    attempts: int
    releases: int
    uncertains: int
    created_at: datetime
    content: bytes
    message_id: str
    from_email: str | None
    envelope_from: str | None
    sensitive: bool
    on_uncertain: str
    expires_at: datetime | None
    archive: bool

    @property
    def mail_from(self) -> str:
        """The envelope sender."""
        return self.envelope_from or self.from_email or ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim got, and the sender that it is to be sent with.

    Attributes:
        moment: the database's time of the claim.
        more: whether more may be due than this.
        began: this machine's monotonic clock when the claim asked for the time, in seconds. The
            answer may have had to wait for a lock.
    """

    sender: ResolvedSender
    deliveries: list[Claimed]
    moment: datetime
    more: bool
    began: float = field(default_factory=time.monotonic)

    @property
    def too_old_at(self) -> float:
        """When the first of them is too old to be sent, by this machine's monotonic clock."""
        ends = min((one.expires_at for one in self.deliveries if one.expires_at), default=None)
        return math.inf if ends is None else self.began + (ends - self.moment).total_seconds()

    def now(self) -> datetime:
        """The database's time by now, without asking it again."""
        return self.moment + timedelta(seconds=time.monotonic() - self.began)


_SENDER = (
    select(Sender, type_coerce(sql_now(), UTCDateTime()).label("moment"))
    .join(Lane, Lane.sender_id == Sender.id)
    .where(Lane.id == bindparam("lane"), Lane.lease == bindparam("our_lease"))
    # The sender's row is the lock under which limits are counted; the lane's keeps a rescuer
    # from taking it for abandoned meanwhile.
    # Not the keys themselves: a host's open transaction that queued mail must hold nobody up.
    .with_for_update(of=(Sender, Lane), key_share=True)
)
_ORDER = (Delivery.priority, Delivery.next_attempt_at, Delivery.id)
_WAITS = (
    Delivery.sender_id == bindparam("lane_sender"),
    IS_QUEUED,
    Delivery.next_attempt_at <= bindparam("moment"),
    or_(Delivery.expires_at.is_(None), Delivery.expires_at > bindparam("moment")),
)
_DUE = (
    select(Delivery.id)
    .where(*_WAITS, Delivery.priority.between(bindparam("from_priority"), bindparam("to_priority")))
    .order_by(*_ORDER)
    .limit(bindparam("most"))
)
#: In the order of the fields of :class:`Claimed`.
_CLAIMED = (
    Delivery.id,
    Delivery.message_pk,
    Message.public_id,
    Message.type_name,
    Delivery.partner_id,
    Delivery.recipient,
    Delivery.attempts,
    Delivery.releases,
    Delivery.uncertains,
    Delivery.created_at,
    Message.content,
    Message.message_id,
    Message.from_email,
    Message.envelope_from,
    Message.sensitive,
    Message.on_uncertain,
    Delivery.expires_at,
    Delivery.archive,
)


def _about_claimed(dialect: str, *columns: Any) -> Any:
    return (
        select(*columns)
        .join_from(Delivery, Message, Message.id == Delivery.message_pk)
        .where(is_one_of(Delivery.id, "ids", dialect))
    )


@lru_cache
def _messages(dialect: str) -> Any:
    return _about_claimed(dialect, *_CLAIMED)


@lru_cache
def _sizes(dialect: str) -> Any:
    return _about_claimed(dialect, Delivery.id, Message.size)


@lru_cache
def _total_size(dialect: str) -> Any:
    return _about_claimed(dialect, func.sum(Message.size))


def _take(*conditions: Any) -> Any:
    return (
        update(Delivery)
        .where(*conditions)
        .values(state=states.check("queued", "sending"), lease=bindparam("new_lease"))
        .execution_options(synchronize_session=False)
    )


_TAKEN = (Delivery.id, Delivery.priority, Delivery.next_attempt_at)


@dataclass(frozen=True, slots=True)
class _Statements:
    """How the first that are due are taken.

    PostgreSQL takes them with one statement. MariaDB cannot update through a limited subquery: the
    rows are locked first. SQLite has its one lock by then, and answers with one value: for each row
    of a result the driver lets go of the interpreter, and the lock is held until it has it again.
    """

    at_once: Any
    locked: Any
    listed: Any


def _statements(due: Any) -> _Statements:
    # Materialized, because a subquery with a lock may be run again for every row, and then takes
    # more than its limit. As an array, because a planner without fresh statistics would compare
    # every waiting row with every locked one.
    locked = due.with_for_update(skip_locked=True).cte("due").prefix_with("MATERIALIZED")
    ids: Any = func.array(select(locked.c.id).scalar_subquery())
    first = due.add_columns(Delivery.priority, Delivery.next_attempt_at).subquery()
    row = func.json_array(first.c.priority, first.c.next_attempt_at, first.c.id)
    return _Statements(
        at_once=_take(Delivery.id == any_(ids)).returning(*_TAKEN),
        locked=due.with_for_update(skip_locked=True),
        listed=select(func.json_group_array(row)),
    )


@lru_cache
def _take_these(dialect: str) -> Any:
    return _take(IS_QUEUED, is_one_of(Delivery.id, "ids", dialect))


_OF_ALL = _statements(_DUE)
_OF_PARTNER = _statements(_DUE.where(Delivery.partner_id == bindparam("only_partner")))
#: A batch holds so many bytes of mail; a single larger one is held all the same.
_MOST_BYTES = 4 * 1024 * 1024
_RETURN_THESE = (
    update(Delivery)
    .where(Delivery.id.in_(bindparam("ids", expanding=True)))
    .values(state=states.check("sending", "queued"), lease=None)
    .execution_options(synchronize_session=False)
)
_FIRST_PARTNER = select(func.min(Delivery.partner_id)).where(*_WAITS, Delivery.priority > URGENT)
_NEXT_PARTNER = _FIRST_PARTNER.where(Delivery.partner_id > bindparam("after"))
_TRIES = 5
#: How many partners have their turn in one batch, and whose was the last, by sender.
_TURNS = 10
_turn: dict[int, str] = {}


def claim(
    database: Engine | Connection,
    lane: HeldLane,
    size: int,
    known: dict[int, ResolvedSender] | None = None,
) -> Batch | None:
    """Up to *size* due deliveries of the lane's sender, most urgent first.

    Returns ``None`` when there is nothing to do: nothing due, the sender paused or not
    configured, its limit reached, or the lane lost.

    Args:
        known: the revisions of this sender that were read before, by number. Revisions never
            change, so none is read twice.
    """
    for _ in range(_TRIES):
        try:
            return _claim_once(database, lane, size, known if known is not None else {})
        except DBAPIError as error:
            if not is_contention(error):
                raise
    return None


def _claim_once(
    database: Engine | Connection, lane: HeldLane, size: int, known: dict[int, ResolvedSender]
) -> Batch | None:
    with transaction(database) as session:
        session.connection()  # on SQLite this waits for the lock, and the next line does not
        began = time.monotonic()
        row = session.execute(_SENDER, {"lane": lane.lane_id, "our_lease": lane.lease}).first()
        if row is None:
            return None
        moment: datetime = row.moment
        sender = _resolve(session, row[0], known)
        if not usable(sender, moment):
            return None
        if row[0].pauses:
            size = 1  # after a pause one mail tries whether it works again
        claimed = _claim_allowed(session, lane, sender, moment, size)
        if not claimed:
            return None
        ids = _no_larger(session, claimed)
        # Partners who take turns may be more than had one.
        more = len(claimed) >= size or len(ids) < len(claimed) or sender.partner_id == SYSTEM
        locks_all = session.connection().dialect.name == "sqlite"
        deliveries = [] if locks_all else _load(session, ids)
    if locks_all:
        # They are ours by now, and meanwhile others may write.
        with reading(database) as session:
            deliveries = _load(session, ids)
    return Batch(sender, deliveries, moment, more, began)


def usable(sender: ResolvedSender, moment: datetime) -> bool:
    """Whether anything can be sent for *sender* at *moment*."""
    paused = sender.paused_until is not None and sender.paused_until > moment
    return sender.configured and not sender.problems and not paused


def _resolve(session: Session, row: Sender, known: dict[int, ResolvedSender]) -> ResolvedSender:
    before = known.get(row.current_revision)
    if before is None:
        before = known[row.current_revision] = resolve(session, row, row.partner_id, row.key)
        return before
    return replace(
        before,
        deleted=row.deleted_at is not None,
        paused_until=row.paused_until,
        pause_code=row.pause_code,
        pause_cause=row.pause_cause,
        pause_reason=row.pause_reason,
        pause_reply=row.pause_reply,
        refusals=row.refusals,
    )


def _claim_allowed(
    session: Session, lane: HeldLane, sender: ResolvedSender, moment: datetime, size: int
) -> list[int]:
    allowed = allowance(session, lane.sender_id, sender.values, moment)
    in_turns = sender.partner_id == SYSTEM
    if allowed.urgent is None and not in_turns:
        return _claim(session, lane, moment, size, URGENT, BULK)
    urgent = size if allowed.urgent is None else min(size, allowed.urgent)
    claimed = _claim(session, lane, moment, urgent, URGENT, URGENT)
    rest = size - len(claimed)
    if allowed.others is not None:
        rest = min(rest, allowed.others - len(claimed))
    if in_turns and rest > 0:
        return claimed + _claim_in_turns(session, lane, moment, rest)
    return claimed + _claim(session, lane, moment, rest, URGENT + 1, BULK)


def _claim_in_turns(session: Session, lane: HeldLane, moment: datetime, size: int) -> list[int]:
    """Of the partners that send through the system's sender, some of the mail of each.

    The turn goes on from batch to batch, so that one partner's backlog delays nobody.
    """
    waiting = _waiting_partners(session, lane.sender_id, moment, _turn.get(lane.sender_id))
    claimed: list[int] = []
    for position, partner_id in enumerate(waiting):
        share = max(1, (size - len(claimed)) // (len(waiting) - position))
        claimed += _claim(session, lane, moment, share, URGENT + 1, BULK, partner_id)
        _turn[lane.sender_id] = partner_id
        if len(claimed) >= size:
            break
    return claimed


def _waiting_partners(
    session: Session, sender_id: int, moment: datetime, after: str | None
) -> list[str]:
    """Up to ten partners with something due, beginning after the one whose turn was last."""
    found: list[str] = []
    here = {"lane_sender": sender_id, "moment": moment}
    # Each step jumps to the next partner in the index; no backlog is walked through.
    position, wrapped = after, after is None
    while len(found) < _TURNS:
        statement = _FIRST_PARTNER if position is None else _NEXT_PARTNER
        following = session.scalar(statement, here | {"after": position})
        if following is None:
            if wrapped:
                break
            position, wrapped = None, True
            continue
        if following in found:
            break
        found.append(following)
        position = following
    return found


def _claim(
    session: Session,
    lane: HeldLane,
    moment: datetime,
    size: int,
    first: int,
    last: int,
    partner_id: str | None = None,
) -> list[int]:
    if size <= 0:
        return []
    due = {
        "lane_sender": lane.sender_id,
        "moment": moment,
        "from_priority": first,
        "to_priority": last,
        "most": size,
    }
    statements = _OF_ALL
    if partner_id is not None:
        due["only_partner"] = partner_id
        statements = _OF_PARTNER
    dialect = session.connection().dialect.name
    ids: list[int]
    if dialect == "postgresql":
        rows = session.execute(statements.at_once, due | {"new_lease": lane.lease}).all()
        return [row[0] for row in sorted(rows, key=lambda row: (row[1], row[2], row[0]))]
    if dialect == "sqlite":
        ids = [row[-1] for row in sorted(json.loads(session.scalar(statements.listed, due)))]
    else:
        ids = list(session.scalars(statements.locked, due))
    if ids:
        session.execute(_take_these(dialect), {"ids": ids, "new_lease": lane.lease})
    return ids


def _no_larger(session: Session, claimed: list[int]) -> list[int]:
    """The first of *claimed* whose mails may be held in memory together; the others go back."""
    dialect = session.connection().dialect.name
    if session.scalar(_total_size(dialect), {"ids": claimed}) <= _MOST_BYTES:
        return claimed
    sizes = {row[0]: row[1] for row in session.execute(_sizes(dialect), {"ids": claimed})}
    total, count = 0, 0
    for one in claimed:
        total += sizes[one]
        if count and total > _MOST_BYTES:
            session.execute(_RETURN_THESE, {"ids": claimed[count:]})
            break
        count += 1
    return claimed[:count]


def _load(session: Session, ids: list[int]) -> list[Claimed]:
    statement = _messages(session.connection().dialect.name)
    by_id = {row[0]: Claimed(*row) for row in session.execute(statement, {"ids": ids})}
    return [by_id[one] for one in ids]
