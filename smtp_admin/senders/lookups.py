"""What a transaction has looked up already, so that its next mail need not ask again.

Kept beside the transaction itself, so it cannot outlive it, and forgotten as soon as settings or
routes change in it. Within a savepoint what was found before counts too, but not the other way
round: a savepoint may be rolled back.
"""

from collections.abc import Callable, Hashable, Iterator, MutableMapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session, SessionTransaction

from smtp_admin.signals import routes_changed, settings_changed

T = TypeVar("T")
_KEPT = "smtp_admin_lookups"


def once(session: Session, key: Hashable, find: Callable[[], T]) -> T:
    """What *find* finds for *key*; it is asked at most once in a transaction."""
    for kept in _kept(session):
        if key in kept:
            known: T = kept[key]
            return known
    found = find()
    for kept in _kept(session):  # *find* may have begun the transaction
        kept[key] = found
        break
    return found


def forget(session: Session) -> None:
    """Ask again from now on."""
    session.info.pop(_KEPT, None)


def listen() -> None:
    """Forget wherever settings or routes change; calling it again changes nothing."""
    settings_changed.connect(_forget)
    routes_changed.connect(_forget)


def _forget(_sender: Any, *, session: Session, **_what: Any) -> None:
    forget(session)


def _kept(session: Session) -> Iterator[MutableMapping[Hashable, Any]]:
    """What is kept for the present transaction: its innermost savepoint first."""
    inner = session.get_nested_transaction() or session.get_transaction()
    if inner is None:
        return
    by_transaction: WeakKeyDictionary[SessionTransaction, dict[Hashable, Any]]
    by_transaction = session.info.setdefault(_KEPT, WeakKeyDictionary())
    while inner is not None:
        yield by_transaction.setdefault(inner, {})
        inner = inner.parent
