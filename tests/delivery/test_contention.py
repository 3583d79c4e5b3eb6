"""Transactions that get in each other's way are told from errors, whatever the driver says."""

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from smtp_admin.database import is_contention
from tests.servers.databases import MariaDB


@pytest.fixture
def engine(mariadb: MariaDB) -> Engine:
    """A MariaDB with one row to quarrel about."""
    made = create_engine(mariadb.create_database())
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE quarrel (id INTEGER PRIMARY KEY, n INTEGER)"))
        connection.execute(text("INSERT INTO quarrel VALUES (1, 0)"))
    return made


def take(connection: Connection) -> None:
    connection.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
    connection.execute(text("UPDATE quarrel SET n = n + 1"))


def test_a_lock_that_was_waited_for_too_long_is_contention(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        take(first)
        with pytest.raises(DBAPIError) as caught:
            take(second)
    engine.dispose()
    assert "1205" in str(caught.value)
    assert is_contention(caught.value)


def test_a_wrong_statement_is_none(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT nothing FROM nowhere"))
    engine.dispose()
    assert not is_contention(caught.value)
