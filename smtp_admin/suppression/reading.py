"""Look up which addresses are suppressed, for mail that is queued and for lists."""

import hashlib
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import String, bindparam, select
from sqlalchemy.orm import Session

from smtp_admin.database import is_one_of
from smtp_admin.suppression.models import Preference, Suppression
from smtp_admin.suppression.reasons import covers, strength

_HASH_LETTERS = 32
_HASH = re.compile("[0-9a-f]{32}")


class Found(NamedTuple):
    """One suppression of an address."""

    category: str
    reason: str
    detail: str


def address_hash(address: str) -> str:
    """What stands for an address; the same however its letters are written.

    Without a secret: it must stay the same when keys change, and outlive the address itself. Who
    has a list of addresses can find those that are in the table, and nobody else can.
    """
    return hashlib.sha256(address.strip().lower().encode("utf-8")).hexdigest()[:_HASH_LETTERS]


def has_any(session: Session, partner_id: str) -> bool:
    """Whether any address is suppressed for this partner."""
    with session.no_autoflush:
        return session.scalar(_ANY, {"partner": partner_id}) is not None


_ANY = select(Suppression.id).where(Suppression.partner_id == bindparam("partner")).limit(1)


def is_hash(text: str) -> bool:
    """Whether *text* stands for an address that was erased, as in lists that we wrote."""
    return bool(_HASH.fullmatch(text))


class Suppressed:
    """The suppressions of some addresses of partners; false where there is none."""

    def __init__(self, session: Session, wanted: Iterable[tuple[str, str]]) -> None:
        """Look them up.

        Args:
            wanted: ids of partners with an address each.
        """
        self._found: dict[tuple[str, str], list[Found]] = {}
        hashes = sorted({address_hash(address) for _, address in wanted})
        if not hashes:
            return
        with session.no_autoflush:
            rows = session.execute(_rows(session.connection().dialect.name), {"hashes": hashes})
        for partner_id, hashed, *words in rows:
            self._found.setdefault((partner_id, hashed), []).append(Found(*words))

    def __bool__(self) -> bool:
        return bool(self._found)

    def has(
        self, partner_id: str, address: str, category: str, reasons: Collection[str] = ()
    ) -> bool:
        """Whether the address is suppressed for just this category.

        Args:
            reasons: for one of these; for any if left out.
        """
        found = self._found.get((partner_id, address_hash(address)), ())
        return any(
            one.category == category and (not reasons or one.reason in reasons) for one in found
        )

    def stops(self, partner_id: str, address: str, type_name: str, *, notice: bool) -> Found | None:
        """What stops a mail of this type, if anything does: of several the strongest."""
        found = self._found.get((partner_id, address_hash(address)), ())
        stopping = [one for one in found if covers(one.category, type_name, notice=notice)]
        return min(stopping, key=lambda one: strength(one.reason), default=None)


@lru_cache
def _rows(dialect: str) -> Any:
    return select(
        Suppression.partner_id,
        Suppression.address_hash,
        Suppression.category,
        Suppression.reason,
        Suppression.detail,
    ).where(is_one_of(Suppression.address_hash, "hashes", dialect, String))


def suppressions_of(
    session: Session,
    partner_id: str,
    address: str,
    *,
    categories: Collection[str] = (),
    reasons: Collection[str] = (),
) -> list[Suppression]:
    """What stands against one address of a partner, the strongest first.

    Args:
        categories: only these; else all.
        reasons: only what came for these; else all.
    """
    mine = select(Suppression).where(
        Suppression.address_hash == address_hash(address), Suppression.partner_id == partner_id
    )
    if categories:
        mine = mine.where(Suppression.category.in_(categories))
    if reasons:
        mine = mine.where(Suppression.reason.in_(reasons))
    return sorted(session.scalars(mine), key=lambda one: (strength(one.reason), one.id))


def left_on_the_list(session: Session, partner_id: str, hashes: Collection[str]) -> set[str]:
    """Those of these hashes of addresses that some suppression stands against."""
    mine = select(Suppression.address_hash).where(
        Suppression.address_hash.in_(hashes), Suppression.partner_id == partner_id
    )
    return {*session.scalars(mine.distinct())}


def chosen_language(session: Session, partner_id: str, address: str) -> str:
    """The language that a recipient chose; empty where none was."""
    mine = (Preference.partner_id == partner_id, Preference.address_hash == address_hash(address))
    with session.no_autoflush:
        return session.scalar(select(Preference.language).where(*mine)) or ""


def languages_of(session: Session, partner_id: str, addresses: Collection[str]) -> dict[str, str]:
    """Hash of an address → the language that its owner chose, for those who did."""
    dialect = session.connection().dialect.name
    mine = select(Preference.address_hash, Preference.language).where(
        Preference.partner_id == partner_id,
        is_one_of(Preference.address_hash, "hashes", dialect, String),
        Preference.language != "",
    )
    hashes = sorted({address_hash(one) for one in addresses})
    with session.no_autoflush:
        rows = session.execute(mine, {"hashes": hashes})
        return {row.address_hash: row.language for row in rows}
