"""What fails in these tests, and the host app that is sent for meanwhile."""

import contextlib
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.servers.postgresql import PostgreSQL
from tests.worker.running import Worker, until

__all__ = ["FailingPostgreSQL", "Query", "ready"]


class FailingPostgreSQL(PostgreSQL):
    """A PostgreSQL that can be away for a while, and whose moments can be chosen."""

    def _initialize(self) -> None:
        super()._initialize()
        self._configure("wal_level = replica\nmax_wal_senders = 2\n")  # else no commit can wait

    def crash(self) -> None:
        """End it without goodbye, as a power failure does."""
        self._running = False
        self._control("stop", "-m", "immediate")

    def come_back(self) -> None:
        """Start it again on the same data and port; it returns when it accepts connections."""
        self._control("start")
        self._running = True

    def listen_on(self, address: str, network: str) -> None:
        """Let *network* reach it at *address* too, without a password."""
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")
        self._configure(f"listen_addresses = '127.0.0.1,{address}'\n")
        self.restart_immediately()


class Query:
    """Asks a database over a new connection each time, so that no restart disturbs it."""

    def __init__(self, uri: str) -> None:
        self._engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def __call__(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of *statement*; none while the database is away."""
        try:
            return self.run(statement)
        except DBAPIError:
            return []

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """The same, but fails while the database is away."""
        with self._engine.connect() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def wait_for(self, statement: str, seconds: float = 60) -> bool:
        """Whether *statement* has a row in time."""
        return until(lambda: bool(self(statement)), seconds)


def ready(worker: Worker) -> Worker:
    """Wait until *worker* works; many that start at once take longer than one."""
    for _ in range(5):
        with contextlib.suppress(RuntimeError):
            return worker.ready()
        if not worker.alive:
            break
    return worker.ready()
