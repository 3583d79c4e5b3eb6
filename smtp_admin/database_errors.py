"""What an error of a database means, whichever kind it is, and beginning again after some."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import exc
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

#: The database does not answer, or every connection to it is in use for too long.
AWAY = (DBAPIError, exc.TimeoutError)
#: Two transactions got in each other's way, and this one was chosen to begin again:
#: MariaDB's 1205 and 1213, PostgreSQL's 40001 and 40P01.
_CONTENTION = {1205, 1213, "40001", "40P01"}


def is_contention(error: DBAPIError) -> bool:
    """Whether the same transaction may simply be tried again."""
    return not _CONTENTION.isdisjoint(_codes(error.orig))


T = TypeVar("T")
#: So often a transaction is tried before whoever asked for it is told.
TRIES = 5


def begin_again(work: Callable[[], T], undo: Callable[[], object] = lambda: None) -> T:
    """Do *work*, which commits, and again from its beginning while others get in its way.

    It has no effect beside its transaction, for that would come twice.

    Args:
        undo: rolls the transaction back, where *work* does not do so itself.
    """
    for _ in range(TRIES - 1):
        try:
            return work()
        except DBAPIError as error:
            if not is_contention(error):
                raise
            undo()
    return work()


#: A row that was read before is gone by now.
GONE = (StaleDataError, ObjectDeletedError)
#: Another row has the key by now, or one that was referred to is gone: PostgreSQL's 23505 and
#: 23503, MariaDB's 1062, 1451 and 1452. SQLite has sentences only.
_TAKEN = {"23505", "23503", 1062, 1451, 1452}
_TAKEN_IN_SQLITE = ("UNIQUE constraint failed", "FOREIGN KEY constraint failed")


def somebody_was_faster(error: Exception) -> bool:
    """Whether a change failed because others changed the same since it was read."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, GONE)
    original: Any = error.orig
    if isinstance(original, sqlite3.Error):
        return str(original).startswith(_TAKEN_IN_SQLITE)
    return not _TAKEN.isdisjoint(_codes(original))


def _codes(original: Any) -> set[Any]:
    """The driver's codes for an error: PostgreSQL's five letters, MariaDB's number.

    Newer versions of PyMySQL carry five letters too, and those say less: HY000 for many errors.
    """
    number = next(iter(getattr(original, "args", ())), None)
    return {getattr(original, "sqlstate", None), number if isinstance(number, int) else None}


#: A table or column that a statement names is not there: PostgreSQL's 42P01 and 42703, MariaDB's
#: 1146 and 1054. SQLite has sentences only.
_UNDEFINED = {"42P01", "42703", 1146, 1054}
_UNDEFINED_IN_SQLITE = ("no such table", "no such column", "has no column named")


def names_what_is_missing(error: DBAPIError) -> bool:
    """Whether the tables lack what a statement needs: they are not there, or are older ones."""
    original: Any = error.orig
    if isinstance(original, sqlite3.Error):
        return any(words in str(original) for words in _UNDEFINED_IN_SQLITE)
    return not _UNDEFINED.isdisjoint(_codes(original))
