"""Write our tables and their rows as SQL that any driver runs, statement by statement."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from smtp_admin.database import Base
from tests.upgrades.loading import SEPARATOR

__all__ = ["dump"]

_PREFIX = "smtp_admin_"


def dump(engine: Engine) -> str:
    """Every table of ours with its rows, as text; counting up goes on after the highest ids."""
    with engine.connect() as connection:
        parts = [*_DEFINITIONS[engine.dialect.name](connection)]
        for name in _tables(connection):
            parts += _rows(connection, name)
            if engine.dialect.name == "postgresql":
                parts += _sequence(connection, name)
    return SEPARATOR.join(part.strip() for part in parts) + SEPARATOR


def _tables(connection: Connection) -> list[str]:
    """Our tables, each after those that it refers to."""
    found = inspect(connection).get_sorted_table_and_fkc_names()
    return [name for name, _ in found if name and name.startswith(_PREFIX)]


def _of_sqlite(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, rowid")
    )
    yield from rows.scalars()


def _of_mariadb(connection: Connection) -> Iterator[str]:
    for name in _tables(connection):
        yield str(connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1])


def _of_postgresql(connection: Connection) -> Iterator[str]:
    reflected = MetaData()
    reflected.reflect(connection, only=_tables(connection))
    for table in reflected.sorted_tables:
        # What is said there in plain words is the default, and unknown before PostgreSQL 15.
        yield str(CreateTable(table).compile(connection)).replace(" NULLS DISTINCT", "")
        if table.name not in Base.metadata.tables:
            continue  # the one that says which version this is
        # As they were made: PostgreSQL tells a condition in other words each time it reads one.
        made = {str(index.name): index for index in Base.metadata.tables[table.name].indexes}
        for name in sorted(str(index.name) for index in table.indexes):
            yield str(CreateIndex(made[name]).compile(connection))


_DEFINITIONS: dict[str, Callable[[Connection], Iterator[str]]] = {
    "sqlite": _of_sqlite,
    "mysql": _of_mariadb,
    "mariadb": _of_mariadb,
    "postgresql": _of_postgresql,
}


def _rows(connection: Connection, name: str) -> Iterator[str]:
    dialect = connection.dialect
    keys = inspect(connection).get_pk_constraint(name)["constrained_columns"]
    found = connection.execute(text(f"SELECT * FROM {name} ORDER BY {', '.join(keys)}"))
    columns = ", ".join(dialect.identifier_preparer.quote(one) for one in found.keys())  # noqa: SIM118 - of a result
    rows = [", ".join(_literal(value, dialect.name) for value in row) for row in found]
    if rows:
        lines = ",\n".join(f"({row})" for row in rows)
        yield f"INSERT INTO {name} ({columns}) VALUES\n{lines}"


def _literal(value: Any, dialect: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'" if dialect == "postgresql" else f"X'{value.hex()}'"
    if isinstance(value, datetime):
        value = f"{value.astimezone(UTC) if value.tzinfo else value}"
    if not isinstance(value, str):
        return str(value).upper()  # TRUE, FALSE and numbers
    if SEPARATOR[-1] in value:
        raise ValueError(f"a line break in {value[:40]!r}")
    if dialect in {"mysql", "mariadb"}:
        value = value.replace("\\", "\\\\")
    doubled: str = value.replace("'", "''")
    return f"'{doubled}'"


def _sequence(connection: Connection, name: str) -> Iterator[str]:
    columns = {one["name"] for one in inspect(connection).get_columns(name)}
    if "id" not in columns:
        return
    counter = connection.execute(text(f"SELECT pg_get_serial_sequence('{name}', 'id')")).scalar()
    last, called = connection.execute(text(f"SELECT last_value, is_called FROM {counter}")).one()
    yield f"SELECT setval('{str(counter).removeprefix('public.')}', {last}, {str(called).lower()})"
