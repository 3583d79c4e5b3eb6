"""Fixtures that every part of the suite uses: a host app on a real database and a real Redis."""

import gc
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import ref
from zlib import crc32

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from hypothesis import settings

from tests import patience, statements
from tests.app import ADMIN, HostApp, KnownMap, make_app
from tests.examples import LONG, examples
from tests.order import Scheduling, mix, read_own_share
from tests.servers import closed_port
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import MariaDB, PostgreSQL
from tests.servers.needs import notice
from tests.servers.redis_server import RedisServer
from tests.servers.skipping import skipped_if_unavailable

# On a busy machine an example may take any time. What decides whether a change lands must not
# depend on luck; elsewhere each run tries others.
_USUAL = examples(100)  # which is its own number
settings.register_profile("patient", deadline=None, max_examples=_USUAL)
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=_USUAL)
steady = os.environ.get("SMTP_ADMIN_TEST_NOTHING_SKIPPED")
settings.load_profile("steady" if steady else "patient")

#: What is collected at the start lives to the end, and apps come and go by the thousand: by
#: Python's own numbers every fourth second would go into looking through all of it.
_GARBAGE = (20_000, 20, 20)
gc.set_threshold(*_GARBAGE)

#: A folder in memory, where Linux has one: no commit waits for a disk.
_MEMORY = Path("/dev/shm")  # noqa: S108 -- what is made there has names of its own
_MEMORY_BYTES = 4 << 30


def _keep_files_in_memory() -> None:
    """Let all temporary files be there, if there is room and programs may run from there."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    found = os.statvfs(_MEMORY)
    if found.f_bavail * found.f_frsize >= _MEMORY_BYTES and not found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


_keep_files_in_memory()
statements.share()
patience.be_patient()
# Apps that tests make for themselves have much the same addresses as well.
Flask.url_map_class = KnownMap
# Migrations announce themselves at every start.
logging.getLogger("alembic").setLevel(logging.WARNING)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; runs only with SMTP_ADMIN_TEST_LONG=1")


def pytest_report_header() -> list[str]:
    return notice()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again at the end: the beginning is out of sight by then."""
    for line in notice():
        terminalreporter.write_line(line)


#: Folders whose statements hardly differ by database: each test runs on SQLite and, in turns, on
#: one of the two servers. The other one is for the long run.
_IN_TURNS = {
    "alerts", "api", "erasure", "events", "expiry", "mail", "oauth", "renewals", "sender_state",
    "senders", "tests", "upgrades",
}  # fmt: skip
#: Files of the same kind in a folder whose other files are about locks, and so run on all three.
_FILES_IN_TURNS = {
    "test_deleted.py", "test_fallback.py", "test_mail_actions.py", "test_mail_log.py",
    "test_prune.py", "test_sandbox.py", "test_sender_headers.py", "test_sender_health.py",
    "test_suppressions.py",
}  # fmt: skip
_SERVERS = ("postgresql", "mariadb")


def _is_others_turn(item: pytest.Item) -> bool:
    """Whether this test runs on the other server."""
    goes_in_turns = item.path.parent.name in _IN_TURNS or item.path.name in _FILES_IN_TURNS
    if not goes_in_turns or not isinstance(item, pytest.Function):
        return False
    spec = getattr(item, "callspec", None)
    kind = next((one for one in spec.params.values() if one in _SERVERS), None) if spec else None
    turn = crc32(f"{item.path.name} {item.originalname}".encode()) % 2
    return kind is not None and str(kind) != _SERVERS[turn]


def pytest_collection(session: pytest.Session) -> None:
    read_own_share(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out, without a skip: where nothing may be skipped, that would fail."""
    mix(items)
    for item in filter(_is_others_turn, items):
        item.add_marker("long")
    if LONG:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Which process runs which tests."""
    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """What is here now need not be looked through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFactory:
    """One private CA for the whole run."""
    return CertificateFactory(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One real Redis for the whole run; emptied before each test that asks for :func:`redis`."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """One PostgreSQL for the whole run."""
    with skipped_if_unavailable():
        server = PostgreSQL(tmp_path_factory.mktemp("postgresql"))
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One MariaDB for the whole run."""
    with skipped_if_unavailable():
        server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    with server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """A running, empty Redis."""
    redis_server.start()
    redis_server.flush()
    return redis_server


@pytest.fixture
def new_app(tmp_path: Path, redis: RedisServer) -> Iterator[Callable[..., HostApp]]:
    """Makes host apps; keywords are ``SMTP_ADMIN_*`` keys without the prefix, or ``uri=``."""
    # Not the apps themselves: a test asks whether anything remembers one that is gone.
    made: list[tuple[ref[Flask], ref[SQLAlchemy]]] = []

    def make(*, uri: str | None = None, **config: Any) -> HostApp:
        uri = uri or f"sqlite:///{tmp_path / f'host{len(made) + 1}.db'}"
        config.setdefault("REDIS_URL", redis.url)
        host = make_app(uri, config)
        made.append((ref(host.app), ref(host.db)))
        return host

    yield make
    for app, db in ((its_app(), its_db()) for its_app, its_db in made):
        if app is not None and db is not None:
            with app.app_context():
                db.engine.dispose()


@pytest.fixture
def host(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """A host app on SQLite with our tables, signed in as the platform's admin."""
    made = new_app()
    made.actor = ADMIN
    with made.app.app_context():
        yield made


@pytest.fixture(name="closed_port")
def _closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections for as long as the test runs."""
    with closed_port() as port:
        yield port


@pytest.fixture
def nothing_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that count statements: what is asked for again every few seconds is asked once."""
    monkeypatch.setattr("smtp_admin.sandbox.site.LOOK_SECONDS", math.inf)
    monkeypatch.setattr("smtp_admin.database._READING_SECONDS", math.inf)


@pytest.fixture
def redis_seconds(monkeypatch: pytest.MonkeyPatch) -> float:
    """For tests of a Redis that does not answer: how long it is waited for now.

    Longer than the product does, so that one wait is told from two also on a busy machine.
    """
    seconds = 1.0
    monkeypatch.setattr("smtp_admin.delivery.shared_redis.PATIENCE_SECONDS", seconds)
    return seconds
