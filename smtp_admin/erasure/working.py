"""Who erases: whoever asks, for as long as they may wait, and then a worker.

What was asked for is a row until nothing is left to do. A round and what the row says about it are
one transaction, so whoever is killed leaves the truth behind, and one line in the audit log.
"""

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import record, refuse_many_changes
from smtp_admin.database import SYSTEM, changed, database_now, reading, transaction
from smtp_admin.delivery.acts import NOBODY, Doer
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.erasure.erasing import Erased, Round, count_left, rounds
from smtp_admin.erasure.finding import Search
from smtp_admin.erasure.models import Erasure
from smtp_admin.erasure.places import PLACES
from smtp_admin.host import Actor
from smtp_admin.steps import in_step
from smtp_admin.suppression.reading import address_hash

log = logging.getLogger(__name__)

#: How often a worker looks for what is left, and how long it is at it each time.
LOOK_SECONDS, _SLICE_SECONDS = 10.0, 30.0
#: A round takes a second, and to look through a large table some more; whoever is silent for so
#: long was killed.
_LEASE = timedelta(minutes=2)
#: What is being sent, or waited for by others, is looked at again, ever later.
_SOON, _LATE = timedelta(minutes=1), timedelta(days=1)
#: Mail that comes later is none of the person's wish: perhaps it tells them that it was done.
_BOUNDED = (Message, Delivery, DigestItem)
_TABLE: Any = Erasure.__table__


@dataclass(frozen=True, slots=True)
class Open:
    """An erasure that is not over, for people.

    Attributes:
        count: records that were erased so far.
    """

    address: str
    count: int


@dataclass(slots=True)
class _Work:
    """One erasure that is ours for now."""

    id: int
    lease: str
    search: Search
    audits: Sequence[int]
    asked_at: datetime
    done: Erased = field(default_factory=Erased)


class _TakenOver(Exception):
    """Another goes on with it: what this round did is taken back."""


def erase(
    engine: Engine,
    actor: Actor,
    search: Search,
    *,
    seconds: float | None = None,
    tell: Callable[[Erased], None] = lambda _done: None,
) -> Erased:
    """Erase what is known about an address now.

    Args:
        seconds: how long to be at it; a worker does the rest.
        tell: is told how far it is, after each round.

    Raises:
        RateLimited: this person changes too much.
    """
    return _go_on(engine, _asked(engine, actor, search), seconds, tell, lambda: False)


def erase_rest(engine: Engine, stopped: Callable[[], bool] = lambda: False) -> int:
    """Go on with what nobody is at; how many are over now. A worker's duty."""
    ends = time.monotonic() + _SLICE_SECONDS
    count = 0
    while not stopped() and (left := ends - time.monotonic()) > 0:
        work = _waiting(engine)
        if work is None:
            break
        count += _go_on(engine, work, left, lambda _done: None, stopped).complete
    return count


def open_erasures(session: Session, partner_ids: Collection[str] | None) -> list[Open]:
    """What is not over, oldest first: all of it, or what concerns these partners alone."""
    rows = session.scalars(select(Erasure).order_by(Erasure.id)).all()
    return [
        Open(row.address, sum(row.counts.values()))
        for row in rows
        if partner_ids is None
        or (row.partner_ids is not None and {*row.partner_ids} <= {*partner_ids})
    ]


def _asked(engine: Engine, actor: Actor, search: Search) -> _Work:
    """Write down what is to be erased, up to what there is now, and take it."""
    owners = [SYSTEM] if search.partner_ids is None else [*search.partner_ids]
    lease = secrets.token_hex(16)
    with transaction(engine) as session:
        refuse_many_changes(session, actor)
        rows = [record(session, actor, one, "address.erased", _detail(search, 0)) for one in owners]
        session.flush()
        moment = database_now(session)
        search = replace(search, until=_last_rows(session))
        values: dict[str, Any] = {
            "until": dict(search.until),
            "counts": {},
            "audits": [one.id for one in rows],
            "lease": lease,
            "next_at": moment + _LEASE,
            "asked_at": moment,
        }
        what = _what(search)
        asked = {
            "what": what,
            "address": search.address,
            "partner_ids": None if search.partner_ids is None else owners,
            "texts": search.texts,
        }
        session.execute(_once(session.connection().dialect.name), asked | values)
        mine = Erasure.what == what
        changed(session, update(Erasure).where(mine).values(**values))
        found = session.scalar(select(Erasure.id).where(mine))
    if found is None:  # pragma: no cover - it was written just now
        raise RuntimeError("the erasure was not written down")
    return _Work(found, lease, search, values["audits"], moment)


