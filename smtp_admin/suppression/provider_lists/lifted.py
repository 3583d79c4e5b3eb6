"""What was lifted here and is to leave the lists of providers too: kept until a worker did it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import among, changed, database_now
from smtp_admin.database_errors import begin_again
from smtp_admin.suppression.models import ProviderRemoval, Suppression
from smtp_admin.suppression.reading import address_hash
from smtp_admin.suppression.reasons import ALL, NOTICES

_KEY = ["address_hash", "partner_id", "category", "reason"]
#: Whoever holds several rows took them in this order; else two would wait for each other.
ORDER = (ProviderRemoval.address_hash, ProviderRemoval.category, ProviderRemoval.reason)
#: Rows that are held at once.
AT_ONCE = 500
#: So long nobody else asks the providers: all of a partner take ten seconds.
LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Lifted:
    """One suppression of ours that was removed, by its address in plain."""

    address: str
    category: str
    reason: str


def lifted_of(rows: Sequence[Suppression], address: str = "") -> list[Lifted]:
    """What is about to be removed; not those of which only the hash is known.

    Args:
        address: of all of them, where the caller knows it.
    """
    # In small letters, as ours are kept, by whichever way it was asked for.
    found = [Lifted((address or one.address).lower(), one.category, one.reason) for one in rows]
    return [one for one in found if one.address]


@dataclass(frozen=True, slots=True)
class Lifting:
    """What was lifted of one partner's list.

    Attributes:
        count: how many rows there were.
        asked_at: by which the rows of the queue are known; ``None`` where none was written.
    """

    count: int
    lifted: tuple[Lifted, ...]
    asked_at: datetime | None


def remove_later(
    session: Session, partner_id: str, lifted: Sequence[Lifted], *, asks_now: bool = False
) -> datetime | None:
    """Let a worker take these off the lists of the partner's providers; the caller commits.

    What stood in the queue already begins anew, but nobody is asked about the same address twice a
    minute: whoever has the link of a notice may end it and begin again as often as they like.

    Args:
        asks_now: the caller asks the providers itself, and then calls :func:`note_asked`. A worker
            does it only if the caller dies before.

    Returns:
        The moment by which these rows are known.
    """
    if not lifted:
        return None
    moment = database_now(session)
    hashes = {address_hash(one.address) for one in lifted}
    later = {} if asks_now else _not_before(session, partner_id, hashes, moment)
    rows = [
        {
            "partner_id": partner_id,
            "address_hash": hashed,
            "address": one.address[:254],
            "category": one.category,
            "reason": one.reason,
            "asked_at": moment,
            "tries": 0,
            "next_try_at": moment + LEASE if asks_now else later.get(hashed, moment),
            "done_at": None,
            "trouble": "",
        }
        for one, hashed in ((one, address_hash(one.address)) for one in set(lifted))
    ]
    rows.sort(key=lambda row: (row["address_hash"], row["category"], row["reason"]))
    session.execute(_upsert(session.get_bind().dialect.name), rows)
    return moment


def note_asked(session: Session, partner_id: str, lifting: Lifting, *, again: bool) -> None:
    """Write down, and commit, that the providers were asked: it is over, or a worker goes on."""
    if lifting.asked_at is None:
        return
    hashes = sorted({address_hash(one.address) for one in lifting.lifted})
    for start in range(0, len(hashes), AT_ONCE):
        some = (
            ProviderRemoval.partner_id == partner_id,
            # What was asked for anew meanwhile stands as it is.
            ProviderRemoval.asked_at == lifting.asked_at,
            ProviderRemoval.address_hash.in_(hashes[start : start + AT_ONCE]),
        )

        def note(which: Sequence[ColumnElement[bool]] = some) -> None:
            moment = database_now(session)
            over = {"next_try_at": None, "done_at": moment}
            values = {"next_try_at": moment} if again else over
            mine = ProviderRemoval.id.in_(held(session, *which, wait=True))
            changed(session, update(ProviderRemoval).where(mine).values(values))
            session.commit()

        begin_again(note, session.rollback)


def held(
    session: Session, *which: ColumnElement[bool], wait: bool = False, most: int | None = None
) -> Sequence[int]:
    """The ids of some rows of the queue, which nobody else changes until the transaction ends.

    They are looked for first and locked by their keys: a search that locks would, on MariaDB, keep
    what it passes over locked too.

    Args:
        wait: for those that others hold; else they are left out.
        most: no more than these.
    """
    found = session.scalars(select(ProviderRemoval.id).where(*which).limit(most)).all()
    if not found:
        return ()
    again = select(ProviderRemoval.id).where(ProviderRemoval.id.in_(found), *which)
    return session.scalars(again.order_by(*ORDER).with_for_update(skip_locked=not wait)).all()


def waiting_of(session: Session, partner_id: str, address: str) -> int:
    """How much of an address waits to be taken off the lists of this partner's providers."""
    mine = (
        ProviderRemoval.partner_id == partner_id,
        ProviderRemoval.address_hash == address_hash(address),
        ProviderRemoval.next_try_at.is_not(None),
    )
    return session.scalar(select(func.count()).where(*mine)) or 0


