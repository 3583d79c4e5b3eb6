"""Fixtures for endurance: the three databases, and a site on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.conftest import bench_of, server
from tests.endurance.points import PASSWORD
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer

__all__ = ["bench_of", "server"]


LONG = tuple(pytest.param(kind, marks=pytest.mark.long) for kind in ("postgresql", "mariadb"))


@pytest.fixture(params=["sqlite", *LONG])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    created: str = request.getfixturevalue(request.param).create_database()
    return created


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer, database: str) -> AnySite:
    """A host app that workers can be started for, on each database in turn."""
    return AnySite(tmp_path / "site", redis.url, database)


@pytest.fixture(params=["postgresql", "mariadb"])
def shared_site(request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer) -> AnySite:
    """The same on those alone that let several transactions write at a time."""
    created: str = request.getfixturevalue(request.param).create_database()
    return AnySite(tmp_path / "site", redis.url, created)


@pytest.fixture
def sqlite_site(tmp_path: Path, redis: RedisServer) -> AnySite:
    """The same on SQLite alone, for what no database decides."""
    return AnySite(tmp_path / "site", redis.url, sqlite_url(tmp_path))


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server that wants a login and answers at once."""
    with Sink(auth=("user", PASSWORD)) as running:
        yield running
