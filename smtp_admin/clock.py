"""Now, by the database's clock and by this machine's.

Leases and limits are decided by the database's clock alone, because several machines share them
and their own clocks disagree. Tests move time with :func:`shifted`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_shift = timedelta()


def now() -> datetime:
    """This machine's time, aware, in UTC; for logs and pages, never for leases or limits."""
    return datetime.now(UTC) + _shift


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Move both clocks by *by* for the duration of a test, in this process only."""
    global _shift  # noqa: PLW0603 - one clock per process is what is meant
    before, _shift = _shift, _shift + by
    try:
        yield
    finally:
        _shift = before


@dataclass(frozen=True, slots=True)
class Reading:
    """What another clock said, and when that was by this machine's monotonic one."""

    moment: datetime
    at: float = field(default_factory=time.monotonic)
    shift: timedelta = field(default_factory=lambda: _shift)

    @property
    def age(self) -> float:
        """Seconds since."""
        return time.monotonic() - self.at

    def present(self) -> datetime:
        """What it says now, unless it was set meanwhile."""
        return self.moment + timedelta(seconds=self.age) + _shift - self.shift


def _shift_seconds() -> float:
    return _shift.total_seconds()


class sql_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's present time in UTC, with microseconds where the database has them.

    Not the transaction's start, as ``CURRENT_TIMESTAMP`` is on PostgreSQL: a lease counts from
    the moment it is taken.
    """

    type = DateTime()
    inherit_cache = True

    def __init__(self) -> None:
        super().__init__(bindparam("shift", callable_=_shift_seconds, type_=Float, unique=True))


@compiles(sql_now, "postgresql")
def _postgresql(element: sql_now, compiler: SQLCompiler, **kw: Any) -> str:
    (shift,) = element.clauses
    seconds = compiler.process(shift, **kw)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(sql_now, "mysql")
@compiles(sql_now, "mariadb")
def _mysql(element: sql_now, compiler: SQLCompiler, **kw: Any) -> str:
    (shift,) = element.clauses
    seconds = compiler.process(shift, **kw)
    return f"DATE_ADD(UTC_TIMESTAMP(6), INTERVAL ROUND({seconds} * 1000000) MICROSECOND)"


@compiles(sql_now, "sqlite")
def _sqlite(element: sql_now, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite's clock has milliseconds; the zeros make it sort with what SQLAlchemy stores.
    (shift,) = element.clauses
    seconds = compiler.process(shift, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


class a_second_after(FunctionElement[datetime]):  # noqa: N801 - as above
    """A second after the time in a column, for conditions that join."""

    type = DateTime()
    inherit_cache = True


@compiles(a_second_after, "postgresql")
def _postgresql_later(element: a_second_after, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} + interval '1 second')"


@compiles(a_second_after, "mysql")
@compiles(a_second_after, "mariadb")
def _mysql_later(element: a_second_after, compiler: SQLCompiler, **kw: Any) -> str:
    return f"DATE_ADD({compiler.process(element.clauses, **kw)}, INTERVAL 1 SECOND)"


@compiles(a_second_after, "sqlite")
def _sqlite_later(element: a_second_after, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '+1 seconds')"
