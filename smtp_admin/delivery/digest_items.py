"""Notices that wait to become one mail: kept, found by their ids, cancelled.

A recipient's notices go together once the first of them is due. So nobody has to look, while one
is being kept, what waits already: transactions that keep some at the same time need no lock.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now
from smtp_admin.delivery.digest_models import IS_WAITING, DigestItem, ItemState
from smtp_admin.delivery.public_ids import is_public_id, new_public_id
from smtp_admin.errors import Conflict
from smtp_admin.translation import gettext

Period = Literal["hour", "day"]
PERIODS: dict[Period, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_ITEMS: Any = DigestItem.__table__


class Group(NamedTuple):
    """Whose notices become one mail."""

    partner_id: str
    recipient_key: str
    sender_key: str | None

    @property
    def waits(self) -> ColumnElement[bool]:
        """Whether an item is one of these and still waits."""
        mine = (
            (DigestItem.partner_id == self.partner_id)
            & (DigestItem.recipient_key == self.recipient_key)
            & DigestItem.sender_key.is_not_distinct_from(self.sender_key)
        )
        return mine & IS_WAITING


@dataclass(frozen=True, slots=True)
class Item:
    """A notice as people see it.

    Attributes:
        goes_at: when its digest is due, while it waits.
        message_id: the public id of the mail that tells it.
    """

    public_id: str
    partner_id: str
    recipient: str
    type_name: str
    title: str
    text: str
    url: str
    state: ItemState
    created_at: datetime
    ended_at: datetime | None
    message_id: str | None
    error: str
    goes_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "id": self.public_id,
            "partner_id": self.partner_id,
            "type": self.type_name,
            "recipient": self.recipient,
            "title": self.title,
            "state": self.state,
            "kept_at": self.created_at.isoformat(),
            "goes_at": self.goes_at.isoformat() if self.goes_at else None,
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "mail": self.message_id,
            "error": self.error,
        }


class Kept(NamedTuple):
    """A notice that waits; not ``new`` if it is an earlier one, with the same key."""

    public_id: str
    new: bool


def keep(session: Session, values: dict[str, Any], period: Period) -> Kept:
    """Keep a notice in the caller's transaction, or find the first one with its key.

    Args:
        values: the columns that say what it is and whose.
    """
    public_id = new_public_id()
    key = values["idempotency_key"]
    with session.no_autoflush:
        if key is not None:
            known = known_id(session, values["partner_id"], key)
            if known is not None:
                return Kept(known, new=False)
        due = database_now(session) + PERIODS[period]
        connection = session.connection()
        row = values | {"public_id": public_id, "due_at": due}
        if key is None:
            connection.execute(insert(_ITEMS), row)
            return Kept(public_id, new=True)
        connection.execute(_once(connection.dialect.name), row)
        # Another transaction may have been faster.
        first = known_id(session, values["partner_id"], key, newest=True) or public_id
        return Kept(first, first == public_id)


def known_id(
    session: Session, partner_id: str, idempotency_key: str, *, newest: bool = False
) -> str | None:
    """The public id of the notice that this partner kept with this key, if there is one.

    Args:
        newest: also see what was committed after this transaction first looked at the database.
    """
    found = select(DigestItem.public_id).where(
        DigestItem.partner_id == partner_id, DigestItem.idempotency_key == idempotency_key
    )
    if newest and session.connection().dialect.name in {"mysql", "mariadb"}:
        # A repeatable read would not see it; a locking one does.
        found = found.with_for_update(read=True)
    with session.no_autoflush:
        return session.scalar(found)


@lru_cache
def _once(dialect: str) -> Any:
    if dialect == "postgresql":
        return postgresql.insert(_ITEMS).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(_ITEMS).on_conflict_do_nothing()
    return mysql.insert(_ITEMS).on_duplicate_key_update(id=_ITEMS.c.id)


def find_item(
    session: Session, public_id: str, partner_ids: Collection[str] | None = None
) -> Item | None:
    """The notice of this id, if there is one.

    Args:
        partner_ids: whose; ``None`` for everybody's. What is not theirs must not show.
    """
    if not is_public_id(public_id):
        return None
    found = select(
        DigestItem.public_id,
        DigestItem.partner_id,
        DigestItem.recipient,
        DigestItem.type_name,
        DigestItem.title,
        DigestItem.text,
        DigestItem.url,
        DigestItem.state,
        DigestItem.created_at,
        DigestItem.ended_at,
        DigestItem.message_id,
        DigestItem.last_error,
        DigestItem.recipient_key,
        DigestItem.sender_key,
    ).where(DigestItem.public_id == public_id)
    if partner_ids is not None:
        found = found.where(DigestItem.partner_id.in_(sorted(partner_ids)))
    row = session.execute(found).first()
    if row is None:
        return None
    goes_at = None
    if row.state == "waiting":
        group = Group(row.partner_id, row.recipient_key, row.sender_key)
        goes_at = session.scalar(select(func.min(DigestItem.due_at)).where(group.waits))
    shown: list[Any] = [*row[:-2], goes_at]
    return Item(*shown)


def cancel_item(session: Session, public_id: str) -> int:
    """Do not tell a notice that still waits; 1. The caller commits.

    Raises:
        Conflict: it does not wait any more.
    """
    mine = update(DigestItem).where(DigestItem.public_id == public_id, IS_WAITING)
    ended = {"state": "cancelled", "ended_at": database_now(session)}
    if changed(session, mine.values(**ended)):
        return 1
    raise Conflict(
        gettext(
            "The notice %(public_id)s does not wait for its digest any more, so nothing was"
            " cancelled.",
            public_id=public_id,
        )
    )
