"""Our own tables on our own metadata, used through the host's session.

One transaction holds the host's data and our mail, and yet the host's metadata stays clean: its
autogenerate never sees our tables, and two apps in one process share the same classes.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    any_,
    bindparam,
    cast,
    create_engine,
    event,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from smtp_admin import commits
from smtp_admin.clock import Reading, sql_now
from smtp_admin.installation import Kept, installation

#: None of our transactions waits for anything but the database itself.
_IDLE_SECONDS = 15
_SQLITE_WAITS_SECONDS = 30
#: SQLite looks for its lock ever less often, at last every 100 ms: among several who write all the
#: time, one could be unlucky for seconds. Of so short a wait it looks every one or two.
_LOOK_MILLISECONDS = 5
#: Where our migrations note how far they came.
VERSION_TABLE = "smtp_admin_alembic_version"
#: The partner id of the system's own sender and mail.
SYSTEM = ""

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The declarative base of all our tables."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


#: A primary key that is 64 bits wide wherever the database can also count it up by itself.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds, on every database.

    A naive value is refused when it is written: it would be somebody's local time.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """``timestamptz`` on PostgreSQL, ``datetime(6)`` on MariaDB, text on SQLite."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware to what the database stores."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What the database stores to aware UTC."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def session() -> Session:
    """The host's own session, so that our rows and the host's commit together."""
    return installation().db.session()


def database_now(connection: Session) -> datetime:
    """The database's present time (aware, UTC): the only clock for leases and limits."""
    moment: datetime | None = connection.scalar(select(type_coerce(sql_now(), UTCDateTime())))
    if moment is None:  # pragma: no cover - a SELECT of an expression has a row
        raise RuntimeError("the database did not tell the time")
    return moment


@dataclass(slots=True)
class _Clock:
    """What the database's clock said when it was last asked."""

    reading: Reading | None = None


_CLOCK = Kept[_Clock](lambda _: _Clock())
#: How long nobody asks again.
_READING_SECONDS = 60.0


def about_now(connection: Session) -> datetime:
    """The database's present time (aware, UTC), asked for once a minute in each process.

    For what may be a moment off, and must not follow a machine's own clock, which may be wrong.
    """
    clock = _CLOCK.of(installation())
    if clock.reading is None or clock.reading.age > _READING_SECONDS:
        with connection.no_autoflush:
            clock.reading = Reading(database_now(connection))
    return clock.reading.present()


def begin_before_savepoints(sessions: Any) -> None:
    """Let a savepoint on SQLite be a part of a transaction, for all sessions of a factory.

    Python's driver begins one before a write, and not before ``SAVEPOINT``: that would begin one
    of its own and commit it when it ends, so what a host rolls back would stay, mail too.
    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    """
    event.listen(sessions, "after_begin", _watch_savepoints)


def _watch_savepoints(_session: Session, _transaction: object, connection: Connection) -> None:
    # The transaction around a savepoint always begins first: here the engine is known in time.
    engine = connection.engine
    if engine.dialect.name == "sqlite" and not event.contains(engine, "savepoint", _begin):
        event.listen(engine, "savepoint", _begin)


def _begin(connection: Connection, _name: str) -> None:
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN")


def host_engine() -> Engine:
    """The engine of the host's default database.

    Raises:
        SetupError: the host has others only.
    """
    return installation().db.engine


def worker_engine(
    engine: Engine,
    *,
    pool_size: int,
    max_overflow: int = 2,
    connect_args: Mapping[str, Any] | None = None,
) -> Engine:
    """An engine of the worker's own on the host's database.

    Args:
        pool_size: connections that are kept.
        max_overflow: as many more while they are needed.
        connect_args: what the host passes to its driver, such as certificates.

    The host's engine may be tuned for web requests; a worker must notice a dead connection
    before it uses it, and on SQLite must take the write lock when a transaction starts: a
    transaction that first reads and then writes fails at once there, whatever the timeout.
    """
    if engine.dialect.name == "sqlite" and engine.url.database in {None, "", ":memory:"}:
        return engine  # a database in memory exists on the host's own connection only
    own_args = dict(connect_args or {})
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "connect_args": own_args,
        "pool_size": pool_size,
        "max_overflow": max_overflow,
    }
    if engine.dialect.name == "sqlite":
        own_args |= {"timeout": _SQLITE_WAITS_SECONDS, "check_same_thread": False}
    else:
        options["pool_recycle"] = 1800
        # Limits are counted after a lock was waited for, and must see what its holder did. And the
        # default of MariaDB locks gaps between rows, so that workers would wait for each other.
        options["isolation_level"] = "READ COMMITTED"
    own = create_engine(engine.url, **options)
    event.listen(own, "connect", _note_opening)
    limit = _IDLE_LIMITS.get(own.dialect.name)
    if limit is not None:
        event.listen(own, "connect", partial(_limit_idle_transactions, limit))
    if own.dialect.name == "sqlite":
        event.listen(own, "connect", _take_over_transactions)
        event.listen(own, "begin", _begin_immediate)
    return own


_OPENED = "smtp_admin_opened"


def _note_opening(_connection: Any, record: Any) -> None:
    record.info[_OPENED] = time.monotonic()


def opened_at(connection: Connection) -> float:
    """When this connection of a worker's engine was opened, by the monotonic clock in seconds.

    One that is older than something that was committed proves that the database has not crashed
    since. Not for a database in memory, which cannot outlive us; there it is 0.
    """
    opened: float = connection.info.get(_OPENED, 0.0)
    return opened