def _not_before(
    session: Session, partner_id: str, hashes: set[str], moment: datetime
) -> dict[str, datetime]:
    """Hash of an address → when providers may be asked about it, if that is not at once.

    Of whichever row: each kind of notice has one of its own, and all of them the same calls.
    """
    soon = moment + _REST
    planned: dict[str, datetime] = {}
    rested: dict[str, datetime] = {}
    rows = select(
        ProviderRemoval.address_hash, ProviderRemoval.next_try_at, ProviderRemoval.done_at
    ).where(
        among(session, ProviderRemoval.address_hash, sorted(hashes)),
        ProviderRemoval.partner_id == partner_id,
    )
    for hashed, next_try_at, done_at in session.execute(rows):
        if next_try_at is not None and next_try_at > moment:
            planned[hashed] = min(next_try_at, planned.get(hashed, soon))
        elif done_at is not None and done_at > moment - _REST:
            rested[hashed] = soon
    # What is planned stays: who asks ever again must not put it off for ever.
    return rested | planned


#: After a call about an address, before the next one for somebody who waits for none.
_REST = timedelta(minutes=1)


@lru_cache
def _upsert(dialect: str) -> Any:
    table: Any = ProviderRemoval.__table__
    anew = ("asked_at", "tries", "next_try_at", "done_at", "trouble")
    if dialect in {"mysql", "mariadb"}:
        row = mysql.insert(table)
        return row.on_duplicate_key_update({name: row.inserted[name] for name in anew})
    new: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return new.on_conflict_do_update(
        index_elements=_KEY, set_={name: new.excluded[name] for name in anew}
    )


class Awaited:
    """What is to leave a partner's lists, or left them since a moment: nobody imports that.

    Who reads a list while an address is being taken off it may have read it before.
    """

    def __init__(self, session: Session, partner_id: str, since: datetime) -> None:
        rows = session.execute(
            select(
                ProviderRemoval.address_hash, ProviderRemoval.category, ProviderRemoval.reason
            ).where(
                ProviderRemoval.partner_id == partner_id,
                or_(ProviderRemoval.next_try_at.is_not(None), ProviderRemoval.done_at >= since),
            )
        )
        self._of: dict[str, list[tuple[str, str]]] = {}
        for hashed, category, reason in rows:
            self._of.setdefault(hashed, []).append((category, reason))

    def has(self, row: dict[str, Any]) -> bool:
        """Whether *row*, of a list that was read, is one of them."""
        return any(
            reason == row["reason"]
            or category == ALL
            or (category == NOTICES and row["category"] == NOTICES)
            for category, reason in self._of.get(row["address_hash"], ())
        )
