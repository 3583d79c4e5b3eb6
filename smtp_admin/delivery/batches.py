"""Batches in the database: begun once for each key, filled in steps, cancelled, resumed, counted.

A batch holds each recipient once, so that a run that broke off is simply repeated. Its row is the
lock under which it is filled: whoever fills a batch that was cancelled meanwhile is told so, and
what they had not committed is gone.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import String, bindparam, func, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, is_one_of
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.public_ids import is_public_id, new_public_id
from smtp_admin.errors import Conflict, NotFound, TooLarge
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

_BATCHES: Any = Batch.__table__
#: A larger batch is not counted while a worker's count is no older.
_FRESH_SECONDS, _FEW = 20.0, 2000


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch to put mail into.

    Attributes:
        new: nobody can have put anything into it before.
    """

    id: int
    public_id: str
    sender_key: str | None
    new: bool


def begin(
    session: Session,
    partner_id: str,
    type_name: str,
    *,
    key: str | None = None,
    label: str = "",
    sender_key: str | None = None,
    total: int = 0,
    created_by: str = "",
) -> Begun:
    """A new batch, or the one of this partner that has the key.

    Raises:
        Conflict: the one that has it was cancelled, or is of another type.
        TooLarge: it is to have more mails than a batch may.
    """
    _check_size(total)
    public_id = new_public_id()
    row = {
        "public_id": public_id,
        "partner_id": partner_id,
        "key": key,
        "label": label[:200] or (key or ""),
        "type_name": type_name,
        "sender_key": sender_key,
        "total": total,
        "created_by": created_by[:200],
    }
    with session.no_autoflush:
        if key is None or _by_key(session, partner_id, key) is None:
            session.execute(_once(session.connection().dialect.name), row)
        mine = Batch.public_id == public_id
        if key is not None:
            mine = (Batch.partner_id == partner_id) & (Batch.key == key)
        found = session.execute(select(*_BATCHES.c).where(mine).with_for_update()).one()
    if found.type_name != type_name:
        raise Conflict(f"The batch {key!r} already exists, with mail of type {found.type_name}.")
    if found.cancelled_at is not None:
        raise Conflict(
            f"The batch {key!r} was cancelled; nothing was queued.",
            hint="Resume it to queue what was not sent: resume=True, or --resume.",
        )
    if total > found.total:
        _change(session, found.id, total=total)
    return Begun(found.id, found.public_id, found.sender_key, found.public_id == public_id)


def _by_key(session: Session, partner_id: str, key: str) -> Any:
    mine = (Batch.partner_id == partner_id, Batch.key == key)
    return session.execute(select(Batch.id).where(*mine)).first()


def cancelled_with_key(session: Session, partner_id: str, type_name: str, key: str) -> int | None:
    """The id of the batch of this type and key, if it was cancelled."""
    mine = (
        Batch.partner_id == partner_id,
        Batch.key == key,
        Batch.type_name == type_name,
        Batch.cancelled_at.is_not(None),
    )
    with session.no_autoflush:
        # With a lock, for MariaDB's snapshot may be older than the end of the batch.
        return session.scalar(select(Batch.id).where(*mine).with_for_update())


@lru_cache
def _once(dialect: str) -> Any:
    if dialect == "postgresql":
        return postgresql.insert(_BATCHES).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(_BATCHES).on_conflict_do_nothing()
    return mysql.insert(_BATCHES).on_duplicate_key_update(id=_BATCHES.c.id)


def _change(session: Session, batch_id: int, **values: Any) -> None:
    changed(session, update(Batch).where(Batch.id == batch_id).values(**values))


def recipient_hash(batch_id: int, address: str) -> str:
    """What stands for a recipient within one batch; another batch has another for the same."""
    salt = batch_id.to_bytes(8, "big")
    return hashlib.blake2b(address.lower().encode(), digest_size=16, key=salt).hexdigest()


def known_recipients(session: Session, batch_id: int, hashes: Collection[str]) -> set[str]:
    """Which of these recipients the batch has already."""
    statement = _recipients(session.connection().dialect.name)
    asked = {"batch": batch_id, "hashes": list(hashes)}
    return set(session.scalars(statement, asked))


@lru_cache
def _recipients(dialect: str) -> Any:
    return select(Message.batch_recipient).where(
        Message.batch_id == bindparam("batch"),
        is_one_of(Message.batch_recipient, "hashes", dialect, String),
    )


def note_queued(session: Session, batch_id: int, queued: int, suppressed: int) -> None:
    """Note that so many more of a batch were queued; in the transaction that queued them.

    Raises:
        Conflict: it was cancelled meanwhile.
        TooLarge: it has more mails than a batch may.
    """
    more = (
        update(Batch)
        .where(Batch.id == batch_id, Batch.cancelled_at.is_(None))
        .values(
            queued=Batch.queued + queued, suppressed=Batch.suppressed + suppressed, settled=False
        )
    )
    if not changed(session, more):
        if session.scalar(select(Batch.id).where(Batch.id == batch_id)) is None:
            raise Conflict(
                "The transaction that started the batch was rolled back. Nothing was queued."
            )
        raise Conflict("The batch was cancelled; the rest was not queued.")
    # A locking read: MariaDB's snapshot may be older than the batch, and a change of nothing
    # does not show it.
    reread = select(Batch.queued, Batch.total).where(Batch.id == batch_id).with_for_update()
    row = session.execute(reread).one()
    _check_size(row.queued)
    if row.queued > row.total:
        _change(session, batch_id, total=row.queued)


def note_complete(session: Session, batch_id: int) -> None:
    """Note that a batch has all recipients that it is to have."""
    _change(session, batch_id, total=Batch.queued, settled=False)