@contextmanager
def beside_workers(pool_size: int = 1) -> Iterator[Engine]:
    """An engine for a command that writes in many steps while workers write too.

    On SQLite the host's own would give up after a few seconds, for workers look for the lock far
    more often.
    """
    engine = worker_engine(host_engine(), pool_size=pool_size)
    try:
        yield engine
    finally:
        if engine is not host_engine():
            engine.dispose()


def wait_for_workers(session: Session) -> None:
    """Let a command's own session wait for SQLite's lock as long as workers do."""
    if session.get_bind().dialect.name == "sqlite":
        milliseconds = _SQLITE_WAITS_SECONDS * 1000
        session.connection().exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")


def _take_over_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else the driver begins a deferred transaction by itself
    connection.execute("PRAGMA synchronous=NORMAL")
    # A worker has many connections, and the system keeps the pages of the file for all of them.
    connection.execute("PRAGMA cache_size=-512")


#: A machine that freezes inside a transaction must not keep its locks.
_IDLE_LIMITS = {
    "postgresql": f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'",
    "mariadb": f"SET SESSION idle_transaction_timeout = {_IDLE_SECONDS}",
    # An address with this name leads to MariaDB as well, and MySQL itself has no such limit: it
    # takes what only MariaDB reads for a comment.
    "mysql": f"SET @smtp_admin = 1 /*M! , SESSION idle_transaction_timeout = {_IDLE_SECONDS} */",
}


def _limit_idle_transactions(statement: str, connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()


def _begin_immediate(connection: Any) -> None:
    if connection.info.get(_READS):
        connection.exec_driver_sql("BEGIN")
        return
    driver: sqlite3.Connection = connection.connection.driver_connection
    ends = time.monotonic() + _SQLITE_WAITS_SECONDS
    driver.execute(f"PRAGMA busy_timeout = {_LOOK_MILLISECONDS}")
    try:
        while time.monotonic() < ends:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                # The lower byte; what is above says more exactly who has the lock.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_SQLITE_WAITS_SECONDS * 1000}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # it fails as every statement does


def sum_of(numbers: Any) -> ColumnElement[int]:
    """The sum of whole numbers as one; MariaDB says a decimal, and to read those is slow."""
    return cast(func.sum(numbers), BigInteger)


def is_one_of(
    column: Any, parameter: str, dialect: str, kind: Any = BigInteger
) -> ColumnElement[bool]:
    """Whether *column* is among the values of the list that is bound to *parameter*.

    One value, an array or JSON, where the database can take it apart: a statement with a hundred
    parameters would be put together, and on PostgreSQL planned, anew each time.
    """
    if dialect == "postgresql":
        listed: ColumnElement[bool] = column == any_(bindparam(parameter, type_=ARRAY(kind)))
        return listed
    among: ColumnElement[bool]
    if dialect == "sqlite":
        ids = func.json_each(bindparam(parameter, type_=JSON)).table_valued("value")
        among = column.in_(select(ids.c.value))
    else:
        among = column.in_(bindparam(parameter, expanding=True))
    return among


def among(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """The same for values that are at hand: with a thousand, their parameters would cost most."""
    dialect = session.get_bind().dialect.name
    found: ColumnElement[bool]
    if dialect == "postgresql":
        found = column == any_(bindparam(None, [*values], type_=ARRAY(column.type), unique=True))
    elif dialect == "sqlite":
        each = func.json_each(bindparam(None, [*values], type_=JSON, unique=True))
        found = column.in_(select(each.table_valued("value").c.value))
    else:
        # From a thousand on MariaDB makes a table of them, and no longer looks them up. Numbers are
        # written into the statement: a thousand parameters take ten milliseconds.
        listed = [*values]
        numbers = all(isinstance(one, int) for one in listed)
        some = (listed[start : start + _FEW] for start in range(0, len(listed) or 1, _FEW))
        found = or_(*(column.in_(_listed(part, written=numbers)) for part in some))
    return found


_FEW = 900


def _listed(values: Collection[Any], *, written: bool) -> BindParameter[Any]:
    return bindparam(None, values, expanding=True, unique=True, literal_execute=written)


def changed(session: Session, statement: Any, values: Mapping[str, Any] | None = None) -> int:
    """How many rows an UPDATE or DELETE changed; loaded objects are not told."""
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]  # an UPDATE has one
        statement, values, execution_options=_UNTOLD
    )
    return result.rowcount


_UNTOLD = {"synchronize_session": False}


@contextmanager
def transaction(database: Engine | Connection) -> Iterator[Session]:
    """A short transaction of our own, committed at the end, rolled back on any error."""
    with Session(database, expire_on_commit=False) as own, own.begin():
        yield own
    commits.note()


@contextmanager
def reading(database: Engine | Connection) -> Iterator[Session]:
    """A short transaction that only reads: on SQLite it takes no lock from those who write."""
    # A connection of our own outside of any transaction may be passed on, an engine may not.
    opened = nullcontext(database) if isinstance(database, Connection) else database.connect()
    with opened as connection:
        connection.info[_READS] = True
        try:
            with Session(connection, expire_on_commit=False) as own, own.begin():
                yield own
        finally:
            connection.info.pop(_READS, None)


#: Marks a connection whose next transaction only reads.
_READS = "smtp_admin_reads"
