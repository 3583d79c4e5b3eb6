"""Fixtures for endurance: the two databases that production uses most, and a site on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.conftest import bench_of
from tests.endurance.points import PASSWORD
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite
from tests.servers.databases import PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer

__all__ = ["bench_of"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of both kinds in turn."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    created: str = request.getfixturevalue("postgresql").create_database()
    return created


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer, database: str) -> AnySite:
    """A host app that workers can be started for, on both databases in turn."""
    return AnySite(tmp_path / "site", redis.url, database)


@pytest.fixture
def postgresql_site(tmp_path: Path, redis: RedisServer, postgresql: PostgreSQL) -> AnySite:
    """The same on PostgreSQL alone, for what needs several transactions at a time."""
    return AnySite(tmp_path / "site", redis.url, postgresql.create_database())


@pytest.fixture
def sqlite_site(tmp_path: Path, redis: RedisServer) -> AnySite:
    """The same on SQLite alone, for what no database decides."""
    return AnySite(tmp_path / "site", redis.url, sqlite_url(tmp_path))


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server that wants a login and answers at once."""
    with Sink(auth=("user", PASSWORD)) as running:
        yield running
