"""Copies of databases, and what stands in them row by row."""

from typing import Any

from sqlalchemy import Engine, func, insert, select

from smtp_admin.database import Base
from tests.app import HostApp

__all__ = ["copy", "dump"]


def dump(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of ours."""
    found = {}
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            rows = connection.execute(select(table).order_by(*table.primary_key))
            found[table.name] = [tuple(row) for row in rows]
    return found


def copy(original: HostApp, into: HostApp) -> None:
    """Fill an empty database with everything that stands in another."""
    engines = []
    for host in (original, into):
        with host.app.app_context():
            engines.append(host.db.engine)
    source, target = engines
    tables = Base.metadata.sorted_tables
    with source.connect() as reading, target.begin() as writing:
        for table in reversed(tables):
            writing.execute(table.delete())
        for table in tables:
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            if rows:
                writing.execute(insert(table), rows)
            if rows and "id" in table.c and target.dialect.name == "postgresql":
                sequence = func.pg_get_serial_sequence(table.name, "id")
                writing.execute(select(func.setval(sequence, max(row["id"] for row in rows))))
