"""Put addresses on the list of those that get less mail, and take them off it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, CursorResult, String, bindparam, delete, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.errors import InvalidInput
from smtp_admin.identifiers import storable
from smtp_admin.suppression.models import Preference, Suppression
from smtp_admin.suppression.reading import address_hash, is_hash
from smtp_admin.suppression.reasons import ALL, NOTICES, REASONS, Reason
from smtp_admin.translation import gettext

_TABLE: Any = Suppression.__table__
_PREFERENCES: Any = Preference.__table__
_LONGEST_DETAIL, _LONGEST_WHO = 500, 320
_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def clean_category(text: str) -> str:
    """A category: ``all``, ``notices`` or the name of an e-mail type.

    Raises:
        InvalidInput: it is none.
    """
    found = text.strip()
    if found not in {ALL, NOTICES} and not _TYPE_NAME.fullmatch(found):
        words = gettext("Choose all mail, all notices, or one kind of notice.")
        raise InvalidInput(fields={"category": [words]})
    return found


def insert_suppressions(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """Add *rows* of the table; how many were new. What is there already stays as it is."""
    if not rows:
        return 0
    dialect = session.connection().dialect.name
    if dialect == "postgresql":
        # One value for each column: with thousands of parameters, and a plan that was made when
        # the table was small, a long list would take minutes.
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        return _changed_by(session, _of_arrays(), columns)
    if dialect == "sqlite":
        return _changed_by(session, sqlite.insert(_TABLE).on_conflict_do_nothing(), rows)
    # What an UPDATE leaves as it is counts as changed there.
    before = _count(session, rows)
    session.execute(mysql.insert(_TABLE).on_duplicate_key_update(id=_TABLE.c.id), rows)
    return len({_key(row) for row in rows}) - before


#: Of :func:`row_of`.
_COLUMNS = (
    "partner_id", "address_hash", "address", "category", "reason", "detail", "mail_id",
    "created_by",
)  # fmt: skip


@lru_cache
def _of_arrays() -> Any:
    """Rows whose columns are arrays, on PostgreSQL."""
    arrays = [bindparam(name, type_=ARRAY(String)) for name in _COLUMNS]
    given = func.unnest(*arrays).table_valued(*_COLUMNS, name="given").render_derived()
    chosen = select(*(given.c[name] for name in _COLUMNS))
    return postgresql.insert(_TABLE).from_select(_COLUMNS, chosen).on_conflict_do_nothing()


def _changed_by(session: Session, statement: Any, given: Any) -> int:
    # Of an INSERT, SQLAlchemy keeps the count only where it is asked to.
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]  # an INSERT has one
        statement, given, execution_options=_COUNTED
    )
    return result.rowcount


_COUNTED = {"preserve_rowcount": True}


def _count(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    wanted = {_key(row) for row in rows}
    hashes = sorted({hashed for hashed, *_ in wanted})
    found = 0
    for start in range(0, len(hashes), _FEW):
        mine = select(
            Suppression.address_hash,
            Suppression.partner_id,
            Suppression.category,
            Suppression.reason,
        ).where(Suppression.address_hash.in_(hashes[start : start + _FEW]))
        found += sum(tuple(row) in wanted for row in session.execute(mine))
    return found


def _key(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["address_hash"], row["partner_id"], row["category"], row["reason"]


_FEW = 500


def row_of(
    partner_id: str,
    address: str,
    reason: Reason,
    *,
    category: str = "",
    detail: str = "",
    mail_id: str = "",
    by: str = "",
) -> dict[str, Any]:
    """A row for :func:`insert_suppressions`; the reason's own category where none is given.

    Args:
        address: or its hash, where only that was kept.
    """
    lowered = address.strip().lower()
    named = not is_hash(lowered)
    return {
        "partner_id": partner_id,
        "address_hash": address_hash(lowered) if named else lowered,
        "address": lowered[:254] if named else "",
        "category": category or REASONS[reason].category or ALL,
        "reason": reason,
        "detail": storable(detail)[:_LONGEST_DETAIL],
        "mail_id": mail_id,
        "created_by": storable(by)[:_LONGEST_WHO],
    }


def delete_suppressions(session: Session, ids: Sequence[int]) -> int:
    """Take these rows off the list; how many there were."""
    return changed(session, delete(Suppression).where(Suppression.id.in_(ids)))


def keep_language(session: Session, partner_id: str, address: str, language: str) -> None:
    """Note the language that a recipient chose; the caller commits."""
    mine = {"partner_id": partner_id, "address_hash": address_hash(address)}
    values = {**mine, "language": language}
    dialect = session.connection().dialect.name
    statement: Any
    if dialect == "postgresql":
        statement = postgresql.insert(_PREFERENCES).on_conflict_do_update(
            index_elements=list(mine), set_={"language": language}
        )
    elif dialect == "sqlite":
        statement = sqlite.insert(_PREFERENCES).on_conflict_do_update(
            index_elements=list(mine), set_={"language": language}
        )
    else:
        statement = mysql.insert(_PREFERENCES).on_duplicate_key_update(language=language)
    session.execute(statement, [values])
