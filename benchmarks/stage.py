"""The servers that a whole run shares."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import create_engine

from benchmarks.sink import Sink
from tests.servers import Unavailable
from tests.servers.databases import PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer

Kind = Literal["SQLite", "PostgreSQL"]
KINDS: tuple[Kind, ...] = ("SQLite", "PostgreSQL")
#: As PostgreSQL comes; the tests' server is told to forget about the disk.
_STOCK = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}


@dataclass(frozen=True)
class Stage:
    """Redis, PostgreSQL (or why not), the sink, and a folder that goes away afterwards."""

    folder: Path
    redis: RedisServer
    sink: Sink
    _postgresql: PostgreSQL | Unavailable

    def new_database(self, kind: Kind) -> str:
        """The address of an empty database.

        Raises:
            Unavailable: there is no PostgreSQL here.
        """
        if kind == "SQLite":
            return sqlite_url(self.new_folder())
        if isinstance(self._postgresql, Unavailable):
            raise self._postgresql
        return self._postgresql.create_database()

    def new_folder(self) -> Path:
        """An empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start everything, and stop it at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-admin-bench-")))
        redis = stack.enter_context(RedisServer(folder / "redis"))
        sink = stack.enter_context(Sink(folder))
        postgresql: PostgreSQL | Unavailable
        try:
            postgresql = stack.enter_context(PostgreSQL(folder / "postgresql"))
            _make_durable(postgresql)
        except Unavailable as missing:
            postgresql = missing
        yield Stage(folder, redis, sink, postgresql)


def _make_durable(server: PostgreSQL) -> None:
    # "Committed" has to mean what it means in production.
    engine = create_engine(server.create_database(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name, value in _STOCK.items():
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = '{value}'")
    engine.dispose()
    server.restart_immediately()
