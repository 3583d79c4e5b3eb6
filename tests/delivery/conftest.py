"""Fixtures for delivery: the three databases, and a workbench to send with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app import ADMIN, HostApp
from tests.delivery.workbench import IMPATIENT, PATIENT, Workbench
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.scripted import ScriptedServer, Stall

NewHost = Callable[..., HostApp]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn; for an app."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: PostgreSQL | MariaDB = request.getfixturevalue(request.param)
    return server.name_database()


@pytest.fixture(params=["postgresql", "mariadb"])
def shared_database(request: pytest.FixtureRequest) -> str:
    """The same for the kinds that let several transactions write at a time."""
    server: PostgreSQL | MariaDB = request.getfixturevalue(request.param)
    return server.name_database()


@pytest.fixture
def opened(new_app: Callable[..., HostApp]) -> Iterator[NewHost]:
    """Makes host apps inside whose context the test runs; their connections are closed at the end.

    Takes what ``new_app`` takes.
    """
    contexts: list[tuple[HostApp, Any]] = []

    def make(**keywords: Any) -> HostApp:
        host = new_app(**keywords)
        host.actor = ADMIN
        context = host.app.app_context()
        context.push()
        contexts.append((host, context))
        return host

    yield make
    for host, context in reversed(contexts):
        host.db.session.remove()
        host.db.engine.dispose()
        context.pop()


@pytest.fixture
def each(opened: NewHost, database: str) -> HostApp:
    """A host app on each database in turn."""
    return opened(uri=database, RETRY_DELAY=30)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A mail server that takes everything until the test says otherwise."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def bench_of() -> Iterator[Callable[..., Workbench]]:
    """Makes workbenches, and closes their connections at the end."""
    made: list[Workbench] = []

    def make(host: HostApp, **keywords: Any) -> Workbench:
        made.append(Workbench(host, **keywords))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def host_with_bench(
    opened: NewHost, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> tuple[HostApp, Workbench]:
    """On SQLite, with acme's sender at the mail server; for what no database decides."""
    host = opened(RETRY_DELAY=30)
    host.save_sender(port=server.port)
    return host, bench_of(host)


@pytest.fixture
def impatient_bench(
    request: pytest.FixtureRequest,
    opened: NewHost,
    server: ScriptedServer,
    bench_of: Callable[..., Workbench],
) -> tuple[HostApp, Workbench]:
    """The same for a server that does something at a stage; one that stalls is soon given up."""
    stalls = isinstance(request.getfixturevalue("behaviour"), Stall)
    host = opened(RETRY_DELAY=30)
    host.save_sender(port=server.port)
    return host, bench_of(host, timeouts=IMPATIENT if stalls else PATIENT)
