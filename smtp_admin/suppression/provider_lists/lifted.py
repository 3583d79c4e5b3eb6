"""What was lifted here and is to leave the lists of providers too: kept until a worker did it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.suppression.models import ProviderRemoval, Suppression
from smtp_admin.suppression.reading import address_hash
from smtp_admin.suppression.reasons import ALL, NOTICES

_KEY = ["address_hash", "partner_id", "category", "reason"]


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


def remove_later(session: Session, partner_id: str, lifted: Sequence[Lifted]) -> None:
    """Let a worker take these off the lists of the partner's providers; the caller commits.

    Nobody waits for it: what stood in the queue already begins anew.
    """
    if not lifted:
        return
    moment = database_now(session)
    rows = [
        {
            "partner_id": partner_id,
            "address_hash": address_hash(one.address),
            "address": one.address[:254],
            "category": one.category,
            "reason": one.reason,
            "asked_at": moment,
            "tries": 0,
            "next_try_at": moment,
            "done_at": None,
            "trouble": "",
        }
        for one in sorted(set(lifted), key=lambda one: (one.address, one.category, one.reason))
    ]
    session.execute(_upsert(session.get_bind().dialect.name), rows)


def waiting_of(session: Session, partner_id: str, address: str) -> int:
    """How much of an address waits to be taken off the lists of this partner's providers."""
    mine = (
        ProviderRemoval.partner_id == partner_id,
        ProviderRemoval.address_hash == address_hash(address),
        ProviderRemoval.next_try_at.is_not(None),
    )
    return session.scalar(select(func.count()).where(*mine)) or 0


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
