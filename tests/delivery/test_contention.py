"""Transactions that get in each other's way are told from errors, whatever the driver says."""

import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from smtp_admin.database import transaction, worker_engine
from smtp_admin.database_errors import is_contention
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


def test_only_a_lock_is_waited_for(tmp_path: Path) -> None:
    """On SQLite: a disk that cannot be written fails at once, and not after a busy half minute."""
    url = f"sqlite:///{tmp_path / 'host.db'}"
    host = create_engine(url)
    with host.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    host.dispose()
    (tmp_path / "host.db-shm").mkdir()
    own = worker_engine(host, pool_size=1)
    began = time.process_time()
    with pytest.raises(DBAPIError), transaction(own) as session:
        session.connection()
    own.dispose()
    assert time.process_time() - began < 5


def test_a_machine_that_freezes_inside_a_transaction_keeps_no_lock(mariadb: MariaDB) -> None:
    """Whichever of its two names the address gives the driver."""
    for name in ("mysql", "mariadb"):
        address = make_url(mariadb.create_database()).set(drivername=f"{name}+pymysql")
        own = worker_engine(create_engine(address), pool_size=1)
        with own.connect() as connection:
            seconds = connection.scalar(text("SELECT @@SESSION.idle_transaction_timeout"))
        own.dispose()
        assert seconds == 15
