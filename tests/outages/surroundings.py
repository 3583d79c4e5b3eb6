"""What fails in these tests, and the host app that is sent for meanwhile."""

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.servers.lifetime import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.worker.running import Worker, until

__all__ = ["FAILING", "FailingDatabase", "FailingMariaDB", "FailingPostgreSQL", "Query", "ready"]


class FailingDatabase(Server):
    """A database that can be away for a while, and whose moments can be chosen.

    Attributes:
        gate: statements that let no delivery enter ``{state}`` while somebody keeps the gate
            closed.
        lock: closes the gate for as long as its connection lives.
        at_gate: has a row while somebody stands before the gate.
        idle: has a row while a transaction is open in which nothing is done.
    """

    kind: ClassVar[Literal["postgresql", "mariadb"]]
    gate: ClassVar[tuple[str, ...]]
    lock: ClassVar[str]
    at_gate: ClassVar[str]
    idle: ClassVar[str]

    @abstractmethod
    def create_database(self) -> str:
        """Create an empty database and return its address."""

    @abstractmethod
    def crash(self) -> None:
        """End it without goodbye, as a power failure does."""

    @abstractmethod
    def come_back(self) -> None:
        """Start it again on the same data and port; it returns when it accepts connections."""

    @abstractmethod
    def restart_immediately(self) -> None:
        """Both of them, with nothing in between."""

    @abstractmethod
    def listen_on(self, address: str, network: str) -> None:
        """Let *network* reach it at *address* too, without a password."""


class FailingPostgreSQL(PostgreSQL, FailingDatabase):
    """PostgreSQL, where a commit can be made to wait."""

    kind = "postgresql"
    gate = (
        """CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'""",
        """CREATE TRIGGER gate BEFORE UPDATE ON smtp_admin_delivery FOR EACH ROW
        WHEN (NEW.state = '{state}') EXECUTE FUNCTION pass_gate()""",
    )
    lock = "SELECT pg_advisory_lock(1)"
    at_gate = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    idle = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"

    def _initialize(self) -> None:
        super()._initialize()
        self._configure("wal_level = replica\nmax_wal_senders = 2\n")  # else no commit can wait

    def crash(self) -> None:
        self._running = False
        self._control("stop", "-m", "immediate")

    def come_back(self) -> None:
        self._control("start")
        self._running = True

    def listen_on(self, address: str, network: str) -> None:
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")
        self._configure(f"listen_addresses = '127.0.0.1,{address}'\n")
        self.restart_immediately()


class FailingMariaDB(MariaDB, FailingDatabase):
    """MariaDB, where a commit can be made to wait."""

    kind = "mariadb"
    gate = (
        """CREATE TRIGGER gate BEFORE UPDATE ON smtp_admin_delivery FOR EACH ROW BEGIN
        IF NEW.state = '{state}' THEN
            SET @passed = GET_LOCK('gate', 100); DO RELEASE_LOCK('gate'); END IF; END""",
    )
    lock = "SELECT GET_LOCK('gate', 100)"
    at_gate = "SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'"
    idle = (
        "SELECT 1 FROM information_schema.innodb_trx JOIN information_schema.processlist "
        "ON id = trx_mysql_thread_id WHERE command = 'Sleep'"
    )

    def __init__(self, folder: Path) -> None:
        # Only what is written to the log of changes can wait for a replica; and as MariaDB comes,
        # each commit is on the disk.
        super().__init__(
            folder, "--log-bin=changes", "--server-id=1", "--innodb-flush-log-at-trx-commit=1"
        )

    def listen_on(self, address: str, network: str) -> None:
        anybody = f"root@'{network.removesuffix('24')}255.255.255.0'"
        query = Query(self.create_database())
        query.run(f"CREATE USER {anybody}")
        query.run(f"GRANT ALL ON *.* TO {anybody}")
        self.options = (*self.options, f"--bind-address=127.0.0.1,{address}")
        self.restart_immediately()


FAILING: dict[str, type[FailingPostgreSQL] | type[FailingMariaDB]] = {
    "postgresql": FailingPostgreSQL,
    "mariadb": FailingMariaDB,
}


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

    @contextlib.contextmanager
    def held(self, statement: str) -> Iterator[None]:
        """Keep the connection on which *statement* was run."""
        connection = self._engine.connect()
        try:
            connection.execute(text(statement))
            yield
        finally:
            connection.invalidate()  # also where the database has crashed meanwhile
            connection.close()

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