def _what(search: Search) -> str:
    owners = None if search.partner_ids is None else sorted(search.partner_ids)
    asked = json.dumps([search.address, owners, search.texts])
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


@lru_cache
def _once(dialect: str) -> Any:
    if dialect == "postgresql":
        return postgresql.insert(_TABLE).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(_TABLE).on_conflict_do_nothing()
    return mysql.insert(_TABLE).on_duplicate_key_update(id=_TABLE.c.id)


def _last_rows(session: Session) -> dict[str, int]:
    places = [one for one in PLACES if one.model in _BOUNDED]
    return {one.key: session.scalar(select(func.max(one.column("id")))) or 0 for one in places}


def _waiting(engine: Engine) -> _Work | None:
    """Take one that nobody is at."""
    with reading(engine) as session:
        free = select(Erasure).where(Erasure.next_at <= database_now(session))
        row = session.scalars(free.order_by(Erasure.next_at).limit(1)).first()
    if row is None:
        return None
    work = _Work(
        row.id,
        secrets.token_hex(16),
        Search(row.address, row.partner_ids, row.texts, row.until),
        row.audits,
        row.asked_at,
        Erased(dict(row.counts)),
    )
    with transaction(engine) as session:
        mine = (Erasure.id == row.id, Erasure.lease == row.lease, Erasure.next_at == row.next_at)
        taken = {"lease": work.lease, "next_at": database_now(session) + _LEASE}
        return work if changed(session, update(Erasure).where(*mine).values(**taken)) else None


def _go_on(
    engine: Engine,
    work: _Work,
    seconds: float | None,
    tell: Callable[[Erased], None],
    stopped: Callable[[], bool],
) -> Erased:
    ends = None if seconds is None else time.monotonic() + seconds
    try:
        for one in rounds(engine, work.search, _asked_by(engine, work)):
            work.done = in_step(engine, partial(_round, work=work, one=one))
            tell(work.done)
            if stopped() or (ends is not None and time.monotonic() >= ends):
                with transaction(engine) as session:
                    _note(session, work, work.done, timedelta())  # a worker may begin at once
                return work.done
        _close(engine, work)
    except _TakenOver:
        log.info("an erasure was taken over by another process")
    return work.done


def _round(session: Session, work: _Work, one: Round) -> Erased:
    """How far it is with one round more, which may begin again: it counts once."""
    done = replace(work.done, counts=dict(work.done.counts))
    one(session, done)
    _note(session, work, done, _LEASE)
    return done


def _asked_by(engine: Engine, work: _Work) -> Doer:
    asked = select(Audit.actor_id, Audit.actor_email).where(Audit.id.in_(work.audits))
    with reading(engine) as session:
        found = session.execute(asked.limit(1)).first()
    return NOBODY if found is None else Doer(*found)


def _note(session: Session, work: _Work, done: Erased, rest: timedelta) -> None:
    """Write down how far it is, in the row and in the audit log.

    Args:
        done: what came of it so far.
        rest: how long nobody else is to take it.
    """
    mine = (Erasure.id == work.id, Erasure.lease == work.lease)
    values = {"counts": done.counts, "next_at": database_now(session) + rest}
    if not changed(session, update(Erasure).where(*mine).values(**values)):
        raise _TakenOver
    said = update(Audit).where(Audit.id.in_(work.audits))
    changed(session, said.values(detail=_detail(work.search, done.count)))


def _close(engine: Engine, work: _Work) -> None:
    """Every place had its turn: forget it, or keep what others still need for later."""
    with transaction(engine) as session:
        work.done.under_way = count_left(session, work.search)
        # What is being sent to the address keeps its text for that alone.
        work.done.needed = max(0, work.done.needed - work.done.under_way)
        work.done.over = True
        _note(
            session, work, work.done, min(max(database_now(session) - work.asked_at, _SOON), _LATE)
        )
        if work.done.complete:
            changed(session, delete(Erasure).where(Erasure.id == work.id))


def _detail(search: Search, count: int) -> str:
    return f"{count} records of {address_hash(search.address)}"