def _check_size(count: int) -> None:
    limit = installation().config.batch_limit
    if count > limit:
        raise TooLarge(
            f"This batch has more than {limit} mails.",
            hint="Split it, or ask the platform's operator to raise SMTP_ADMIN_BATCH_LIMIT.",
        )


@dataclass(frozen=True, slots=True)
class BatchSeen:
    """A batch as it stands.

    Attributes:
        total: recipients that it is to have, as far as that is known.
        queued: those that are in the queue or were; what is missing was not reached yet.
        states: how many of these are in each state, without copies to an archive.
        cancelled_at: when somebody cancelled it.
    """

    id: str
    partner_id: str
    key: str | None
    label: str
    type: str
    sender: str | None
    total: int
    queued: int
    suppressed: int
    states: Mapping[str, int]
    created_by: str
    created_at: datetime
    cancelled_at: datetime | None

    @property
    def waiting(self) -> int:
        """Those that are still to be sent."""
        return self.states.get("queued", 0) + self.states.get("sending", 0)

    @property
    def done(self) -> int:
        """Those with which nothing more will happen by itself."""
        return sum(self.states.values()) - self.waiting

    @property
    def dealt_with(self) -> int:
        """The same without what was cancelled together with the batch: a bar full of that lies."""
        cancelled = self.states.get("cancelled", 0) if self.cancelled_at is not None else 0
        return self.done - cancelled

    @property
    def progress(self) -> float:
        """The part of all that is done, from 0 to 1."""
        return self.done / self.total if self.total else 0.0

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {
            "id": self.id,
            "partner_id": self.partner_id,
            "label": self.label,
            "key": self.key,
            "type": self.type,
            "sender": self.sender,
            "total": self.total,
            "queued": self.queued,
            "suppressed": self.suppressed,
            "waiting": self.waiting,
            "done": self.done,
            "progress": round(self.progress, 4),
            "states": dict(self.states),
            "created_by": self.created_by,
            "created_at": self.created_at.isoformat(),
            "cancelled_at": self.cancelled_at.isoformat() if self.cancelled_at else None,
        }


def show_batch(session: Session, public_id: str, partner_id: str | None = None) -> BatchSeen:
    """One batch, counted now if anything of it can still change.

    Raises:
        NotFound: there is no such batch, or it is not this partner's.
    """
    row = find_batch(session, public_id, partner_id)
    # Of a finished one the mail itself may be forgotten by now.
    kept = json.loads(row.counts) if row.settled else count_states(session, [row.id])[row.id]
    return _seen(row, kept)


def batch_in_scope(
    session: Session, public_id: str, partner_ids: Collection[str] | None
) -> BatchSeen:
    """One batch of these partners, or of anybody for ``None``.

    Raises:
        NotFound: there is no such batch, or it is somebody else's: the two look the same.
    """
    try:
        found = show_batch(session, public_id)
    except NotFound as error:
        raise NotFound from error
    if partner_ids is not None and found.partner_id not in partner_ids:
        raise NotFound
    return found


def list_batches(
    session: Session, *, partner_id: str | None = None, limit: int = 50
) -> list[BatchSeen]:
    """The newest batches; a finished one, and one that a worker counts, is not counted again."""
    statement = select(*_BATCHES.c).order_by(Batch.id.desc()).limit(limit)
    if partner_id is not None:
        statement = statement.where(Batch.partner_id == partner_id)
    return seen_batches(session, session.execute(statement).all())


def seen_batches(session: Session, rows: Sequence[Any]) -> list[BatchSeen]:
    """These rows as they stand."""
    moment = database_now(session)
    stale = [row.id for row in rows if not row.settled and not _is_kept(row, moment)]
    counted = count_states(session, stale)
    return [_seen(row, counted.get(row.id) or json.loads(row.counts)) for row in rows]


def _is_kept(row: Any, moment: datetime) -> bool:
    """Whether a worker's count of a batch will do."""
    at = row.counted_at
    fresh = at is not None and (moment - at).total_seconds() < _FRESH_SECONDS
    return fresh and row.total > _FEW


def find_batch(session: Session, public_id: str, partner_id: str | None = None) -> Any:
    """The row of a batch.

    Raises:
        NotFound: as :func:`show_batch`.
    """
    row = None
    if is_public_id(public_id):
        mine = select(*_BATCHES.c).where(Batch.public_id == public_id)
        row = session.execute(mine).first()
    if row is None or partner_id not in {None, row.partner_id}:
        raise NotFound(gettext("There is no batch %(public_id)s.", public_id=public_id[:40]))
    return row


def _seen(row: Any, states: Mapping[str, int]) -> BatchSeen:
    return BatchSeen(
        id=row.public_id,
        partner_id=row.partner_id,
        key=row.key,
        label=row.label,
        type=row.type_name,
        sender=row.sender_key,
        total=row.total,
        queued=row.queued,
        suppressed=row.suppressed,
        states=states,
        created_by=row.created_by,
        created_at=row.created_at,
        cancelled_at=row.cancelled_at,
    )


def count_states(session: Session, batch_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Batch → state → how many, from an index alone."""
    found: dict[int, dict[str, int]] = {one: {} for one in batch_ids}
    if not batch_ids:
        return found
    statement = (
        select(Delivery.batch_id, Delivery.state, func.count())
        .where(Delivery.batch_id.in_(batch_ids), Delivery.archive.is_(False))
        .group_by(Delivery.batch_id, Delivery.state)
    )
    for batch_id, state, count in session.execute(statement):
        found[int(batch_id or 0)][str(state)] = int(count)
    return found
