"""Fixtures for settings: the three databases, and a host app on one of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, Table, delete, select, true, update

from smtp_admin.database import Base
from smtp_admin.delivery.models import Lane
from smtp_admin.senders.models import Sender
from smtp_admin.senders.pauses import NO_PAUSE
from smtp_admin.transports.driver import Driver
from tests.app import ADMIN, HostApp, make_app
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer
from tests.twin import twin_driver


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def kept(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
) -> Iterator[HostApp]:
    """A host app on each kind of database, for all tests of a module."""
    if request.param == "sqlite":
        uri = sqlite_url(tmp_path_factory.mktemp("settings"))
    else:
        server: PostgreSQL | MariaDB = request.getfixturevalue(request.param)
        uri = server.name_database()
    redis_server.start()
    made = make_app(uri, {"REDIS_URL": redis_server.url})
    yield made
    with made.app.app_context():
        made.db.engine.dispose()


@pytest.fixture
def site(kept: HostApp, redis: RedisServer) -> Iterator[HostApp]:
    """That app with empty tables, signed in as the platform's admin; no context is open."""
    before = kept.installation
    kept.actor = ADMIN
    with kept.app.app_context(), kept.db.engine.begin() as connection:
        for table in _filled(connection):
            # The system's default sender and its lanes come with the tables.
            connection.execute(delete(table).where(_not_of_the_system(table)))
        connection.execute(update(Sender).values(current_revision=0, **NO_PAUSE))
    yield kept
    kept.app.extensions["smtp_admin"] = before


@pytest.fixture
def inside(site: HostApp) -> Iterator[HostApp]:
    """The app with its context open."""
    with site.app.app_context():
        yield site


@pytest.fixture(scope="module")
def made_for_module(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Callable[..., HostApp]:
    """Makes host apps on SQLite that all tests of a module use; keywords as for ``new_app``."""

    def make(**config: Any) -> HostApp:
        redis_server.start()
        uri = sqlite_url(tmp_path_factory.mktemp("module"))
        return make_app(uri, {"REDIS_URL": redis_server.url, **config})

    return make


@pytest.fixture
def twin() -> Iterator[Driver]:
    """A host's driver with all the fields of SMTP: only its name makes it another destination."""
    with twin_driver() as made:
        yield made


@pytest.fixture
def ca_certificate(certificates: CertificateFactory) -> str:
    """A private authority, as a sender's settings have it."""
    return certificates.ca_file.read_text()


def _filled(connection: Connection) -> list[Table]:
    """The few tables that have rows, those first that refer to others; asked for at once."""
    tables = list(reversed(Base.metadata.sorted_tables))
    asked = ", ".join(f"EXISTS (SELECT 1 FROM {table.name})" for table in tables)
    (found,) = connection.exec_driver_sql(f"SELECT {asked}").all()
    return [table for table, has_rows in zip(tables, found, strict=True) if has_rows]


def _not_of_the_system(table: Table) -> ColumnElement[bool]:
    is_default = (Sender.partner_id == "") & (Sender.key == "")
    if table.name == Sender.__tablename__:
        return ~is_default
    if table.name == Lane.__tablename__:
        return table.c.sender_id.not_in(select(Sender.id).where(is_default))
    return true()
