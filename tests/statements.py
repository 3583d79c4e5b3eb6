"""What SQLAlchemy has compiled for one app of this process, it need not compile for the next one.

Each engine has statements of its own, and each test an app with engines: compiling the same ones
again took a fifth of the suite.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

from smtp_admin.database import Base

__all__ = ["share"]

_COUNT = 5_000


class _Statements(LRUCache[Any, Any]):
    """Compiled statements by what they say and the kind of database, and not by its engine."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_kind(key), value)


def _of_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    return (
        type(dialect),
        dialect.paramstyle,
        getattr(dialect, "server_version_info", None),
        getattr(dialect, "is_mariadb", None),
        *rest,
    )


_STATEMENTS = _Statements(_COUNT)


def _remember(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_STATEMENTS)


def share() -> None:
    """Let all engines of this process have the same."""
    event.listen(Engine, "engine_connect", _remember)
    # What a flush writes is kept by the mappers, by engine all the same.
    for mapper in Base.registry.mappers:
        mapper._compiled_cache = _STATEMENTS
