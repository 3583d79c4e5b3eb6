"""Claim due deliveries in one short transaction, and load what they need.

The claim itself registers the attempt: whatever happens afterwards, a delivery that may have
been sent is never again simply ``queued``.
"""

import json
import math
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, reading, transaction
from smtp_admin.database_errors import is_contention
from smtp_admin.delivery.claim_statements import (
    FIRST_PARTNER,
    NEXT_PARTNER,
    OF_ALL,
    OF_PARTNER,
    RETURN_THESE,
    SENDER,
    messages_of,
    sizes_of,
    take_these,
    total_size,
)
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.limits import allowance
from smtp_admin.delivery.models import BULK, URGENT
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, resolve


@dataclass(slots=True)
class Claimed:
    """One delivery that is ours to send, with its bytes.

    Nobody changes one. It is not frozen because one is made for each mail, and Python takes longer
    to make a frozen one than a driver takes to read the row.
    """

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
    #: Whether its recipients may unsubscribe from such mail.
    notice: bool
    #: Its partner has suppressions, and it is a mail that they count for.
    may_be_suppressed: bool

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
        pauses: how often in a row the sender had to pause.
    """

    sender: ResolvedSender
    deliveries: list[Claimed]
    moment: datetime
    more: bool
    began: float = field(default_factory=time.monotonic)
    pauses: int = 0

    @property
    def too_old_at(self) -> float:
        """When the first of them is too old to be sent, by this machine's monotonic clock."""
        ends = min((one.expires_at for one in self.deliveries if one.expires_at), default=None)
        return math.inf if ends is None else self.began + (ends - self.moment).total_seconds()

    def now(self) -> datetime:
        """The database's time by now, without asking it again."""
        return self.moment + timedelta(seconds=time.monotonic() - self.began)


#: A batch holds so many bytes of mail; a single larger one is held all the same.
_MOST_BYTES = 4 * 1024 * 1024
#: While a sender has had nothing accepted: its server may be one of hundreds that say nothing.
_FIRST_BYTES = 256 * 1024
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
        row = session.execute(SENDER, {"lane": lane.lane_id, "our_lease": lane.lease}).first()
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
        known_well = row[0].last_accepted_at is not None
        ids = _no_larger(session, claimed, _MOST_BYTES if known_well else _FIRST_BYTES)
        # Partners who take turns may be more than had one.
        more = len(claimed) >= size or len(ids) < len(claimed) or sender.partner_id == SYSTEM
        locks_all = session.connection().dialect.name == "sqlite"
        deliveries = [] if locks_all else _load(session, ids)
    if locks_all:
        # They are ours by now, and meanwhile others may write.
        with reading(database) as session:
            deliveries = _load(session, ids)
    return Batch(sender, deliveries, moment, more, began, row[0].pauses)


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
        statement = FIRST_PARTNER if position is None else NEXT_PARTNER
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
    statements = OF_ALL
    if partner_id is not None:
        due["only_partner"] = partner_id
        statements = OF_PARTNER
    database = session.connection()  # what it finds are numbers, not objects of the session's
    dialect = database.dialect.name
    ids: list[int]
    if dialect == "postgresql":
        rows = database.execute(statements.at_once, due | {"new_lease": lane.lease}).all()
        return [row[0] for row in sorted(rows, key=lambda row: (row[1], row[2], row[0]))]
    if dialect == "sqlite":
        ids = [row[-1] for row in sorted(json.loads(database.scalar(statements.listed, due)))]
    else:
        ids = list(database.scalars(statements.locked, due))
    if ids:
        database.execute(take_these(dialect), {"ids": ids, "new_lease": lane.lease})
    return ids


def _no_larger(session: Session, claimed: list[int], most: int) -> list[int]:
    """The first of *claimed* whose mails have *most* bytes together; the others go back."""
    database = session.connection()
    dialect = database.dialect.name
    if database.scalar(total_size(dialect), {"ids": claimed}) <= most:
        return claimed
    sizes = {row[0]: row[1] for row in database.execute(sizes_of(dialect), {"ids": claimed})}
    total, count = 0, 0
    for one in claimed:
        total += sizes[one]
        if count and total > most:
            database.execute(RETURN_THESE, {"ids": claimed[count:]})
            break
        count += 1
    return claimed[:count]


def _load(session: Session, ids: list[int]) -> list[Claimed]:
    database = session.connection()
    statement = messages_of(database.dialect.name)
    by_id = {row[0]: Claimed(*row) for row in database.execute(statement, {"ids": ids})}
    return [by_id[one] for one in ids]
